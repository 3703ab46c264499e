"""Update rules of plurality consensus, and one update of one agent as a state machine: agents to ask, opinion to adopt.

DéjàVu (arXiv 2604.03648): ask agents chosen uniformly, one after another, until one opinion has been answered twice,
and adopt it. For comparison: h-majority, 2-choices, undecided-state dynamics, voter. An agent never asks itself.

Invariant: an update is a function of the agent's opinion, its random stream and the answers by their number. Answers
may arrive in any order, from agents of any process, and the result is the same (lost queries aside).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from math import log

from emulator.model.errors import Unfit

PROTOCOLS = ("dejavu", "h-majority", "3-majority", "2-choices", "undecided", "voter")
MORE = -1  # a rule needs more answers before it decides
_OPEN = -2  # a query without its answer yet
_WORDS = struct.Struct("<16I")


class Stream:
    """Random numbers of one purpose, such as `Stream(f"{seed}/{agent}/{round}")`: the same in every process.

    Blocks of BLAKE2b over the key and a counter: a stream costs a microsecond to open, a tenth of seeding a
    `random.Random`, and each agent opens one in every round.
    """

    __slots__ = ("_block", "_key", "_words")

    def __init__(self, key: str) -> None:
        self._key = key
        self._block = 1
        self._words: list[int] = list(_WORDS.unpack(hashlib.blake2b(key.encode()).digest()))

    def word(self) -> int:
        """32 random bits."""
        if not self._words:
            self._words = list(_WORDS.unpack(hashlib.blake2b(f"{self._key}#{self._block}".encode()).digest()))
            self._block += 1
        return self._words.pop()

    def below(self, bound: int) -> int:
        """Uniform in 0 … bound-1, to within bound/2³²."""
        return (self.word() * bound) >> 32

    def exponential(self) -> float:
        """Exponentially distributed with mean 1: the wait for the next tick of a Poisson clock."""
        return -log((self.word() + 0.5) / 2**32)


class Rule:
    """How an agent evaluates answers. `width` queries are open at a time: 1 means one after another."""

    width = 1

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        """The opinion after the update, from the answers by their number; MORE if `width` further ones are needed."""
        raise NotImplementedError


class DejaVu(Rule):
    """Adopt the first opinion that is answered twice. `cap` > 0: after that many answers without repetition keep the
    own one. `own_counts`: the agent's own opinion counts as one answer before the first (our variant)."""

    def __init__(self, cap: int = 0, own_counts: bool = False) -> None:
        self.cap = cap
        self.own_counts = own_counts

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        last = answers[-1]
        if answers.index(last) < len(answers) - 1 or (self.own_counts and last == own):
            return last
        return own if len(answers) == self.cap else MORE


class Majority(Rule):
    """h-majority: ask h at once, adopt the most frequent answer; ties are broken uniformly."""

    def __init__(self, h: int) -> None:
        self.width = h

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        counts: dict[int, int] = {}
        for answer in answers:
            counts[answer] = counts.get(answer, 0) + 1
        most = max(counts.values())
        tied = [answer for answer, count in counts.items() if count == most]
        return tied[0] if len(tied) == 1 else tied[stream.below(len(tied))]


class TwoChoices(Rule):
    """Ask two at once; adopt their opinion if it is the same, else keep the own one."""

    width = 2

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        return answers[0] if answers[0] == answers[1] else own


class Undecided(Rule):
    """Undecided-state dynamics: an agent that gets another opinion than its own becomes undecided (the opinion numbered
    `opinions`); an undecided agent adopts the opinion that it gets."""

    def __init__(self, opinions: int) -> None:
        self.undecided = opinions

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        heard = answers[0]
        if own == self.undecided:
            return heard
        return own if heard in (own, self.undecided) else self.undecided


class Voter(Rule):
    """Adopt the opinion of one other agent."""

    def adopt(self, own: int, answers: Sequence[int], stream: Stream) -> int:
        return answers[0]


