"""Answers to requests of other primaries: certificates by digest, commits since a number, and snapshots.

Invariant: an answer fits one reply, and the rate of answers to each peer is limited, so that a flood of requests costs
neither memory nor much time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from nodes.dagbft.field_types import MOST_CERTIFICATES, MOST_PART_BYTES, digest_of
from nodes.dagbft.messages import (
    Certificate,
    CertReply,
    CertRequest,
    Message,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    StateReply,
    StateRequest,
    TailRequest,
)
from nodes.dagbft.primary.blocks import Blocks
from nodes.dagbft.primary.records import Archive
from nodes.dagbft.primary.requests import MOST_ANCESTORS
from nodes.dagbft.primary.snapshots import Snapshots
from nodes.dagbft.wire import decode, encode

Request = CertRequest | StateRequest | TailRequest | SnapshotRequest
_ROOM_BYTES = MOST_PART_BYTES - 1000  # of certificates in one answer


class Answers:
    """Answers from the DAG and from the archive. `most`: certificates a second to one peer, at most."""

    def __init__(self, archive: Archive, blocks: Blocks, snapshots: Snapshots, most: int) -> None:
        self._archive = archive
        self._blocks = blocks
        self._snapshots = snapshots
        self._most = most
        self._second = 0
        self._given: Counter[int] = Counter()

    def to(self, peer: int, request: Request, now_s: float) -> Sequence[Message]:
        """The answers to a request of a peer."""
        match request:
            case CertRequest((), nonce, _):
                return [replace(reply, nonce=nonce) for reply in self.newest(peer, now_s)]
            case CertRequest(digests, _, ancestors):
                return self.certificates(peer, digests, ancestors, now_s)
            case StateRequest(index):
                gone = index < self._archive.begin().commits
                return self.offers(peer, now_s) if gone else self.state(peer, index, now_s)
            case TailRequest(round):
                return self.tail(peer, round, now_s)
            case SnapshotRequest(commits, part):
                return self.part(peer, commits, part, now_s)

    def _may(self, peer: int, count: int, now_s: float) -> bool:
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._given.clear()
        self._given[peer] += count
        return self._given[peer] <= self._most

    def newest(self, peer: int, now_s: float) -> list[CertReply]:
        """A reply with one block of the highest round that has a block here."""
        return [CertReply(tuple(self._blocks.newest()))] if self._may(peer, 1, now_s) else []

    def certificates(self, peer: int, digests: tuple[bytes, ...], ancestors: int, now_s: float) -> list[CertReply]:
        """Replies with these certificates and, for each, `ancestors` earlier blocks of its author, lower ones first."""
        found: dict[bytes, Certificate] = {}
        for digest in digests:
            if (held := self._blocks.get(digest) or self._archive.certificate(digest)) is not None:
                found[digest] = held
        for top in list(found.values()):
            for round in range(top.round - 1, max(top.round - 1 - min(ancestors, MOST_ANCESTORS), 0), -1):
                below = self._blocks.at((round, top.author)) or self._archive.at((round, top.author))
                if below is None or len(found) >= MOST_CERTIFICATES:
                    break
                found[below.digest] = below
        if not self._may(peer, 1 + max(len(digests), len(found)), now_s):
            return []
        return [CertReply(tuple(part)) for part in _parts(sorted(found.values(), key=lambda each: each.round))]

    def tail(self, peer: int, round: int, now_s: float) -> list[CertReply]:
        """One reply with certificates above a round, the lowest first."""
        found = list(islice(self._archive.certificates(round + 1), MOST_CERTIFICATES))
        if not found or not self._may(peer, 1 + len(found), now_s):
            return []
        return [CertReply(tuple(part)) for part in _parts(found)][:1]

    def state(self, peer: int, index: int, now_s: float) -> list[StateReply]:
        """The certificates of some commits from number `index` on, and the number to continue from."""
        found: list[Certificate] = []
        after = index
        for commit in self._archive.commits(index):
            found += filter(None, map(self._archive.at, commit.blocks))
            after = commit.number + 1
            if len(found) >= MOST_CERTIFICATES and after >= index + 4:  # later blocks prove a commit
                break
        if not self._may(peer, 1 + len(found), now_s):
            return []
        bodies = [encode(CertReply(tuple(part))) for part in _parts(found)]
        digest = digest_of("dagbft state", b"".join(bodies))
        return [StateReply(after, digest, part, len(bodies), body) for part, body in enumerate(bodies)]

    def offers(self, peer: int, now_s: float) -> list[SnapshotOffer]:
        """The snapshots that can be requested."""
        return self._snapshots.offers if self._may(peer, 1, now_s) else []

    def part(self, peer: int, commits: int, part: int, now_s: float) -> list[SnapshotPart]:
        """A part of a snapshot; for the rate limit it counts as a full reply of certificates."""
        found = self._snapshots.part(commits, part) if self._may(peer, MOST_CERTIFICATES, now_s) else None
        return [] if found is None else [found]


def certificates_of(reply: StateReply) -> tuple[Certificate, ...] | None:
    """The certificates in a part of a state; None if it is malformed."""
    try:
        message = decode(reply.body)
    except ValueError:
        return None
    return message.certificates if isinstance(message, CertReply) else None


def _parts(certificates: Iterable[Certificate]) -> Iterator[list[Certificate]]:
    """Certificates in pieces that fit into a reply; one empty piece if there are none."""
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
