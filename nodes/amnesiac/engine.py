"""The whole system offline: plays amnesiac flooding under an adversary and decides whether it ever ends.

Invariant: everything here is deterministic. A message sent in round r with delay d is received in round r+d; copies
due on one directed edge in one round merge; a message that is sent and lost counts as sent. The configuration after a
round is what was received in it, what is under way, and the phase of the adversary: where it comes back, flooding never
ends.

Directed edges are numbers: 2k is edge k from its smaller to its larger node, 2k+1 the way back. A round takes time in
proportion to its messages and the neighbours of those who hear them, and all rounds together memory in proportion to
the graph and to what is under way.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodes.amnesiac.adversary import LOST, Adversary
from nodes.amnesiac.graph import Edge, Graph, check_sources

LIMIT = 1_000_000  # rounds before a decision is given up
MOST_MESSAGES = 50_000_000  # the same in messages: a minute
MEMORY_BYTES = 1 << 28  # that configurations may take before only two of them are kept
OBJECT_BYTES = 350  # that one takes beside its messages, about

Configuration = tuple[bytes, tuple[tuple[int, bytes], ...], int]


class Flood:
    """A run of the system; `step` plays the next round."""

    def __init__(self, graph: Graph, sources: Sequence[int], adversary: Adversary) -> None:
        check_sources(graph, sources)
        adversary.check(graph)
        self.round = 0
        self.messages = 0  # sent so far
        self.sent: set[int] = set()  # the directed edges on which a message was sent in this round
        self.arrived: set[int] = set()  # those on which one was received in this round
        self.last_active = 0  # the latest round in which anything was sent or received
        self._adversary = adversary
        self._edges = [way for a, b in graph.edges for way in ((a, b), (b, a))]
        self._out: list[list[int]] = [[] for _ in range(graph.nodes)]
        for number, (node, _) in enumerate(self._edges):
            self._out[node].append(number)
        self._flight: dict[int, set[int]] = {}  # the messages under way, by the round in which they are due
        self._next = {number for source in sources for number in self._out[source]}
        numbers = {edge: number for number, edge in enumerate(self._edges)} if adversary.table else {}
        self._fates = {
            round: {numbers[edge]: fate for edge, fate in table.items()} for round, table in adversary.table.items()
        }

    def step(self) -> None:
        """Play the next round: send what the last one asks for, and receive what is due."""
        self.round += 1
        self.sent = sent = self._next
        fates = self._fates.get(self._adversary.phase(self.round), {})
        self.arrived = self._flight.pop(self.round, set()).union(sent.difference(fates) if fates else sent)
        for number in sent.intersection(fates):
            if fates[number] != LOST:
                due = self.round + fates[number]
                (self._flight.setdefault(due, set()) if due > self.round else self.arrived).add(number)
        self.messages += len(sent)
        if sent or self.arrived:
            self.last_active = self.round
        self._next = self._answer()

    def _answer(self) -> set[int]:
        """What is sent next: every node that received sends on all its edges but those that it received on."""
        heard = {self._edges[number][1] for number in self.arrived}
        answer = {number for node in heard for number in self._out[node]}
        answer.difference_update([number ^ 1 for number in self.arrived])
        return answer

    @property
    def alive(self) -> bool:
        """Whether a message is under way or will be sent in the next round."""
        return bool(self._next or self._flight)

    @property
    def configuration(self) -> Configuration:
        """All that the rounds to come depend on."""
        flight = tuple((due - self.round, _packed(numbers)) for due, numbers in sorted(self._flight.items()))
        return _packed(self.arrived), flight, self._adversary.phase(self.round + 1)

    @property
    def bytes(self) -> int:
        """Length of the configuration."""
        return 4 * (len(self.arrived) + sum(map(len, self._flight.values())))

    def edges(self, numbers: Iterable[int]) -> list[Edge]:
        """Directed edges by their numbers, in ascending order."""
        return sorted(self._edges[number] for number in numbers)


def _packed(numbers: set[int]) -> bytes:
    """Equal for equal sets, in four bytes a number."""
    return array("I", sorted(numbers)).tobytes()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether flooding ends: in `round` after `messages`, or never, or not known, with the reason."""

    verdict: str  # "terminates", "endless" or "undecided"
    round: int  # terminates: the last round in which anything was sent or received; else the rounds that were looked at
    messages: int  # sent in these rounds
    first_seen: int = 0  # endless: the configuration after this round is the first that comes back,
    cycle: int = 0  # this many rounds later, and for ever,
    messages_per_cycle: int = 0
    reason: str = ""  # undecided: why

    @property
    def terminates(self) -> bool | None:
        return {"terminates": True, "endless": False}.get(self.verdict)

    def __str__(self) -> str:
        if self.verdict == "terminates":
            return f"terminates at round {self.round}, {self.messages} messages"
        if self.verdict == "endless":
            return f"never terminates: cycle of length {self.cycle} from round {self.first_seen}"
        return f"undecided after {self.round} rounds: {self.reason}"


