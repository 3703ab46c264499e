"""A reliable link: what one process has to say to another, kept until it is acknowledged.

No sockets and no time: connections come and go, and this is what outlives them. Invariant: a message that `send` took
arrives exactly once and in order as long as neither process restarts, unless `forget` dropped it; what it did not take
is counted. A receiver tells a restarted sender by its incarnation and begins to count anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from emulator.sdk.transport.frames import data_head

OVERHEAD_BYTES = 200  # what keeping a message takes beside its own bytes


class _Kept(NamedTuple):
    number: int
    round: int | None
    data: bytes


@dataclass(slots=True)
class LinkCounts:
    """What a link did."""

    sent: int = 0  # messages written, each time
    replayed: int = 0  # of them again, after a lost connection
    received: int = 0
    duplicates: int = 0  # received again, and passed over
    full: int = 0  # messages not taken: no room
    forgotten: int = 0  # dropped because their round was collected


class ReliableLink:
    """Both directions of the talk with one peer. `most_bytes` bounds what is kept."""

    def __init__(self, incarnation: int, most_bytes: int) -> None:
        self.incarnation = incarnation
        self.counts = LinkCounts()
        self.heard_incarnation = 0
        self.heard = 0  # number of the last message that arrived
        self.acknowledged = 0  # how much of that the peer was told
        self._most_bytes = most_bytes
        self._next = 1
        self._written = 0  # the highest number that was ever written
        self._unacknowledged: deque[_Kept] = deque()  # written to the present connection
        self._waiting: deque[_Kept] = deque()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    @property
    def waiting(self) -> bool:
        """Whether there is something to write."""
        return bool(self._waiting)

    def send(self, data: bytes, round: int | None = None) -> bool:
        """Take a message; False where there is no room. One without a round is never forgotten."""
        size = len(data) + OVERHEAD_BYTES
        if self._bytes + size > self._most_bytes:
            self.counts.full += 1
            return False
        self._waiting.append(_Kept(self._next, round, data))
        self._next += 1
        self._bytes += size
        return True

    def connected(self, incarnation: int, heard_incarnation: int, heard: int) -> None:
        """A new connection: the peer's incarnation, and how far it has heard which incarnation of ours."""
        if incarnation != self.heard_incarnation:
            self.heard_incarnation, self.heard = incarnation, 0
        self.acknowledged = self.heard  # our greeting tells
        self._waiting.extendleft(reversed(self._unacknowledged))
        self._unacknowledged.clear()
        if heard_incarnation == self.incarnation:
            self._drop(self._waiting, min(heard, self._written))

    def take(self, most_bytes: int) -> list[bytes]:
        """Frames to write now, in pieces to be joined: one message or more, until there are `most_bytes`."""
        pieces: list[bytes] = []
        counts, size = self.counts, 0
        while self._waiting and size < most_bytes:
            kept = self._waiting.popleft()
            self._unacknowledged.append(kept)
            pieces += (data_head(kept.number, len(kept.data)), kept.data)
            size += len(kept.data)
            counts.sent += 1
            if kept.number > self._written:
                self._written = kept.number
            else:
                counts.replayed += 1
        return pieces

    def acked(self, number: int) -> None:
        """The peer has everything up to and with `number`."""
        self._drop(self._unacknowledged, number)

    def _drop(self, kept: deque[_Kept], number: int) -> None:
        while kept and kept[0].number <= number:
            self._bytes -= len(kept.popleft().data) + OVERHEAD_BYTES

    def fresh(self, number: int) -> bool:
        """Whether a message that arrived is a new one. Numbers may have gaps: what was forgotten."""
        if number <= self.heard:
            self.counts.duplicates += 1
            return False
        self.heard = number
        self.counts.received += 1
        return True

    def forget(self, round: int) -> None:
        """Drop what is kept of this round and earlier ones."""

        def stays(kept: _Kept) -> bool:
            return kept.round is None or kept.round > round

        for name in ("_unacknowledged", "_waiting"):
            self._filter(name, stays)

    def _filter(self, name: str, stays: Callable[[_Kept], bool]) -> None:
        kept: deque[_Kept] = getattr(self, name)
        gone = [each for each in kept if not stays(each)]
        if gone:
            setattr(self, name, deque(each for each in kept if stays(each)))
            self.counts.forgotten += len(gone)
            self._bytes -= sum(len(each.data) + OVERHEAD_BYTES for each in gone)
