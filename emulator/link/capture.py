"""The capture tee: what crossed chosen link ends, in compact batches on a descriptor.

Another process makes pcapng of it. A batch is HEAD and then columns of `count` values each, in the machine's byte
order, so that the relay packs hundreds of packets by a few calls:

    HEAD       magic, count, bytes of packets that follow the columns, packets that this tee left out before this batch
    left_s     f64  scenario time at which the packet left its sender, or was dropped
    mark       u32  link end · 256 + EndStats index of the drop's cause (0: the packet was sent)
    captured   u32  bytes that follow of this packet
    original   u32  bytes that it had
    packets         their bytes, one behind the other, each with its virtio header

A link end notes in the log of the tees what it lets go of, which takes it 0.01-0.1 µs a packet; all else is done for
many packets at a time, between turns of the relay. Invariant: a tee never blocks the relay, and holds at most LIMIT
bytes; what does not fit is counted.
"""

from __future__ import annotations

import os
import select
from array import array
from collections import deque
from collections.abc import Iterator
from struct import Struct, pack
from typing import Any, NamedTuple

from emulator.link.item import Log
from emulator.link.packet import VIRTIO

HEAD = Struct("=IIQQ")
MAGIC = 0x536B7955
COLUMNS = "dIII"
ROW_BYTES = 20  # of the columns, for each packet
LIMIT = 64 * 2**20  # a writer that gets no core for half a second at 1 Gbit/s loses nothing
GATHER = 512  # packets make a batch; fewer where time has passed
GATHER_LARGE, LARGE_BYTES = 8, 4096  # or as many where they are large


class Record(NamedTuple):
    left_ns: int
    end: int
    cause: int
    lost: int
    original: int
    data: bytes  # without the virtio header


class Tees:
    """The captures of one relay: link ends that anyone listens to write `log`, from which each tee takes its part."""

    def __init__(self) -> None:
        self.log = Log()
        self.ends: frozenset[int] = frozenset()
        self.ask_at = GATHER_LARGE  # rows of the log at which to call `gather`
        self._tees: dict[int, Tee] = {}

    def __contains__(self, key: int) -> bool:
        return key in self._tees

    def add(self, key: int, tee: Tee) -> None:
        """What is let go of from now on is this tee's too."""
        self.collect()
        self._tees[key] = tee
        self.ends |= tee.ends

    def remove(self, key: int, patience_s: float = 0.0) -> frozenset[int]:
        """Close a tee; returns its ends. KeyError where there is none."""
        tee = self._tees[key]
        self.collect()
        tee.close(patience_s)
        del self._tees[key]
        self.ends = frozenset().union(*(other.ends for other in self._tees.values()))
        return tee.ends

    def gather(self) -> None:
        """Empty the log into the tees where it is enough for a batch. For when it has `ask_at` rows."""
        rows = self.log.rows
        if len(rows) >= GATHER or len(rows[-1][1]) > LARGE_BYTES:
            self.collect()
        else:
            self.ask_at = min(2 * len(rows), GATHER)

    def collect(self) -> None:
        """Empty the log into the tees."""
        rows = self.log.rows
        if not rows:
            return
        left, packets, marks = [row[0] for row in rows], [row[1] for row in rows], self.log.marks
        for tee in self._tees.values():
            if tee.ends == self.ends:
                tee.take(left, packets, marks)
            elif chosen := [n for n, mark in enumerate(marks) if mark >> 8 in tee.ends]:
                tee.take([left[n] for n in chosen], [packets[n] for n in chosen], [marks[n] for n in chosen])
        rows.clear()
        marks.clear()
        self.ask_at = GATHER_LARGE

    def flush(self) -> None:
        """Write what the readers take of what waits for them."""
        for tee in self._tees.values():
            tee.flush()

    def lost(self) -> dict[int, int]:
        """Packets that each tee left out so far."""
        return {key: tee.lost for key, tee in self._tees.items()}

    def close(self, patience_s: float) -> None:
        """The end of all captures."""
        for key in list(self._tees):
            self.remove(key, patience_s)