def decide(
    graph: Graph, sources: Sequence[int], adversary: Adversary, *, limit: int = LIMIT, brent: bool = False
) -> Decision:
    """Decide termination: an eventually periodic adversary leaves finitely many configurations.

    Keeps every configuration, or with `brent` (and where they are too many) only two, at up to four times the rounds:
    R. P. Brent, "An improved Monte Carlo factorization algorithm", BIT 20 (1980). ValueError where adversary or sources
    do not fit the graph. After `limit` rounds, or MOST_MESSAGES, the answer is "undecided".
    """
    flood = Flood(graph, sources, adversary)
    start = max(1, adversary.prefix)  # before, no configuration can come back
    while flood.round < start and not _given_up(flood, limit):
        flood.step()
        if not flood.alive:
            return Decision("terminates", flood.last_active, flood.messages)
    held = MEMORY_BYTES if brent else 0
    seen: dict[Configuration, tuple[int, int]] = {flood.configuration: (flood.round, flood.messages)}
    while flood.alive and not _given_up(flood, limit):
        if held >= MEMORY_BYTES:
            seen.clear()
            ahead, behind = (Flood(graph, sources, adversary) for _ in range(2))
            return _decide_brent(flood, ahead, behind, start, limit)
        flood.step()
        held += OBJECT_BYTES + flood.bytes
        round, messages = seen.setdefault(flood.configuration, (flood.round, flood.messages))
        if round != flood.round:
            cycle = flood.round - round
            return Decision("endless", flood.round, flood.messages, round, cycle, flood.messages - messages)
    return _no_cycle(flood, limit)


def _given_up(flood: Flood, limit: int) -> bool:
    return flood.round >= limit or flood.messages >= MOST_MESSAGES


def _no_cycle(flood: Flood, limit: int) -> Decision:
    if not flood.alive:
        return Decision("terminates", flood.last_active, flood.messages)
    within, expected = f"the limit of {limit} rounds", "a higher limit"
    if flood.round < limit:
        within, expected = f"{MOST_MESSAGES:,} messages", "a smaller graph"
    reason = f"no end and no repeated configuration within {within}; expected {expected}"
    return Decision("undecided", flood.round, flood.messages, reason=reason)


def _decide_brent(hare: Flood, ahead: Flood, behind: Flood, start: int, limit: int) -> Decision:
    """Brent's method: first the length of the cycle, then, with two runs a cycle apart, its first round."""
    tortoise, power, cycle = hare.configuration, 1, 0
    while True:
        if not hare.alive or _given_up(hare, limit):
            return _no_cycle(hare, limit)
        hare.step()
        cycle += 1
        if hare.configuration == tortoise:
            break
        if cycle == power:
            tortoise, power, cycle = hare.configuration, 2 * power, 0
    while behind.round < start:
        behind.step()
    while ahead.round < start + cycle:
        ahead.step()
    while ahead.configuration != behind.configuration:
        ahead.step()
        behind.step()
    messages = ahead.messages - behind.messages
    return Decision("endless", ahead.round, ahead.messages, behind.round, cycle, messages)


@dataclass(frozen=True, slots=True)
class Play:
    """Some rounds of a run, message by message."""

    rounds: int
    sends: dict[int, list[Edge]]  # by round; rounds without sends are left out
    heard: list[list[int]]  # of each node: the rounds in which it received the message

    @property
    def messages(self) -> int:
        return sum(map(len, self.sends.values()))

    @property
    def trace(self) -> str:
        return trace_hash(self.sends)


def play(graph: Graph, sources: Sequence[int], adversary: Adversary, rounds: int) -> Play:
    """Play rounds 1…`rounds`, or fewer where flooding ends before."""
    flood = Flood(graph, sources, adversary)
    sends: dict[int, list[Edge]] = {}
    heard: list[list[int]] = [[] for _ in range(graph.nodes)]
    while flood.round < rounds and (flood.alive or not flood.round):
        flood.step()
        if flood.sent:
            sends[flood.round] = flood.edges(flood.sent)
        for node in {to for _, to in flood.edges(flood.arrived)}:
            heard[node].append(flood.round)
    return Play(flood.round, sends, heard)


def trace_hash(sends: Mapping[int, Iterable[Edge]]) -> str:
    """The fingerprint of what was sent when: 16 hex digits of SHA-256 over one line of text a round with sends.

    A line is the round and the directed edges in ascending order of node numbers: "3 0>1 0>5 2>3" and a line feed.
    """
    digest = hashlib.sha256()
    for round in sorted(sends):
        edges = sorted(set(sends[round]))
        if edges:
            digest.update(f"{round} {' '.join(f'{a}>{b}' for a, b in edges)}\n".encode())
    return digest.hexdigest()[:16]
