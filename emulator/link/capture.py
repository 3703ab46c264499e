"""The capture tee: what crossed chosen link ends, as compact records on a descriptor.

Another process makes pcapng of it. A record is RECORD (little endian) and then `captured` bytes of the packet, IP
packet or Ethernet frame, without its virtio header:

    captured u32   bytes that follow
    left_ns i64    scenario time at which the packet left its sender, or was dropped
    arrives_ns i64 asked arrival at the far end; equal to left_ns for a dropped packet
    end i32        link end
    cause u16      EndStats index of the drop's cause, 0 for a packet that was sent
    lost u32       records that this tee had to leave out so far, because the reader was too slow
    original u32   length of the packet

Invariant: the tee never blocks the relay and never holds more than LIMIT bytes; what does not fit is counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from emulator.link.packet import VIRTIO

RECORD = Struct("<IqqiHII")
LIMIT = 4 * 2**20
FLUSH_BYTES = 32 * 2**10


class Record(NamedTuple):
    left_ns: int
    arrives_ns: int
    end: int
    cause: int
    lost: int
    original: int
    data: bytes


class Tee:
    """One capture: a non-blocking descriptor and what it has not taken yet."""

    def __init__(self, fd: int, ends: frozenset[int], snaplen: int = 0) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self.ends = ends
        self._snaplen = snaplen or 2**16 + 64
        self._pending = bytearray()
        self.lost = 0
        self.broken = False  # the reader has gone

    def add(self, end: int, left_s: float, arrives_s: float, cause: int, data: bytes) -> None:
        body = data[VIRTIO : VIRTIO + self._snaplen]
        if self.broken or len(self._pending) + RECORD.size + len(body) > LIMIT:
            self.lost += 1
            return
        head = (len(body), round(left_s * 1e9), round(arrives_s * 1e9), end, cause, self.lost, len(data) - VIRTIO)
        self._pending += RECORD.pack(*head)
        self._pending += body
        if len(self._pending) > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what the descriptor takes."""
        if not self._pending or self.broken:
            return
        try:
            written = os.write(self._fd, self._pending)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            return
        del self._pending[:written]

    def close(self, patience_s: float = 0.0) -> None:
        """Flush and close; `patience_s` is how long a slow reader may take for the rest."""
        if patience_s and self._pending and not self.broken:
            os.set_blocking(self._fd, True)
            import select

            while self._pending and not self.broken and select.select([], [self._fd], [], patience_s)[1]:
                os.set_blocking(self._fd, False)
                self.flush()
        self.flush()
        os.close(self._fd)
        self.broken = True


def records(stream: bytes) -> Iterator[Record]:
    """Whole records at the start of `stream`; use `consumed` to know where the rest begins."""
    at = 0
    while at + RECORD.size <= len(stream):
        captured, left, arrives, end, cause, lost, original = RECORD.unpack_from(stream, at)
        if at + RECORD.size + captured > len(stream):
            return
        at += RECORD.size
        yield Record(left, arrives, end, cause, lost, original, stream[at : at + captured])
        at += captured


def consumed(stream: bytes) -> int:
    """Bytes of the whole records at the start of `stream`."""
    at = 0
    while at + RECORD.size <= len(stream):
        after = at + RECORD.size + RECORD.unpack_from(stream, at)[0]
        if after > len(stream):
            break
        at = after
    return at
