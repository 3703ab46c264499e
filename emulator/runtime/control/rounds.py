"""Barriers and counts of rounds: which processes wait where, what all have counted, and the scenario's bounds on it.

Invariant: a barrier opens for a round when all its living processes have come, and tells all of them the same sum.
Plain state without channels: calls return what is to be told to whom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emulator.record.verdict.schema import RoundFigures

Opened = tuple[int, dict[str, int], list[int]]  # round, sum of the tallies, processes that wait for it
LARGEST = 1 << 62  # of a sum: what msgpack can still carry


@dataclass(slots=True)
class Barrier:
    """One barrier; processes are known by their numbers."""

    members: set[int] = field(default_factory=set)
    waiting: dict[int, tuple[int, dict[str, int]]] = field(default_factory=dict)  # process: round, tally

    def join(self, processes: Iterable[int]) -> None:
        self.members.update(processes)

    def meet(self, process: int, round: int, tally: Mapping[str, int]) -> Opened | None:
        """A process has come to the barrier of a round."""
        self.members.add(process)
        self.waiting[process] = (round, {str(key): int(value) for key, value in tally.items()})
        return self._open()

    def leave(self, process: int) -> Opened | None:
        """A process has ended: nobody waits for it any longer."""
        self.members.discard(process)
        self.waiting.pop(process, None)
        return self._open()

    def _open(self) -> Opened | None:
        """The lowest round that anybody waits for, once all wait: who is behind catches up first."""
        if not self.waiting or len(self.waiting) < len(self.members):
            return None
        round = min(number for number, _ in self.waiting.values())
        come = [process for process, (number, _) in self.waiting.items() if number == round]
        totals: Counter[str] = Counter()
        for process in come:
            for key, value in self.waiting.pop(process)[1].items():
                totals[key] = min(LARGEST, totals[key] + value)
        return round, dict(totals), come


@dataclass(slots=True)
class RoundCount:
    """What all processes counted, and where the scenario's kill switch stands."""

    max_rounds: int | None = None
    max_messages: int | None = None
    first: int | None = None  # the first round that anybody has begun
    last: int = -1
    messages: int = 0  # datagrams that programs sent over links in rounds
    received: int = 0
    in_slot: int = 0  # of the received: in the round they were due in
    by_program: Counter[str] = field(default_factory=Counter)
    stopped: str = ""  # which bound ended the run

    def note(self, program: str, round: int, sent: int, received: int, in_slot: int) -> bool:
        """Add the counts of one process; True where a bound is passed for the first time."""
        self.first = round if self.first is None else min(self.first, round)
        self.last = max(self.last, round)
        self.messages += sent
        self.received += received
        self.in_slot += in_slot
        self.by_program[program] += sent
        before, self.stopped = self.stopped, self.stopped or self._passed()
        return bool(self.stopped) and not before

    def _passed(self) -> str:
        if self.max_rounds is not None and self.rounds > self.max_rounds:
            return f"rounds.max_rounds: {self.rounds} rounds begun, {self.max_rounds} allowed"
        if self.max_messages is not None and self.messages > self.max_messages:
            return f"rounds.max_messages: {self.messages} messages sent, {self.max_messages} allowed"
        return ""

    @property
    def rounds(self) -> int:
        """How many rounds have begun."""
        return 0 if self.first is None else self.last - self.first + 1

    @property
    def fidelity(self) -> float:
        """Share of the received messages that came in the round they were due in; 1 where none was."""
        return self.in_slot / self.received if self.received else 1.0

    def figures(self, interface_packets: int | None) -> RoundFigures:
        """`rounds` of the verdict; empty where no program played rounds."""
        if not self.rounds:
            return {}
        found: RoundFigures = {
            "rounds": self.rounds,
            "messages": self.messages,
            "received": self.received,
            "in_slot": self.in_slot,
            "fidelity": self.fidelity,
            "stopped": self.stopped,
        }
        if interface_packets is not None:
            found["interface_packets"] = interface_packets
            found["counts_agree"] = interface_packets == self.messages
        return found
