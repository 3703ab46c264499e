"""The whole system offline: plays amnesiac flooding under an adversary and decides whether it ever ends.

Invariant: everything here is deterministic. A message sent in round r with delay d is received in round r+d; copies
due on one directed edge in one round merge; a message that is sent and lost counts as sent. The configuration after a
round is what was received in it, what is under way, and the phase of the adversary: where it comes back, flooding never
ends.

Directed edges are bits: 2k is edge k from its smaller to its larger node, 2k+1 the way back. So one integer holds the
messages of a round, and `_swap` turns every message round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodes.amnesiac.adversary import LOST, Adversary
from nodes.amnesiac.graph import Edge, Graph, check_sources

LIMIT = 1_000_000  # rounds before a decision is given up
MEMORY_BITS = 1 << 31  # that configurations may take before only two of them are kept
OBJECT_BITS = 2800  # that one takes beside its messages, about

Configuration = tuple[int, int, int]


class Flood:
    """A run of the system; `step` plays the next round."""

    def __init__(self, graph: Graph, sources: Sequence[int], adversary: Adversary) -> None:
        check_sources(graph, sources)
        adversary.check(graph)
        self.graph = graph
        self.round = 0
        self.messages = 0  # sent so far
        self.sent = 0  # bits of the directed edges on which a message was sent in this round
        self.arrived = 0  # bits of those on which one was received in this round
        self.last_active = 0  # the latest round in which anything was sent or received
        self._adversary = adversary
        self._width = 2 * len(graph.edges)
        self._all = (1 << self._width) - 1
        self._forth = sum(1 << bit for bit in range(0, self._width, 2))
        self._bit = {}
        for number, (a, b) in enumerate(graph.edges):
            self._bit[a, b], self._bit[b, a] = 1 << 2 * number, 2 << 2 * number
        self._out = [sum(self._bit[node, other] for other in graph.neighbours[node]) for node in range(graph.nodes)]
        self._stars = [(self._swap(out), out) for out in self._out]
        self._flight = 0  # the messages due in the next round, then those of the round after it, and so on
        self._next = sum(self._out[source] for source in sources)
        self._fates = {round: self._masks(table) for round, table in adversary.table.items()}

    def _masks(self, table: Mapping[Edge, int]) -> tuple[int, list[tuple[int, int]]]:
        """Bits of all edges that the adversary touches in a round, and by delay the bits of those with a delay."""
        delayed: dict[int, int] = {}
        touched = 0
        for edge, fate in table.items():
            touched |= self._bit[edge]
            if fate != LOST:
                delayed[fate] = delayed.get(fate, 0) | self._bit[edge]
        return touched, list(delayed.items())

    def _swap(self, bits: int) -> int:
        return (bits & self._forth) << 1 | (bits >> 1) & self._forth

    def step(self) -> None:
        """Play the next round: send what the last one asks for, and receive what is due."""
        self.round += 1
        self.sent = sent = self._next
        flight = self._flight
        touched, delayed = self._fates.get(self._adversary.phase(self.round), (0, ()))
        flight |= sent & ~touched
        for delay, bits in delayed:
            flight |= (sent & bits) << delay * self._width
        self.arrived = flight & self._all
        self._flight = flight >> self._width
        self.messages += sent.bit_count()
        if sent or self.arrived:
            self.last_active = self.round
        self._next = self._answer()

    def _answer(self) -> int:
        """What is sent next: every node that received sends on all its edges but those that it received on."""
        arrived, answer = self.arrived, 0
        if arrived:
            for into, out in self._stars:
                if arrived & into:
                    answer |= out
        return answer & ~self._swap(arrived)

    @property
    def alive(self) -> bool:
        """Whether a message is under way or will be sent in the next round."""
        return bool(self._next or self._flight)

    @property
    def configuration(self) -> Configuration:
        """All that the rounds to come depend on."""
        return self.arrived, self._flight, self._adversary.phase(self.round + 1)

    @property
    def bits(self) -> int:
        """Length of the configuration."""
        return self._width + self._flight.bit_length()

    def edges(self, bits: int) -> list[Edge]:
        """The directed edges of some bits, in ascending order."""
        return sorted(edge for edge, bit in self._bit.items() if bits & bit)


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
    do not fit the graph. After `limit` rounds the answer is "undecided".
    """
    flood = Flood(graph, sources, adversary)
    start = max(1, adversary.prefix)  # before, no configuration can come back
    while flood.round < start and flood.round < limit:
        flood.step()
        if not flood.alive:
            return Decision("terminates", flood.last_active, flood.messages)
    held = MEMORY_BITS if brent else 0
    seen: dict[Configuration, tuple[int, int]] = {flood.configuration: (flood.round, flood.messages)}
    while flood.alive and flood.round < limit:
        if held >= MEMORY_BITS:
            seen.clear()
            ahead, behind = (Flood(graph, sources, adversary) for _ in range(2))
            return _decide_brent(flood, ahead, behind, start, limit)
        flood.step()
        held += OBJECT_BITS + flood.bits
        round, messages = seen.setdefault(flood.configuration, (flood.round, flood.messages))
        if round != flood.round:
            cycle = flood.round - round
            return Decision("endless", flood.round, flood.messages, round, cycle, flood.messages - messages)
    return _no_cycle(flood, limit)


def _no_cycle(flood: Flood, limit: int) -> Decision:
    if not flood.alive:
        return Decision("terminates", flood.last_active, flood.messages)
    reason = f"no end and no repeated configuration within the limit of {limit} rounds; wanted a higher limit"
    return Decision("undecided", flood.round, flood.messages, reason=reason)


def _decide_brent(hare: Flood, ahead: Flood, behind: Flood, start: int, limit: int) -> Decision:
    """Brent's method: first the length of the cycle, then, with two runs a cycle apart, its first round."""
    tortoise, power, cycle = hare.configuration, 1, 0
    while True:
        if not hare.alive or hare.round >= limit:
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
