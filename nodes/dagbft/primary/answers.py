"""What others may ask of a primary: certificates by their digests, and what was committed since.

Invariant: an answer is no longer than a reply may be, and a peer gets no more than its share of answers a second, so
that a flood of requests costs neither memory nor much time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from nodes.dagbft.messages import (
    MOST_CERTIFICATES,
    MOST_PART_BYTES,
    Certificate,
    CertReply,
    StateReply,
    digest_of,
)
from nodes.dagbft.primary.records import Archive
from nodes.dagbft.wire import encode

_ROOM_BYTES = MOST_PART_BYTES - 1000  # of certificates in one answer


class Answers:
    """Answers from the archive. `most` are certificates a second to one peer."""

    def __init__(self, archive: Archive, most: int) -> None:
        self._archive = archive
        self._most = most
        self._second = 0
        self._given: Counter[int] = Counter()

    def _may(self, peer: int, count: int, now_s: float) -> bool:
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._given.clear()
        self._given[peer] += count
        return self._given[peer] <= self._most

    def certificates(self, peer: int, found: Iterable[Certificate], count: int, now_s: float) -> list[CertReply]:
        """Replies with these; none where the peer has had its share."""
        if not self._may(peer, count, now_s):
            return []
        return [CertReply(tuple(part)) for part in _parts(found)]

    def tail(self, peer: int, round: int, now_s: float) -> list[CertReply]:
        """One reply with certificates above a round, the lowest first."""
        found = list(islice(self._archive.certificates(round + 1), MOST_CERTIFICATES))
        if not found or not self._may(peer, 1 + len(found), now_s):
            return []
        return [CertReply(tuple(part)) for part in _parts(found)][:1]

    def state(self, peer: int, index: int, now_s: float) -> list[StateReply]:
        """The certificates of what was committed from `index` on: some commits, and at which to go on asking."""
        found: list[Certificate] = []
        after = index
        for commit in self._archive.commits(index):
            found += filter(None, map(self._archive.at, commit.blocks))
            after = commit.number + 1
            if len(found) >= MOST_CERTIFICATES and after >= index + 4:  # a commit is seen to be one by later blocks
                break
        if not self._may(peer, 1 + len(found), now_s):
            return []
        bodies = [encode(CertReply(tuple(part))) for part in _parts(found)]
        digest = digest_of("dagbft state", b"".join(bodies))
        return [StateReply(after, digest, part, len(bodies), body) for part, body in enumerate(bodies)]


def _parts(certificates: Iterable[Certificate]) -> Iterator[list[Certificate]]:
    """These in pieces that fit into a reply; one empty piece where there are none."""
    part: list[Certificate] = []
    size = 0
    for certificate in certificates:
        more = len(encode(certificate))
        if part and (len(part) == MOST_CERTIFICATES or size + more > _ROOM_BYTES):
            yield part
            part, size = [], 0
        part.append(certificate)
        size += more
    yield part
