"""A trunk's datagrams and its repair, written down a second time and without regard to speed.

Invariant: nothing of the engine is used here, so what both agree on is the format and not one program's habit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HEAD, RECORD = struct.Struct("<HBBIQqHBBI"), struct.Struct("<diiihBBII")
MAGIC, VERSION, NO_BEGIN = 0x4B53, 1, 0xFFFF
DATA, ASK, BEAT, PROBE, ANSWER, RESULT, SIZE, SIZED = range(8)
REPAIR, UNACKED = 1, 2
BEAT_BODY = struct.Struct("<qqIIII")


FIRST, NUMBERS = (1 << 32) - 5, 1 << 32


def sequence(place: int) -> int:
    """The number of the datagram at this place of a direction's stream."""
    return (FIRST + place) % NUMBERS


class Head(NamedTuple):
    magic: int
    version: int
    kind: int
    sequence: int
    cookie: int
    sent_ns: int
    begin: int
    flags: int
    host: int
    missing: int

    @classmethod
    def of(cls, datagram: bytes) -> Head:
        return cls(*HEAD.unpack_from(datagram))


class Record(NamedTuple):
    due_s: float
    end: int
    node: int
    dest: int
    hops: int
    kind: int
    step: int
    size: int
    data: bytes

    def packed(self) -> bytes:
        *numbers, data = self
        return RECORD.pack(*numbers, len(data)) + data


def datagrams(records: Sequence[Record], sizes: Sequence[int], cookie: int, host: int, sent_ns: int = 0) -> list[bytes]:
    """The records as one stream, cut into bodies of these sizes, of which the last is used as often as it takes."""
    stream = b"".join(record.packed() for record in records)
    borders = [0]
    for record in records:
        borders.append(borders[-1] + len(record.packed()))
    out, at = [], 0
    while at < len(stream):
        size = sizes[min(len(out), len(sizes) - 1)]
        inside = [border - at for border in borders if at <= border <= at + size and border - at <= len(stream) - at]
        begin = min(inside, default=NO_BEGIN)
        head = HEAD.pack(MAGIC, VERSION, DATA, sequence(len(out)), cookie, sent_ns, begin, 0, host, 0)
        out.append(head + stream[at : at + size])
        at += size
    return out


def whole(records: Sequence[Record], bodies: Sequence[int], come: set[int]) -> list[Record]:
    """The records of which every byte lies in a datagram that has come. `bodies`: bytes of each datagram's body."""
    found, at = [], 0
    edges = [sum(bodies[:n]) for n in range(len(bodies) + 1)]
    for record in records:
        stop = at + len(record.packed())
        touched = {n for n in range(len(bodies)) if edges[n] < stop and edges[n + 1] > at}
        if touched <= come:
            found.append(record)
        at = stop
    return found


def read_stream(received: Sequence[bytes]) -> list[Record]:
    """The records of datagrams in their order, none missing; `begin` of each is checked."""
    stream, begins = b"", []
    for datagram in received:
        begins.append((len(stream), Head.of(datagram).begin, len(datagram) - HEAD.size))
        stream += datagram[HEAD.size :]
    found, at, borders = [], 0, {0}
    while at < len(stream):
        *numbers, count = RECORD.unpack_from(stream, at)
        at += RECORD.size
        found.append(Record(*numbers, stream[at : at + count]))
        at += count
        borders.add(at)
    for offset, begin, size in begins:
        inside = [border - offset for border in borders if offset <= border <= offset + size]
        assert begin == min(inside, default=NO_BEGIN)
    assert at == len(stream)
    return found


@dataclass
class Gaps:
    """What a receiver asks for, and when. Times in microseconds; datagrams by their place in the stream."""

    FIRST_US, AGAIN_US, PATIENCE_US, LONGEST_AHEAD_US = 100, 300, 5000, 1_000_000
    end: int = 0
    ahead_us: int = 0  # longest time that a packet has come before it was due
    come: set[int] = field(default_factory=set)
    ask_us: dict[int, int] = field(default_factory=dict)  # by missing place: when it is asked for next
    until_us: dict[int, int] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)

    def expect(self, now_us: int, end: int) -> None:
        """All before `end` have been sent."""
        for place in range(self.end, end):
            self.ask_us[place] = now_us + self.FIRST_US
            self.until_us[place] = now_us + self.ahead_us + self.PATIENCE_US
        self.end = max(self.end, end)

    def arrive(self, now_us: int, place: int, due_us: int) -> None:
        """A datagram, with the time at which its packet is due."""
        before = self.end
        self.expect(now_us, place + 1)
        self.come.add(place)
        self.ask_us.pop(place, None)
        self.ahead_us = max(self.ahead_us, min(due_us - now_us, self.LONGEST_AHEAD_US))
        for missing in range(before - 2, self.end - 2):  # the newest is now two beyond it
            if missing in self.ask_us and missing not in self.asked:
                self.ask_us[missing] = now_us

    def asks(self, now_us: int) -> list[int]:
        """The places to ask for now."""
        for place in [one for one in self.ask_us if now_us >= self.until_us[one]]:
            del self.ask_us[place]  # given up
        found = sorted(place for place, at_us in self.ask_us.items() if now_us >= at_us)
        for place in found:
            self.ask_us[place] = now_us + self.AGAIN_US
            self.asked.add(place)
        return found
