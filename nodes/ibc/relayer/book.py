"""The packets that a relayer has to do with, the heights that it has read to, and the records that keep both.

Invariant: memory and disk say the same once `take` is applied: a height is kept together with all that was read up to
it, so that after a crash no event is missed, and reading one again changes nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum
from itertools import takewhile
from math import inf

from emulator.sdk.disk import Disk, Record
from nodes.ibc.proto.wire import Message, message, repeated
from nodes.ibc.relayer.packets import STEPS, End, Happened, Packet, State

TABLES = ("closed", "cursors", "packets", "paths")
_REMEMBERED = 4096  # settled packets


class Work(Enum):
    """What is to be done for a packet, and at which of its ends a transaction does it."""

    RECEIVE = State.SENT
    ACKNOWLEDGE = State.ANSWERED
    TIME_OUT = State.EXPIRED

    def at(self, packet: Packet) -> str:
        """The name of the end where it is done."""
        return packet.destination if self is Work.RECEIVE else packet.source


_WORKS = {work.value: work for work in Work}
_RECEIVED = (State.RECEIVED, State.ANSWERED)
_OPEN = (State.SENT, *_RECEIVED)


@message("skyloom.relayer.Path")
class KeptPath(Message):
    """The ends of a path: chain, client, port, channel and connection of each."""

    words: tuple[str, ...] = repeated(1, str)


class Book:
    """All packets that are not settled, by name."""

    def __init__(self, disk: Disk) -> None:
        self.cursors: dict[str, int] = {key.decode(): int.from_bytes(value) for key, value in disk.items("cursors")}
        self.closed = {key.decode(): int.from_bytes(value) for key, value in disk.items("closed")}  # ends, at heights
        self.packets: dict[str, Packet] = {}
        self.due: dict[tuple[Work, str], dict[str, None]] = {}  # names of packets by work and end
        self.settled: deque[str] = deque(maxlen=_REMEMBERED)
        self.counts: Counter[str] = Counter()
        self._settled: set[str] = set()
        self._records: dict[tuple[str, bytes], Record] = {}
        self.paths: dict[str, tuple[End, End]] = {}
        for key, value in disk.items("paths"):
            words = KeptPath.decode(value).words
            self.paths[key.decode()] = End(*words[:5]), End(*words[5:])
        for _, value in disk.items("packets"):
            self._place(Packet.decode(value))

    def step(self, packet: Packet, happened: Happened) -> Packet | None:
        """Something was seen of a packet. Where that changes its state, the changed packet."""
        known = self.packets.get(packet.name)
        if known is None and packet.name in self._settled:
            return None
        before = State.UNKNOWN if known is None else known.state
        after = STEPS[before, happened]
        if after is before:
            return None
        if known is not None:
            packet = self._joined(known, packet)
        changed = replace(packet, state=after)
        if not changed.encoded and after is not State.SETTLED:
            return None  # of a packet that is not known no more than that it is settled is worth keeping
        self.put(changed)
        return changed

    def put(self, packet: Packet) -> None:
        """Keep a packet as it is now."""
        self._displace(packet.name)
        if packet.state is State.SETTLED:
            if len(self.settled) == self.settled.maxlen:
                self._settled.discard(self.settled[0])
            self.settled.append(packet.name)
            self._settled.add(packet.name)
            self._record("packets", packet.name, None)
        else:
            self._settled.discard(packet.name)
            self._place(packet)
            self._record("packets", packet.name, packet.encode())

    def failed(self, packet: Packet, reason: str, most: int) -> None:
        """A transaction with it failed; after `most` times it is parked."""
        known = self.packets.get(packet.name)
        if known is None or known.state is not packet.state:
            return
        attempts = known.attempts + 1
        if attempts >= most:
            self.park(known, reason)
        else:
            self.put(replace(known, attempts=attempts, reason=reason))

    def park(self, packet: Packet, reason: str) -> None:
        """Leave it alone, for this reason, until `resume`."""
        self.counts["parked"] += 1
        self.put(replace(packet, state=State.PARKED, resume=packet.state, reason=reason, attempts=0))

    def resume(self, packet: Packet) -> None:
        """Take a parked packet up again."""
        if packet.resume is not State.UNKNOWN:
            self.put(replace(packet, state=packet.resume, resume=State.UNKNOWN, reason="", attempts=0))

    def read_to(self, chain: str, height: int) -> None:
        """All that happened on a chain up to a height is in the book."""
        self.cursors[chain] = height
        self._record("cursors", chain, height.to_bytes(8))

    def close(self, end: str, height: int) -> None:
        """A channel end is closed from a height on, and stays so."""
        if end not in self.closed:
            self.closed[end] = height
            self._record("closed", end, height.to_bytes(8))

    def keep_path(self, name: str, ends: tuple[End, End]) -> None:
        """All that happened between these ends so far is in the book."""
        self.paths[name] = ends
        words = tuple(word for end in ends for word in (end.chain, end.client, end.port, end.channel, end.connection))
        self._record("paths", name, KeptPath(words).encode())

    def of(self, end: End) -> Iterator[Packet]:
        """Packets that were sent from an end."""
        return (packet for packet in self.packets.values() if packet.source == end.name)

    def is_settled(self, name: str) -> bool:
        return name in self._settled

    def take(self) -> list[Record]:
        """What is to be kept before anything that rests on it is done."""
        records = list(self._records.values())
        self._records.clear()
        return records

    def queue(self, work: Work, end: str) -> Iterable[Packet]:
        """The packets for which a work is to be done at an end, in the order in which it arose.

        Over an ordered channel: in the order of their sequences. A timeout closes the channel, so none is among them
        that may do so before an earlier packet is through.
        """
        names = self.due.get((work, end), {})
        if not names or not self.packets[next(iter(names))].ordered:
            return (self.packets[name] for name in names)
        found = sorted((self.packets[name] for name in names), key=lambda packet: packet.sequence)
        if work is not Work.TIME_OUT:
            return found
        coming = (packet for packet in self.packets.values() if packet.source == end and packet.state in _OPEN)
        first = min((packet.sequence for packet in coming), default=inf)
        return takewhile(lambda packet: packet.sequence < first, found)

    def awaits_answers(self, end: str) -> bool:
        """Whether packets from an end were received whose acknowledgements it does not have."""
        return any(packet.source == end and packet.state in _RECEIVED for packet in self.packets.values())

    def _record(self, table: str, key: str, value: bytes | None) -> None:
        self._records[table, key.encode()] = Record(table, key.encode(), value)

    def _place(self, packet: Packet) -> None:
        self.packets[packet.name] = packet
        work = _WORKS.get(packet.state)
        if work is not None:
            self.due.setdefault((work, work.at(packet)), {})[packet.name] = None

    def _displace(self, name: str) -> None:
        packet = self.packets.pop(name, None)
        if packet is not None and (work := _WORKS.get(packet.state)) is not None:
            self.due[work, work.at(packet)].pop(name, None)

    @staticmethod
    def _joined(known: Packet, seen: Packet) -> Packet:
        """A known packet, with what was seen of it now."""
        return replace(
            known,
            acknowledgement=seen.acknowledgement or known.acknowledgement,
            height=seen.height,
            seen_ns=seen.seen_ns,
            attempts=0,
            reason="",
            closed=seen.closed,
            resume=State.UNKNOWN,
        )