def rule_of(protocol: str, opinions: int, h: int = 0, own_counts: bool = False) -> Rule:
    """The rule of a protocol. `h` is the sample size of h-majority and the cap of DéjàVu (0: none).

    ValueError if the protocol is unknown or does not use a parameter.
    """
    if protocol not in PROTOCOLS:
        raise Unfit(f"protocol {protocol!r}", f"one of {', '.join(PROTOCOLS)}")
    if own_counts and protocol != "dejavu":
        raise Unfit(f"own = true with {protocol}", "protocol dejavu, whose variant it is")
    if h < 0 or (h == 0 and protocol == "h-majority"):
        raise Unfit(f"h = {h}", "1 or more")
    if h and protocol not in ("dejavu", "h-majority") and not (protocol == "3-majority" and h == 3):
        raise Unfit(f"h = {h} with {protocol}", "h with dejavu or h-majority only")
    if protocol == "dejavu":
        return DejaVu(h, own_counts)
    if protocol in ("h-majority", "3-majority"):
        return Majority(h or 3)
    return {"2-choices": TwoChoices, "voter": Voter}[protocol]() if protocol != "undecided" else Undecided(opinions)


class Update:
    """One update of one agent. Send queries while `ask` returns one; call `hear` and `lose`, until `adopted` is set."""

    __slots__ = ("_again", "_agent", "_answers", "_count", "_neighbours", "_own", "_rule", "_stream", "_tries",
                 "_wanted", "adopted", "lost", "samples")  # fmt: skip

    def __init__(
        self, rule: Rule, agent: int, own: int, count: int, stream: Stream, neighbours: Sequence[int] | None = None
    ) -> None:
        """There are `count` agents, 0 … count-1; `neighbours` may be asked, by default all others."""
        self._rule = rule
        self._agent = agent
        self._own = own
        self._count = count
        self._stream = stream
        self._neighbours = neighbours
        self._answers: list[int] = []  # by number of the query
        self._wanted = rule.width
        self._again: list[int] = []  # lost queries, to be sent to other agents
        self._tries: dict[int, int] = {}  # losses by query
        self.adopted = MORE  # the opinion after the update
        self.samples = 0  # answers received
        self.lost = 0

    def ask(self) -> tuple[int, int] | None:
        """The next query to send: its number and the agent to ask. None: wait for answers, or the update has ended."""
        if self._again:
            number = self._again.pop(0)
        elif len(self._answers) < self._wanted:
            number = len(self._answers)
            self._answers.append(_OPEN)
        else:
            return None
        if self._neighbours is not None:
            return number, self._neighbours[self._stream.below(len(self._neighbours))]
        agent = self._stream.below(self._count - 1)
        return number, agent + (agent >= self._agent)

    def hear(self, number: int, opinion: int) -> None:
        """An answer has arrived. ValueError if its query is not open."""
        answers = self._answers
        if not 0 <= number < len(answers) or answers[number] != _OPEN:
            raise Unfit(f"answer to query {number}", "one to an open query")
        answers[number] = opinion
        self.samples += 1
        if self.samples == self._wanted:
            self.adopted = self._rule.adopt(self._own, answers, self._stream)
            if self.adopted == MORE:
                self._wanted += self._rule.width

    def lose(self, number: int) -> None:
        """A query has timed out: `ask` will choose another agent."""
        if not 0 <= number < len(self._answers) or self._answers[number] != _OPEN:
            raise Unfit(f"loss of query {number}", "that of an open query")
        self.lost += 1
        self._tries[number] = self._tries.get(number, 0) + 1
        self._again.append(number)

    @property
    def trips(self) -> int:
        """Consecutive round trips, or timeouts, of the update."""
        if self._rule.width == 1:
            return self.samples + self.lost
        return 1 + max(self._tries.values(), default=0)


def deal(counts: Sequence[int], seed: int) -> list[int]:
    """Initial opinions of all agents: `counts[i]` of them hold opinion i, shuffled by the seed."""
    opinions = [opinion for opinion, count in enumerate(counts) for _ in range(count)]
    stream = Stream(f"{seed}/deal")
    for last in range(len(opinions) - 1, 0, -1):
        other = stream.below(last + 1)
        opinions[last], opinions[other] = opinions[other], opinions[last]
    return opinions


def consensus(tally: Sequence[int], opinions: int) -> int | None:
    """The opinion that all agents of a tally hold, or None; being undecided (opinion `opinions`) is none."""
    held = [opinion for opinion, count in enumerate(tally) if count]
    return held[0] if len(held) == 1 and held[0] < opinions else None
