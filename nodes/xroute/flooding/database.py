"""The link-state database of a relayer: the newest advertisement of each origin and subject, and evidence.

Invariant: what it holds depends on what was offered and on the time, not on the order of offers; an origin against
which there is evidence has nothing else in it. Bounded: origins have stake, and each has at most so many subjects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from nodes.xroute.flooding.ads import Advertisement
from nodes.xroute.flooding.equivocation import Equivocation, verify_equivocation
from nodes.xroute.flooding.wire import Mark

__all__ = ["BUCKETS", "Database", "Entry", "Evidence", "Verdict", "mark_of"]

BUCKETS = 256
DIGEST_BYTES = 8  # of a bucket
FUTURE_MS = 5_000  # how far a relayer's clock may be ahead of this one's
LEAST_ARRIVAL_MS = 500  # between versions of one subject: half of what origins keep, as a path may hurry one of two on


class Verdict(Enum):
    """What became of an offer."""

    NEW = "new"
    SAME = "same"
    OLDER = "older"
    EVIDENCE = "equivocation"  # it contradicts what was held: there is evidence in its place now
    # refused
    TOO_SOON = "too soon after the one before"
    NO_STAKE = "origin without stake"
    ACCUSED = "origin with evidence against it"
    FUTURE = "issued in the future"
    EXPIRED = "expired"
    FULL = "too many subjects of one origin"
    FORGED = "not signed by its origin"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence as an entry of the database: one for each origin, whichever came first."""

    equivocation: Equivocation
    origin: bytes
    key: bytes
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, equivocation: Equivocation) -> Evidence:
        """AdvertisementError where it is no evidence."""
        origin = verify_equivocation(equivocation)
        return cls(equivocation, origin, _key_against(origin), equivocation.encode())


Entry = Advertisement | Evidence


def mark_of(entry: Entry) -> Mark:
    """What is told of an entry to those who may have it."""
    if isinstance(entry, Evidence):
        return Mark(entry.key, 1)  # any evidence is as good as another
    return Mark(entry.key, entry.ad.seq, entry.digest[:DIGEST_BYTES])


class Database:
    """The entries of one relayer. `stakes` are of all relayers, by public key."""

    def __init__(self, stakes: Mapping[bytes, int], most_of_origin: int = 1024) -> None:
        self._stakes = stakes
        self._most = most_of_origin
        self._entries: dict[bytes, Entry] = {}
        self._arrived_ms: dict[bytes, int] = {}
        self._keys_of: dict[bytes, set[bytes]] = {}  # of advertisements, by origin
        self._buckets: list[set[bytes]] = [set() for _ in range(BUCKETS)]
        self._digests: list[bytes | None] = [None] * BUCKETS  # None: to be computed

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Entry | None:
        return self._entries.get(key)

    def advertisements(self) -> Iterator[Advertisement]:
        """All of them, those of origins without stake and of accused ones excluded."""
        return (entry for entry in self._entries.values() if isinstance(entry, Advertisement))

    def evidence(self) -> Iterator[Evidence]:
        return (entry for entry in self._entries.values() if isinstance(entry, Evidence))

    def evidence_against(self, origin: bytes) -> Evidence | None:
        entry = self._entries.get(_key_against(origin))
        return entry if isinstance(entry, Evidence) else None

    def offer(self, offered: Advertisement, now_ms: int) -> Verdict:
        """Take an advertisement if it is the newest of its kind. The signature is checked last, as it costs most."""
        origin, key = offered.ad.origin, offered.key
        if not self._stakes.get(origin):
            return Verdict.NO_STAKE
        if _key_against(origin) in self._entries:
            return Verdict.ACCUSED
        if offered.ad.issued_at_ms > now_ms + FUTURE_MS:
            return Verdict.FUTURE
        if offered.expires_ms <= now_ms:
            return Verdict.EXPIRED
        held = self._entries.get(key)
        if isinstance(held, Advertisement):
            if held.digest == offered.digest:
                return Verdict.SAME
            if held.ad.seq > offered.ad.seq:
                return Verdict.OLDER
            if held.ad.seq < offered.ad.seq and now_ms < self._arrived_ms[key] + LEAST_ARRIVAL_MS:
                return Verdict.TOO_SOON
        elif not self._has_room(origin, key):
            return Verdict.FULL
        if not offered.is_signed():
            return Verdict.FORGED
        if isinstance(held, Advertisement) and held.ad.seq == offered.ad.seq:
            self.accuse(Evidence.of(Equivocation.of(held, offered)))
            return Verdict.EVIDENCE
        self._put(offered, now_ms)
        return Verdict.NEW

    def accuse(self, evidence: Evidence) -> bool:
        """Put evidence in the place of all that its origin has said; whether it is news."""
        if not self._stakes.get(evidence.origin) or evidence.key in self._entries:
            return False
        for key in self._keys_of.pop(evidence.origin, set()):
            self._forget(key)
        self._entries[evidence.key] = evidence
        self._touch(evidence.key).add(evidence.key)
        return True

    def expire(self, now_ms: int) -> int:
        """Drop what has become too old, and origins that have lost their stake; how many entries."""
        gone = [key for key, entry in self._entries.items() if self._is_over(entry, now_ms)]
        for key in gone:
            entry = self._entries[key]
            if isinstance(entry, Advertisement):
                self._keys_of[entry.ad.origin].discard(key)
            self._forget(key)
        return len(gone)

    def _is_over(self, entry: Entry, now_ms: int) -> bool:
        if isinstance(entry, Evidence):
            return not self._stakes.get(entry.origin)
        return entry.expires_ms <= now_ms or not self._stakes.get(entry.ad.origin)

    def digests(self) -> bytes:
        """A digest of each bucket, one after the other: equal where two databases hold the same of it."""
        for bucket, digest in enumerate(self._digests):
            if digest is None:
                marks = b"".join(mark.encode() for mark in self.marks(bucket))
                self._digests[bucket] = sha256(marks).digest()[:DIGEST_BYTES]
        return b"".join(digest or b"" for digest in self._digests)

    def marks(self, bucket: int) -> list[Mark]:
        """What is in a bucket, in order of keys."""
        return [mark_of(self._entries[key]) for key in sorted(self._buckets[bucket])]

    def _has_room(self, origin: bytes, key: bytes) -> bool:
        """Whether a new subject of an origin has a place: those with the lowest keys do, so that all relayers that
        were told the same keep the same."""
        keys = self._keys_of.get(origin, set())
        return len(keys) < self._most or key < max(keys)

    def _put(self, advertisement: Advertisement, now_ms: int) -> None:
        key, keys = advertisement.key, self._keys_of.setdefault(advertisement.ad.origin, set())
        self._entries[key] = advertisement
        self._arrived_ms[key] = now_ms
        self._touch(key).add(key)
        keys.add(key)
        if len(keys) > self._most:
            keys.discard(highest := max(keys))
            self._forget(highest)

    def _forget(self, key: bytes) -> None:
        del self._entries[key]
        self._arrived_ms.pop(key, None)
        self._touch(key).discard(key)

    def _touch(self, key: bytes) -> set[bytes]:
        """The bucket of a key, which changes now."""
        self._digests[key[0]] = None
        return self._buckets[key[0]]


def _key_against(origin: bytes) -> bytes:
    return sha256(b"evidence" + origin).digest()
