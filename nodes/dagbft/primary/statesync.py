"""State sync: a validator that needs commits which others have deleted takes a snapshot from them.

Invariant: a snapshot is adopted only if f + 1 validators have offered its digest, one of them correct. Memory is
bounded: two offers of each validator, and the agreed number of parts. A peer that sends parts of another snapshot costs
one fetch, is counted, and is not asked for this snapshot again; a peer that does not answer costs the wait for one
part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.dagbft.execution.snapshot import snapshot_digest
from nodes.dagbft.messages import Message, SnapshotOffer, SnapshotPart, SnapshotRequest, StateRequest
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.pace import NEVER

OFFERS = 2  # of one validator: as many snapshots as a correct one keeps
MOST_ASKED = 4  # rounds of requests for offers; after these, only a new offer starts the search again
PATIENCE = 4  # timeout of a part, in retry times


@dataclass(slots=True)
class _Fetch:
    """The fetch of a snapshot that f + 1 validators have offered."""

    offer: SnapshotOffer
    peers: list[int]  # that have offered it, in order of arrival
    turn: int = 0  # index of the peer that is asked
    asked: bool = False  # whether the next part has been requested
    parts: list[bytes] = field(default_factory=list)


class StateSync:
    """Chooses the peers to ask for offers and parts, and the times. `enough` is f + 1; `reject` counts a peer's faults.

    A part that is not expected is no fault of the peer: it was requested, possibly before a restart, and arrived too
    late. It is counted in `counts`.
    """

    def __init__(self, enough: int, retry_s: float, reject: Callable[[str, int], None], counts: Counter[str]) -> None:
        self.due_s = NEVER
        self._enough = enough
        self._retry_s = retry_s
        self._reject = reject
        self._counts = counts
        self._since = 0  # commits that were held at the beginning
        self._asked = 0  # rounds of requests for offers
        self._offers: dict[int, list[SnapshotOffer]] = {}  # by peer
        self._fetch: _Fetch | None = None

    def offered(self, peer: int, offer: SnapshotOffer, commits: int, now_s: float) -> None:
        """A peer offers a snapshot. This validator holds `commits` commits."""
        if offer.commits <= commits:
            return
        if self.due_s == NEVER:
            self._since, self.due_s = commits, now_s
        self._offers[peer] = [*self._offers.get(peer, ()), offer][-OFFERS:]
        fetch = self._fetch
        if fetch is not None:
            if offer == fetch.offer and peer not in fetch.peers:
                fetch.peers.append(peer)
            return
        named = Counter(each for offers in self._offers.values() for each in set(offers))
        agreed = [each for each, count in named.items() if count >= self._enough]
        if agreed:
            chosen = max(agreed, key=lambda each: each.commits)
            self._fetch = _Fetch(chosen, [each for each, offers in self._offers.items() if chosen in offers])
            self.due_s = now_s

    def ask(self, commits: int, now_s: float) -> list[tuple[int, Message]]:
        """The requests that are due, with their peers; none any more once the validator makes progress by itself."""
        if now_s < self.due_s:
            return []
        if commits > self._since:
            self._end()
            return []
        fetch = self._fetch
        if fetch is not None and fetch.asked:  # the part is overdue
            fetch = self._next(fetch)
        if fetch is None:
            return self._ask_all(commits, now_s)
        fetch.asked, self.due_s = True, now_s + PATIENCE * self._retry_s
        return [(fetch.peers[fetch.turn], SnapshotRequest(fetch.offer.commits, len(fetch.parts)))]

    def part(self, peer: int, message: SnapshotPart, now_s: float) -> bytes | None:
        """Add a part; returns the whole snapshot if it was the last part and the digest is the agreed one."""
        fetch = self._fetch
        expected = fetch and fetch.asked and (fetch.peers[fetch.turn], fetch.offer.commits, len(fetch.parts))
        if fetch is None or expected != (peer, message.commits, message.part):
            self._counts["unawaited parts"] += 1
            return None
        fetch.parts.append(message.body)
        fetch.asked, self.due_s = False, now_s
        if len(fetch.parts) < fetch.offer.parts:
            return None
        data = b"".join(fetch.parts)
        if snapshot_digest(data) == fetch.offer.digest:
            self._end()
            return data
        self._reject("snapshot", peer)
        self._next(fetch)
        return None

    def _next(self, fetch: _Fetch) -> _Fetch | None:
        """Restart the fetch with the next peer that has the snapshot; None if none is left: ask all for offers."""
        fetch.turn, fetch.asked, fetch.parts = fetch.turn + 1, False, []
        if fetch.turn == len(fetch.peers):
            self._fetch, self._offers = None, {}
        return self._fetch

    def _ask_all(self, commits: int, now_s: float) -> list[tuple[int, Message]]:
        self._asked += 1
        if self._asked > MOST_ASKED:
            self._end()
            return []
        self.due_s = now_s + self._retry_s
        return [(ALL, StateRequest(commits))]

    def _end(self) -> None:
        self.due_s, self._asked, self._offers, self._fetch = NEVER, 0, {}, None