class Tee:
    """One capture: a non-blocking descriptor and what it has not taken yet."""

    def __init__(self, fd: int, ends: frozenset[int], snaplen: int = 0) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self.ends = ends
        self._cut = VIRTIO + snaplen if snaplen else 0
        self._sealed: deque[memoryview] = deque()
        self.held_bytes = 0
        self.lost = 0  # packets left out so far
        self.broken = False  # the reader has gone

    def take(self, left_s: list[float], packets: list[bytes], marks: list[int]) -> None:
        """Write packets, or leave them out where there is no room."""
        lengths = captured = list(map(len, packets))
        if self._cut:
            packets = [data[: self._cut] for data in packets]
            captured = list(map(len, packets))
        count, size = len(packets), sum(captured)
        if self.broken or self.held_bytes + size + ROW_BYTES * count > LIMIT:
            self.lost += count
            return
        integers = f"{count}I"
        head = HEAD.pack(MAGIC, count, size, self.lost) + pack(f"{count}d", *left_s) + pack(integers, *marks)
        batch = b"".join((head, pack(integers, *captured), pack(integers, *lengths), *packets))
        self.held_bytes += len(batch)
        self._sealed.append(memoryview(batch))
        self.flush()

    def flush(self) -> None:
        """Write what the descriptor takes."""
        while self._sealed:
            batch = self._sealed[0]
            try:
                written = os.write(self._fd, batch)
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
                self.held_bytes = 0
                self._sealed.clear()
                return
            self.held_bytes -= written
            if written < len(batch):
                self._sealed[0] = batch[written:]
            else:
                self._sealed.popleft()

    def close(self, patience_s: float = 0.0) -> None:
        """Flush and close; `patience_s` is how long a slow reader may take for the rest."""
        self.flush()
        while patience_s and self.held_bytes and not self.broken:
            if not select.select([], [self._fd], [], patience_s)[1]:
                break
            self.flush()
        os.close(self._fd)
        self.broken = True


class Batch(NamedTuple):
    """Columns of packets; `body` holds the packets, `captured[n]` bytes of each, virtio headers included."""

    lost: int
    left_s: array[float]
    mark: array[int]
    captured: array[int]
    original: array[int]
    body: memoryview

    def part(self, begin: int, end: int, at: int, after: int) -> Batch:
        """Packets from `begin` to `end`, whose bytes go from `at` to `after`."""
        lost, left_s, mark, captured, original, body = self
        these = slice(begin, end)
        return Batch(lost, left_s[these], mark[these], captured[these], original[these], body[at:after])


class Batches:
    """Cuts a stream into batches, however it comes in pieces. ValueError where it is none of a tee's."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Batch]:
        """The batches that are whole by now."""
        stream = self._rest + data if self._rest else data
        view = memoryview(stream)
        at = 0
        while at + HEAD.size <= len(stream):
            magic, count, size, lost = HEAD.unpack_from(stream, at)
            if magic != MAGIC:
                raise ValueError(f"{magic:#x} where a batch should begin; wanted {MAGIC:#x}")
            after = at + HEAD.size + count * ROW_BYTES + size
            if after > len(stream):
                break
            at += HEAD.size
            columns: list[array[Any]] = []
            for code in COLUMNS:
                column = array(code)
                width = column.itemsize * count
                column.frombytes(view[at : at + width])
                columns.append(column)
                at += width
            left_s, mark, captured, original = columns
            yield Batch(lost, left_s, mark, captured, original, view[at:after])
            at = after
        self._rest = stream[at:]


def records(stream: bytes) -> Iterator[Record]:
    """The packets of the whole batches at the start of `stream`, one by one."""
    for batch in Batches().feed(stream):
        at = 0
        for left_s, mark, captured, original in zip(*batch[1:5], strict=True):
            data = bytes(batch.body[at + VIRTIO : at + captured])
            yield Record(round(left_s * 1e9), mark >> 8, mark & 255, batch.lost, original - VIRTIO, data)
            at += captured
