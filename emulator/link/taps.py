"""Captures: the packets of chosen link ends, in compact batches on a descriptor.

The engine keeps the packets of each capture in a ring (a tap); the relay's main thread writes them out, and another
process converts them to pcapng. A batch is HEAD and then columns of `count` values each, in the machine's byte order:

    HEAD       magic, count, bytes of packets that follow the columns, packets left out before this batch
    left_s     f64  scenario time at which the packet left its sender, or was dropped
    mark       u32  link end · 256 + EndStats index of the drop's cause (0: the packet was sent)
    captured   u32  bytes that follow of this packet
    original   u32  bytes that it had
    packets         their bytes, one behind the other, each with its virtio header

Invariant: a capture never stops the engine, and holds at most LIMIT bytes; what does not fit is counted.
"""

from __future__ import annotations

import os
import select
import time
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple, Protocol

from emulator.link.engine.structures import CONSTANTS, TAPS
from emulator.link.packet import VIRTIO

HEAD = Struct("=IIQQ")
MAGIC = CONSTANTS["TAP_MAGIC"]
COLUMNS = "dIII"
ROW_BYTES = 20  # of the columns, for each packet
LIMIT = 64 * 2**20  # half a second at 1 Gbit/s, in which the writer may have no core
PUMP_BYTES = 8 * 2**20  # written by one capture before the next has its turn


class Record(NamedTuple):
    left_ns: int
    end: int
    cause: int
    lost: int
    original: int
    data: bytes  # without the virtio header


class HasTaps(Protocol):
    """The part of the engine that captures use."""

    def open_tap(self, tap: int, room: int, snaplen: int = 0) -> None: ...
    def close_tap(self, tap: int) -> None: ...
    def drain_tap(self, tap: int) -> bytes: ...
    def tap_lost(self, tap: int) -> int: ...


class Captures:
    """The captures of one relay by their key. The caller sends the masks of ends (`mask`) to the engine."""

    def __init__(self, engine: HasTaps) -> None:
        self._engine = engine
        self._all: dict[int, Capture] = {}
        self._lost: dict[int, int] = {}  # of those that were open at the end

    def __contains__(self, key: int) -> bool:
        return key in self._all

    def __len__(self) -> int:
        return len(self._all)

    def mask(self, end: int) -> int:
        """Bit n: tap n captures this link end."""
        return sum(1 << capture.tap for capture in self._all.values() if end in capture.ends)

    def open(self, key: int, fd: int, ends: frozenset[int], snaplen: int = 0) -> None:
        """Begin a capture of these ends to `fd`, which is closed at its end. ValueError if there are too many."""
        free = set(range(TAPS)) - {capture.tap for capture in self._all.values()}
        if not free:
            raise ValueError(f"{TAPS} captures are running; expected at most {TAPS} at a time")
        tap = min(free)
        self._engine.open_tap(tap, LIMIT, snaplen)
        self._all[key] = Capture(self._engine, tap, fd, ends)

    def forget(self, key: int) -> frozenset[int]:
        """Remove the ends of a capture; returns them. KeyError if there is no such capture."""
        ends, self._all[key].ends = self._all[key].ends, frozenset()
        return ends

    def pump(self) -> None:
        """Write as many captured packets as the readers accept."""
        for capture in self._all.values():
            capture.pump()

    def lost(self) -> dict[int, int]:
        """Packets that each capture has lost so far."""
        return self._lost | {key: capture.lost for key, capture in self._all.items()}

    def close_one(self, key: int, patience_s: float = 0.0) -> int:
        """End a capture whose ends have been removed in the engine; `patience_s`: how long its reader may take. Returns
        how many packets it has lost in all."""
        return self._all.pop(key).close(patience_s)

    def close(self, patience_s: float) -> None:
        """End all captures."""
        for key in list(self._all):
            self._lost[key] = self.close_one(key, patience_s)


class Capture:
    """One capture: a tap of the engine, and a non-blocking descriptor with the rest of its unwritten batch."""

    def __init__(self, engine: HasTaps, tap: int, fd: int, ends: frozenset[int]) -> None:
        os.set_blocking(fd, False)
        self._engine, self._fd = engine, fd
        self.tap, self.ends = tap, ends
        self._batch = memoryview(b"")
        self._packets = 0  # in the batch
        self._unread = 0  # packets that no reader took
        self.broken = False

    @property
    def lost(self) -> int:
        """Packets lost so far."""
        return self._engine.tap_lost(self.tap) + self._unread

    def pump(self, most: int = PUMP_BYTES) -> bool:
        """Write as much as the descriptor accepts, about `most` bytes; returns whether nothing is left."""
        written = 0
        while written < most:
            if not self._batch and not self._drain():
                return True
            if self.broken:
                self._leave_out()
                continue
            try:
                count = os.write(self._fd, self._batch)
            except BlockingIOError:
                return False
            except OSError:
                self.broken = True
                continue
            written += count
            self._batch = self._batch[count:]
        return False

    def close(self, patience_s: float = 0.0) -> int:
        """Write the rest and close; `patience_s` is how long a slow reader may take for each part of it, and a quarter
        of what it may take for all. Returns how many packets the capture has lost, those that nobody took among them.
        """
        deadline = time.monotonic() + 4 * patience_s
        while not self.pump() and not self.broken and time.monotonic() < deadline:
            if not select.select([], [self._fd], [], patience_s)[1]:
                break
        while self._batch or self._drain():
            self._leave_out()
        lost = self.lost
        os.close(self._fd)
        self._engine.close_tap(self.tap)
        return lost

    def _drain(self) -> bool:
        """Take the next batch; whether there is one."""
        self._batch = memoryview(self._engine.drain_tap(self.tap))
        self._packets = HEAD.unpack_from(self._batch)[1] if self._batch else 0
        return bool(self._batch)

    def _leave_out(self) -> None:
        self._unread += self._packets
        self._batch = memoryview(b"")


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
    """Splits a stream into batches, whatever its pieces. ValueError if it is not a stream of batches."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def torn(self) -> int:
        """Packets of a batch of which only a part has come."""
        return int(HEAD.unpack_from(self._rest)[1]) if len(self._rest) >= HEAD.size else 0

    def feed(self, data: bytes) -> Iterator[Batch]:
        """The batches that are complete now."""
        stream = self._rest + data if self._rest else data
        view = memoryview(stream)
        at = 0
        while at + HEAD.size <= len(stream):
            magic, count, size, lost = HEAD.unpack_from(stream, at)
            if magic != MAGIC:
                raise ValueError(f"{magic:#x} where a batch should begin; expected {MAGIC:#x}")
            if count * ROW_BYTES + size > LIMIT:
                raise ValueError(f"a batch of {count} packets and {size} bytes; expected {LIMIT} at most")
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
            if sum(captured) != size:
                raise ValueError(f"packets of {sum(captured)} bytes in a batch of {size}")
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
