"""The capture tee: what crossed chosen link ends, in compact batches on a descriptor.

Another process makes pcapng of it. A batch is HEAD and then columns of `count` values each, in the machine's byte
order, so that the relay packs a thousand packets by a few calls:

    HEAD       magic, count, bytes of packets that follow the columns, packets that this tee left out before this batch
    left_s     f64  scenario time at which the packet left its sender, or was dropped
    arrives_s  f64  asked arrival at the far end; equal to left_s for a dropped packet
    mark       u32  link end · 256 + EndStats index of the drop's cause (0: the packet was sent)
    captured   u32  bytes that follow of this packet
    original   u32  bytes that it had
    packets         their bytes, one behind the other, each with its virtio header

Invariant: the tee never blocks the relay, and holds at most LIMIT bytes and GATHER packets; what does not fit is
counted.
"""

from __future__ import annotations

import os
import select
from array import array
from collections import deque
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from emulator.link.item import Tap
from emulator.link.packet import VIRTIO

HEAD = Struct("=IIQQ")
MAGIC = 0x536B7954
ROW_BYTES = 28  # of the columns, for each packet
LIMIT = 16 * 2**20
GATHER = 512  # packets make a batch; fewer where the relay has nothing else to do
GATHER_LARGE, LARGE_BYTES = 64, 4096  # or as many where they are large


class Record(NamedTuple):
    left_ns: int
    arrives_ns: int
    end: int
    cause: int
    lost: int
    original: int
    data: bytes  # without the virtio header


class Tee:
    """One capture: a non-blocking descriptor and what it has not taken yet."""

    def __init__(self, fd: int, ends: frozenset[int], snaplen: int = 0) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self.ends = ends
        self._cut = VIRTIO + snaplen if snaplen else 0
        self._rows: list[tuple[int, float, float, bytes]] = []  # mark, left_s, arrives_s, packet
        self._sealed: deque[memoryview] = deque()
        self.held_bytes = 0  # sealed
        self._lost = 0
        self.broken = False  # the reader has gone

    @property
    def lost(self) -> int:
        """Packets left out so far."""
        return self._lost + (len(self._rows) if self.broken else 0)

    def tap(self, end: int) -> Tap:
        """What takes the packets of a link end: some 0.2 µs each; what costs more is done for many at a time."""
        rows, mark = self._rows, end << 8

        def tap(left_s: float, arrives_s: float, cause: int, data: bytes) -> None:
            rows.append((mark | cause, left_s, arrives_s, data))
            count = len(rows)
            if count >= GATHER_LARGE and (count >= GATHER or len(data) > LARGE_BYTES):
                self.flush()

        return tap

    def _seal(self) -> None:
        """Make a batch of the rows, or leave them out where there is no room."""
        marks, left, arrives, packets = zip(*self._rows, strict=True)
        self._rows.clear()  # the same list: taps hold it
        original = captured = array("I", map(len, packets))
        if self._cut:
            packets = tuple([data[: self._cut] for data in packets])
            captured = array("I", map(len, packets))
        size = sum(captured)
        if self.broken or self.held_bytes + size + ROW_BYTES * len(packets) > LIMIT:
            self._lost += len(packets)
            return
        head = HEAD.pack(MAGIC, len(packets), size, self._lost)
        columns = (array("d", left), array("d", arrives), array("I", marks), captured, original)
        batch = memoryview(b"".join((head, *columns, *packets)))
        self.held_bytes += len(batch)
        self._sealed.append(batch)

    def flush(self) -> None:
        """Write what the descriptor takes."""
        if self._rows:
            self._seal()
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
    arrives_s: array[float]
    mark: array[int]
    captured: array[int]
    original: array[int]
    body: memoryview


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
            for code in "ddIII":
                column = array(code)
                width = column.itemsize * count
                column.frombytes(view[at : at + width])
                columns.append(column)
                at += width
            left_s, arrives_s, mark, captured, original = columns
            yield Batch(lost, left_s, arrives_s, mark, captured, original, view[at:after])
            at = after
        self._rest = stream[at:]


def records(stream: bytes) -> Iterator[Record]:
    """The packets of the whole batches at the start of `stream`, one by one."""
    for batch in Batches().feed(stream):
        at = 0
        for left_s, arrives_s, mark, captured, original in zip(*batch[1:6], strict=True):
            data = bytes(batch.body[at + VIRTIO : at + captured])
            left_ns, arrives_ns = round(left_s * 1e9), round(arrives_s * 1e9)
            yield Record(left_ns, arrives_ns, mark >> 8, mark & 255, batch.lost, original - VIRTIO, data)
            at += captured
