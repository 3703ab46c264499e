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

Invariant: the tee never blocks the relay and never holds more than LIMIT bytes; what does not fit is counted.
"""

from __future__ import annotations

import os
import select
from array import array
from collections import deque
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from emulator.link.packet import VIRTIO

HEAD = Struct("=IIQQ")
MAGIC = 0x536B7954
ROW_BYTES = 28  # of the columns, for each packet
LIMIT = 4 * 2**20
FLUSH_BYTES = 128 * 2**10  # packets gather up to this, or until the relay has nothing else to do
RETRY_EVERY = 64  # packets left out between two attempts to write


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
        self._left: list[float] = []
        self._arrives: list[float] = []
        self._marks: list[int] = []
        self._packets: list[bytes] = []
        self._lost_before = 0
        self._sealed: deque[memoryview] = deque()
        self._flush_at = FLUSH_BYTES
        self.held_bytes = 0  # in the lists and sealed
        self.lost = 0
        self.broken = False  # the reader has gone

    def add(self, end: int, left_s: float, arrives_s: float, cause: int, data: bytes) -> None:
        """Take a packet. Some 0.3 µs; what costs more is done for many at a time."""
        held = self.held_bytes + len(data) + ROW_BYTES
        if held > LIMIT or self.broken:
            self._lose()
            return
        self.held_bytes = held
        self._left.append(left_s)
        self._arrives.append(arrives_s)
        self._marks.append(end << 8 | cause)
        self._packets.append(data)
        if held > self._flush_at:
            self.flush()

    def _lose(self) -> None:
        self.lost += 1
        if self._left:
            self._seal()
        self._lost_before = self.lost  # the next batch says what is missing before it
        if self.lost % RETRY_EVERY == 0:
            self.flush()

    def _seal(self) -> None:
        """Make a batch of the lists."""
        packets = self._packets
        original = captured = array("I", map(len, packets))
        if self._cut:
            packets = [data[: self._cut] for data in packets]
            captured = array("I", map(len, packets))
        body = b"".join(packets)
        head = HEAD.pack(MAGIC, len(packets), len(body), self._lost_before)
        columns = (array("d", self._left), array("d", self._arrives), array("I", self._marks), captured, original)
        batch = b"".join((head, *columns, body))
        self.held_bytes += len(batch) - sum(original) - ROW_BYTES * len(packets)
        self._sealed.append(memoryview(batch))
        self._left, self._arrives, self._marks, self._packets = [], [], [], []
        self._lost_before = self.lost

    def flush(self) -> None:
        """Write what the descriptor takes."""
        while (self._sealed or self._left) and not self.broken:
            if not self._sealed:
                self._seal()
            batch = self._sealed[0]
            try:
                written = os.write(self._fd, batch)
            except BlockingIOError:
                break
            except OSError:
                self.broken = True
                self.held_bytes = 0
                self._sealed.clear()
                self._left, self._arrives, self._marks, self._packets = [], [], [], []
                return
            self.held_bytes -= written
            if written < len(batch):
                self._sealed[0] = batch[written:]
            else:
                self._sealed.popleft()
        self._flush_at = self.held_bytes + FLUSH_BYTES

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
