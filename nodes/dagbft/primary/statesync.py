"""State sync: a validator whose past others have deleted takes a snapshot from them.

Invariant: a snapshot is adopted only where f + 1 validators have named its digest, one of them correct. Beside offers,
two of each validator, no more is held than the agreed number of parts. Who sends parts of another snapshot costs a
fetch, is counted, and is not asked for this one again; who keeps silent costs the wait for one part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.dagbft.execution.snapshot import snapshot_digest
from nodes.dagbft.messages import Message, SnapshotOffer, SnapshotPart, SnapshotRequest, StateRequest
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.pace import NEVER

OFFERS = 2  # of one validator that are looked at: so many snapshots does a correct one keep
MOST_ASKED = 4  # times that all are asked for offers; then it is for the next one who offers to begin this anew
PATIENCE = 4  # retry times that a part may take


@dataclass(slots=True)
class _Fetch:
    """A snapshot that enough have named."""

    offer: SnapshotOffer
    peers: list[int]  # that have it, as they came
    turn: int = 0  # which of these is asked
    asked: bool = False  # for the next part
    parts: list[bytes] = field(default_factory=list)


class StateSync:
    """Whom to ask for offers and parts, when. `enough` is f + 1; `reject` counts what a peer did wrong.

    A part that is not waited for is nobody's fault: it was asked for, and came too late, or in a former life. It is
    counted among `counts`.
    """

    def __init__(self, enough: int, retry_s: float, reject: Callable[[str, int], None], counts: Counter[str]) -> None:
        self.due_s = NEVER
        self._enough = enough
        self._retry_s = retry_s
        self._reject = reject
        self._counts = counts
        self._since = 0  # commits that were held when it began
        self._asked = 0  # times that all were asked for offers
        self._offers: dict[int, list[SnapshotOffer]] = {}  # by peer
        self._fetch: _Fetch | None = None

    def offered(self, peer: int, offer: SnapshotOffer, commits: int, now_s: float) -> None:
        """A peer has a snapshot. This validator holds `commits` commits."""
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
        """What is due to be asked, and whom. Where the validator goes on without, nothing more."""
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
        """A part has come; the whole snapshot, where it was the last one and the digest is what was agreed."""
        fetch = self._fetch
        wanted = fetch and fetch.asked and (fetch.peers[fetch.turn], fetch.offer.commits, len(fetch.parts))
        if fetch is None or wanted != (peer, message.commits, message.part):
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
        """Ask the next of those that have it, from the first part on; where none is left, all for offers."""
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
