"""Requests for missing items, with retries: certificates from other primaries, and batches through own workers.

Invariant: an item is requested only if a suspended item lacks it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodes.dagbft.field_types import MOST_DIGESTS
from nodes.dagbft.messages import BlockRequest, CertRequest, Synchronize
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.payload import Name

K = TypeVar("K", bound=Hashable)

MOST_ANCESTORS = 64  # earlier blocks of the same author, requested with a block


@dataclass(slots=True)
class _Request:
    hints: tuple[int, ...]  # peers that should have the item
    due_s: float
    fresh: tuple[int, ...]  # those of `hints` that have not been asked yet
    renewed_s: float  # when `request` was last called for it


class Requests(Generic[K]):
    """Open requests with their retries: first to peers that should have the item, then to `peers` others in turn.

    A peer that becomes known later to have the item is asked at once, so a first peer that does not answer costs at
    most a round trip. `grace_s` is the time in which an item may arrive without a request.
    """

    def __init__(self, me: int, n: int, retry_s: float, peers: int, grace_s: float = 0.0) -> None:
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._peers = peers
        self._grace_s = grace_s
        self._open: dict[K, _Request] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._open)

    def request(self, key: K, hints: tuple[int, ...], now_s: float) -> None:
        """Ask these peers (`hints`) after `grace_s`, except those that have been asked already."""
        request = self._open.get(key)
        known = request.hints if request is not None else ()
        fresh = tuple(hint for hint in dict.fromkeys(hints) if hint in self._others and hint not in known)
        if request is None:
            self._open[key] = _Request(fresh, now_s + self._grace_s, fresh, now_s)
            return
        request.renewed_s = now_s
        if fresh:
            request.hints, request.fresh = known + fresh, request.fresh + fresh
            request.due_s = min(request.due_s, now_s + self._grace_s)

    def received(self, key: K) -> bool:
        """The item has arrived: close its request. Returns whether there was one."""
        return self._open.pop(key, None) is not None

    def expire(self, before_s: float) -> None:
        """Drop the requests that were last renewed before this time."""
        for key in [key for key, request in self._open.items() if request.renewed_s < before_s]:
            del self._open[key]

    def keep(self, needed: Callable[[K], bool]) -> None:
        """Drop the requests for items that are not needed any more."""
        for key in [key for key in self._open if not needed(key)]:
            del self._open[key]

    def due(self, now_s: float) -> dict[K, tuple[int, ...]]:
        """The peers to ask now, by item; each is asked again after `retry_s`."""
        asked: dict[K, tuple[int, ...]] = {}
        for key, request in self._open.items():
            if request.due_s > now_s:
                continue
            asked[key] = request.fresh or self._next()
            request.fresh = ()
            request.due_s = now_s + self._retry_s
        return asked

    def _next(self) -> tuple[int, ...]:
        """The next few peers in turn."""
        others, count = self._others, min(self._peers, len(self._others))
        chosen = tuple(others[(self._turn + step) % len(others)] for step in range(count))
        self._turn = (self._turn + count) % len(others)
        return chosen

    @property
    def next_s(self) -> float:
        """When the next request is due; infinity if none is open."""
        if not self._open:
            return float("inf")
        return min(request.due_s for request in self._open.values())


def _pieces(digests: list[bytes]) -> Iterator[tuple[bytes, ...]]:
    for at in range(0, len(digests), MOST_DIGESTS):
        yield tuple(digests[at : at + MOST_DIGESTS])


class DagRequests(Requests[bytes]):
    """Requests for certificates, or blocks without certificates, by their digests; `message` makes the request.

    Without ancestors a chain of missing blocks would arrive at one level per round trip. So a primary that requested a
    block and lacks its parents too requests these with their ancestors.
    """

    def __init__(
        self, me: int, n: int, retry_s: float, peers: int, message: type[CertRequest] | type[BlockRequest]
    ) -> None:
        super().__init__(me, n, retry_s, peers)
        self._message = message
        self._deep: set[bytes] = set()

    def request_ancestors(self, digest: bytes) -> None:
        """When this certificate is requested, request its ancestors too."""
        self._deep.add(digest)

    def send(self, now_s: float, effects: Effects) -> None:
        """Put the requests that are due into `effects`."""
        if now_s < self.next_s:
            return
        self._deep.intersection_update(self._open)
        asked: dict[tuple[int, int], list[bytes]] = {}
        for digest, peers in self.due(now_s).items():
            for peer in peers:
                asked.setdefault((peer, MOST_ANCESTORS if digest in self._deep else 0), []).append(digest)
        for (peer, ancestors), digests in asked.items():
            effects.send += [(peer, self._message(piece, 0, ancestors)) for piece in _pieces(digests)]

    def ask_newest(self, nonce: int, effects: Effects) -> None:
        """Ask all validators for the newest block that they hold."""
        effects.send.append((ALL, self._message((), nonce)))


class SynchronizeRequests(Requests[Name]):
    """Requests for batches: the own worker with the number that the header names must fetch them."""

    def send(self, now_s: float, effects: Effects) -> None:
        """Put the requests that are due into `effects`."""
        if now_s < self.next_s:
            return
        asked: dict[tuple[int, tuple[int, ...]], list[bytes]] = {}
        for (digest, worker), peers in self.due(now_s).items():
            asked.setdefault((worker, peers), []).append(digest)
        for (worker, peers), digests in asked.items():
            effects.workers += [(worker, Synchronize(piece, peers)) for piece in _pieces(digests)]
