"""What one neighbour is still to be told, and how fast it may speak and be spoken to.

Invariant: an entry that the neighbour is to have is either ready to be said, or was said and waits for its
acknowledgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.xroute.flooding.pace import TokenBucket

__all__ = ["Neighbour"]


@dataclass(slots=True)
class _Said:
    due_ms: int  # when it is said again
    times: int


@dataclass(slots=True)
class Neighbour:
    """Entries by key. Times are in milliseconds."""

    speaking: TokenBucket
    hearing: TokenBucket
    resync_ms: int  # when databases are compared again
    _ready: dict[bytes, int] = field(default_factory=dict)  # how often each was said before
    _waiting: dict[bytes, _Said] = field(default_factory=dict)

    def __len__(self) -> int:
        """Entries that are to be said, or to be acknowledged."""
        return len(self._ready) + len(self._waiting)

    @property
    def ready(self) -> Sequence[bytes]:
        """What is to be said now."""
        return tuple(self._ready)

    def want(self, key: bytes) -> None:
        """It lacks the entry: say it, unless that has been said and its acknowledgement may still come."""
        if key not in self._waiting:
            self._ready.setdefault(key, 0)

    def renew(self, key: bytes) -> None:
        """There is a new version: say it, whatever was said."""
        self._waiting.pop(key, None)
        self._ready[key] = 0

    def said(self, key: bytes, again_ms: int) -> int:
        """It was said; how often before."""
        times = self._ready.pop(key)
        self._waiting[key] = _Said(again_ms, times + 1)
        return times

    def settle(self, key: bytes) -> None:
        """There is nothing to be said of the entry."""
        self._ready.pop(key, None)
        self._waiting.pop(key, None)

    def repeat(self, now_ms: int) -> None:
        """Make ready what was said and not acknowledged in time."""
        for key in [key for key, said in self._waiting.items() if said.due_ms <= now_ms]:
            self._ready[key] = self._waiting.pop(key).times
