"""What a primary asks for: certificates of other primaries, and batches through its own workers."""

from __future__ import annotations

from collections.abc import Iterator

from nodes.dagbft.kinds import MOST_DIGESTS
from nodes.dagbft.messages import CertRequest, Synchronize
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.payload import Name
from nodes.dagbft.primary.waiting import Requests

MOST_ANCESTORS = 64  # of a block's author that are asked for with it, where one missing block led to another


def _pieces(digests: list[bytes]) -> Iterator[tuple[bytes, ...]]:
    for at in range(0, len(digests), MOST_DIGESTS):
        yield tuple(digests[at : at + MOST_DIGESTS])


class CertificateRequests(Requests[bytes]):
    """Certificates by their digests.

    A chain of blocks that nobody has referenced would surface one level a round trip. So whoever asked for a block, and
    lacks its parents too, asks for these with their ancestors.
    """

    def __init__(self, me: int, n: int, retry_s: float, peers: int) -> None:
        super().__init__(me, n, retry_s, peers)
        self._deep: set[bytes] = set()

    def want_deep(self, digest: bytes) -> None:
        """Ask for its ancestors, too."""
        self._deep.add(digest)

    def send(self, now_s: float, effects: Effects) -> None:
        """Ask for what is due."""
        if now_s < self.next_s:
            return
        self._deep.intersection_update(self._wishes)
        asked: dict[tuple[int, int], list[bytes]] = {}
        for digest, peers in self.due(now_s).items():
            for peer in peers:
                asked.setdefault((peer, MOST_ANCESTORS if digest in self._deep else 0), []).append(digest)
        for (peer, ancestors), digests in asked.items():
            effects.send += [(peer, CertRequest(piece, 0, ancestors)) for piece in _pieces(digests)]

    def ask_newest(self, nonce: int, effects: Effects) -> None:
        """Ask everybody for the newest certificate that they hold."""
        effects.send.append((ALL, CertRequest((), nonce)))


class SynchronizeRequests(Requests[Name]):
    """Batches: the own worker that has the same number as the one that a header names must fetch them."""

    def send(self, now_s: float, effects: Effects) -> None:
        """Ask for what is due."""
        if now_s < self.next_s:
            return
        asked: dict[tuple[int, tuple[int, ...]], list[bytes]] = {}
        for (digest, worker), peers in self.due(now_s).items():
            asked.setdefault((worker, peers), []).append(digest)
        for (worker, peers), digests in asked.items():
            effects.workers += [(worker, Synchronize(piece, peers)) for piece in _pieces(digests)]
