"""Flooding between neighbours, without sockets and clocks: all of them come to hold the same database.

Invariant: an entry that is news goes to every neighbour that is not known to have it, again and again until it
acknowledges; digests, exchanged on connecting and now and then, find what was lost all the same. What is refused is
counted by its reason, and nothing that a neighbour says costs more than its share of bytes.

`receive`, `announce`, `connected` and `tick` leave what is to be sent in `take`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from emulator.model.errors import Unfit
from nodes.ibc.proto.scalars import WireError
from nodes.xroute.flooding.ads import (
    MOST_AD_BYTES,
    MOST_AGE_S,
    Ad,
    Advertisement,
    AdvertisementError,
    ChainAd,
    EdgeAd,
    issued,
    key_of,
    read,
    steady,
)
from nodes.xroute.flooding.database import BUCKETS, DIGEST_BYTES, Database, Entry, Evidence, Verdict, mark_of
from nodes.xroute.flooding.equivocation import Equivocation
from nodes.xroute.flooding.neighbour import Neighbour
from nodes.xroute.flooding.pace import TokenBucket
from nodes.xroute.flooding.wire import Acknowledged, Digests, Flood, Flooded, Listing, Mark, Said, Told
from nodes.xroute.keys import Key

__all__ = ["Flooding", "Learnt", "Settings"]

LEAST_INTERVAL_MS = 1_000  # between versions of one subject
FLOOD_BYTES = 32_768  # of entries in one message, unless one entry is longer
LISTING_MARKS = 512  # in one message; what is beyond them in one bucket is said again, as if the other lacked it
MOST_LEARNT = 16_384
MOST_TOLD = 4_096
EXPIRE_MS = 1_000
_HEARD_FACTOR = 2  # a neighbour's bytes may come that much faster than they were sent


@dataclass(frozen=True, slots=True)
class Settings:
    """How a relayer floods."""

    max_age_s: int = 600  # of what it says of edges
    claims_ms: int = 10_000  # between versions that differ in claims alone
    retransmit_ms: int = 1_000
    resync_ms: int = 10_000  # from digests to digests
    rate_bytes_per_s: int = 262_144  # to one neighbour …
    burst_bytes: int = 1_048_576  # … after silence
    most_of_origin: int = 1024  # subjects of one relayer

    def __post_init__(self) -> None:
        if not 2 <= self.max_age_s <= MOST_AGE_S:
            raise Unfit(f"max_age {self.max_age_s} s", f"2 to {MOST_AGE_S}")
        if self.burst_bytes < 2 * MOST_AD_BYTES or self.rate_bytes_per_s <= 0:
            raise Unfit(f"bursts of {self.burst_bytes} bytes", f"at least {2 * MOST_AD_BYTES}, at a rate above 0")
        if min(self.claims_ms, self.retransmit_ms, self.resync_ms, self.most_of_origin) <= 0:
            raise Unfit("an interval or a limit of 0", "more than 0")


@dataclass(frozen=True, slots=True)
class Learnt:
    """News, and how old it was when it came: what convergence is measured by."""

    entry: Entry
    age_ms: int  # by two clocks; 0 for evidence
    peer: str


@dataclass(slots=True)
class _Own:
    """Something that this relayer says."""

    ad: Ad
    said: Advertisement | None = None
    urgent: bool = True


class Flooding:
    """The flooding of one relayer. `stakes` are those of all relayers, by public key; it may change."""

    def __init__(self, key: Key, stakes: Mapping[bytes, int], settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.database = Database(stakes, self.settings.most_of_origin)
        self.counts: Counter[str] = Counter()  # entries and bytes sent and heard, by what they were
        self.refused: Counter[tuple[str, str]] = Counter()  # by reason and neighbour
        self.learnt: deque[Learnt] = deque(maxlen=MOST_LEARNT)  # until somebody takes it
        self.told: deque[bytes] = deque(maxlen=MOST_TOLD)  # by neighbours, until somebody takes it
        self._key = key
        self._neighbours: dict[str, Neighbour] = {}
        self._own: dict[bytes, _Own] = {}
        self._last_seq: dict[bytes, int] = {}
        self._expire_ms = 0  # when entries are looked through for such as are too old
        self._out: list[tuple[str, Said]] = []

    # What the process calls

    def connected(self, peer: str, now_ms: int) -> None:
        """A neighbour has come, or has come again: compare databases."""
        settings = self.settings
        self._neighbours[peer] = Neighbour(
            TokenBucket(settings.rate_bytes_per_s, settings.burst_bytes, now_ms),
            TokenBucket(_HEARD_FACTOR * settings.rate_bytes_per_s, _HEARD_FACTOR * settings.burst_bytes, now_ms),
            now_ms,
        )
        self.tick(now_ms)

    def disconnected(self, peer: str) -> None:
        """A neighbour has gone; what it has not acknowledged will be found by digests."""
        self._neighbours.pop(peer, None)

    def announce(self, ad: Ad, now_ms: int) -> None:
        """Say this of its subject from now on: at once where it is news (see `ads.steady`), soon where it has other
        claims, otherwise with the next version, of which there is one in each half of its greatest age."""
        if isinstance(ad, EdgeAd):
            ad = replace(ad, max_age_s=self.settings.max_age_s)
        key = key_of(ad, self._key.public)
        own = self._own.setdefault(key, _Own(ad))
        own.urgent |= steady(ad) != steady(own.ad)
        own.ad = ad
        self._issue(key, own, now_ms)
        self._flush(now_ms)

    def tell(self, data: bytes, now_ms: int) -> None:
        """Tell all neighbours something that is no entry: once, as far as each one's share of bytes reaches."""
        for peer, neighbour in self._neighbours.items():
            self._say(peer, neighbour, Told(data), now_ms)

    def receive(self, peer: str, message: Said, now_ms: int) -> None:
        """What a neighbour has said."""
        neighbour = self._neighbours.get(peer)
        if neighbour is None:
            self.refused["not connected", peer] += 1
            return
        size = len(message.encode())
        if not neighbour.hearing.spend(size, now_ms):
            self.refused["too much", peer] += 1
            return
        self.counts["heard_bytes"] += size
        if isinstance(message, Digests):
            self._compare(peer, neighbour, message, now_ms)
        elif isinstance(message, Listing):
            self._complete(neighbour, message)
        elif isinstance(message, Acknowledged):
            for mark in message.marks:
                self._settle(neighbour, mark)
        elif isinstance(message, Told):
            self.told.append(message.data)
        else:
            self._take_in(peer, neighbour, message, now_ms)
        self._flush(now_ms)

    def tick(self, now_ms: int) -> None:
        """Do what is due: new versions, retransmissions, digests; drop what is too old."""
        if self._expire_ms <= now_ms:
            self._expire_ms = now_ms + EXPIRE_MS
            self.database.expire(now_ms)
        for key, own in self._own.items():
            self._issue(key, own, now_ms)
        for peer, neighbour in self._neighbours.items():
            neighbour.repeat(now_ms)
            if neighbour.resync_ms <= now_ms:
                neighbour.resync_ms = now_ms + self.settings.resync_ms
                self._say(peer, neighbour, Digests(self.database.digests()), now_ms)
        self._flush(now_ms)

    def take(self) -> list[tuple[str, Said]]:
        """What is to be sent, to whom, since this was called last."""
        out, self._out = self._out, []
        return out

    @property
    def unacknowledged(self) -> int:
        """Entries that neighbours have still to acknowledge."""
        return sum(len(each) for each in self._neighbours.values())

    # Own advertisements

    def _issue(self, key: bytes, own: _Own, now_ms: int) -> None:
        """Say the next version of something, if it is time."""
        said = own.said
        if said is not None:
            wait_ms = (said.expires_ms - said.ad.issued_at_ms) // 2
            if own.ad.claims != said.ad.claims:
                wait_ms = min(wait_ms, self.settings.claims_ms)
            if own.urgent:
                wait_ms = LEAST_INTERVAL_MS
            if 0 <= now_ms - said.ad.issued_at_ms < wait_ms:
                return
        seq = max(self._last_seq.get(key, 0) + 1, now_ms)  # a relayer that has forgotten all begins above what it said
        made = issued(own.ad, self._key, seq, now_ms)
        self._last_seq[key] = seq
        own.said, own.urgent = made, False
        verdict = self.database.offer(made, now_ms)
        if verdict is Verdict.NEW:
            self.counts["issued"] += 1
            self._spread(made)
        else:
            self.refused[verdict.value, "self"] += 1

    def _hear_of_self(self, advertisement: Advertisement) -> bool:
        """Something that this relayer says, as it said it in a life before: the next version must be above that.
        Whether it is so."""
        key, seq = advertisement.key, advertisement.ad.seq
        own = self._own.get(key)
        if (
            own is None
            or seq < self._last_seq.get(key, 0)
            or own.said == advertisement
            or not advertisement.is_signed()
        ):
            return False
        self._last_seq[key] = seq
        own.urgent = True
        return True

    # Databases of neighbours

    def _compare(self, peer: str, neighbour: Neighbour, digests: Digests, now_ms: int) -> None:
        """List what is here of the buckets that differ."""
        if len(digests.buckets) != BUCKETS * DIGEST_BYTES:
            self.refused["malformed", peer] += 1
            return
        mine, theirs = _split(self.database.digests()), _split(digests.buckets)
        buckets, marks = bytearray(), list[Mark]()
        for bucket in (bucket for bucket in range(BUCKETS) if mine[bucket] != theirs[bucket]):
            here = self.database.marks(bucket)[:LISTING_MARKS]
            if marks and len(marks) + len(here) > LISTING_MARKS:
                self._say(peer, neighbour, Listing(bytes(buckets), tuple(marks)), now_ms)
                buckets, marks = bytearray(), []
            buckets.append(bucket)
            marks += here
        if buckets:
            self._say(peer, neighbour, Listing(bytes(buckets), tuple(marks)), now_ms)

    def _complete(self, neighbour: Neighbour, listing: Listing) -> None:
        """Say what a neighbour lacks, or has an older version of."""
        theirs = {mark.key: mark for mark in listing.marks}
        for bucket in set(listing.buckets):
            for mark in self.database.marks(bucket):
                known = theirs.get(mark.key)
                if known is None or known.seq < mark.seq or (known.seq == mark.seq and known.digest != mark.digest):
                    neighbour.want(mark.key)

    # Entries

    def _take_in(self, peer: str, neighbour: Neighbour, flood: Flood, now_ms: int) -> None:
        understood = []
        for flooded in flood.entries:
            self.counts["heard"] += 1
            try:
                entry = _read(flooded)
            except (AdvertisementError, WireError):
                self.refused["malformed", peer] += 1
                continue
            if self._judge(peer, neighbour, entry, now_ms):
                understood.append(mark_of(entry))
        if understood:
            self._say(peer, neighbour, Acknowledged(tuple(understood)), now_ms)

    def _judge(self, peer: str, neighbour: Neighbour, entry: Entry, now_ms: int) -> bool:
        """Take an entry in, or not; whether the neighbour shall stop saying it."""
        if isinstance(entry, Evidence):
            if self.database.accuse(entry):
                self._learn(entry, 0, peer)
            self._settle(neighbour, mark_of(entry))
            return True
        if entry.ad.origin == self._key.public and self._hear_of_self(entry):
            self.counts["own_past"] += 1
            return True
        verdict = self.database.offer(entry, now_ms)
        if verdict is Verdict.NEW:
            self._learn(entry, now_ms - entry.ad.issued_at_ms, peer)
        elif verdict is Verdict.EVIDENCE:
            evidence = self.database.evidence_against(entry.ad.origin)
            assert evidence is not None
            self._learn(evidence, 0, "")
        elif verdict is Verdict.SAME:
            self.counts["heard_again"] += 1
        elif verdict is Verdict.OLDER:
            neighbour.want(entry.key)
        else:
            self.refused[verdict.value, peer] += 1
            if verdict is Verdict.ACCUSED and (evidence := self.database.evidence_against(entry.ad.origin)):
                neighbour.want(evidence.key)
        if verdict in (Verdict.NEW, Verdict.SAME):
            self._settle(neighbour, mark_of(entry))
        return verdict is not Verdict.TOO_SOON

    def _learn(self, entry: Entry, age_ms: int, peer: str) -> None:
        self.learnt.append(Learnt(entry, age_ms, peer))
        self._spread(entry)

    def _spread(self, entry: Entry) -> None:
        """Say an entry to all neighbours, the one that it came from excepted once that is settled."""
        for neighbour in self._neighbours.values():
            neighbour.renew(entry.key)

    def _settle(self, neighbour: Neighbour, mark: Mark) -> None:
        """A neighbour has a version of an entry: if it is the one that is here, there is nothing to say."""
        entry = self.database.get(mark.key)
        if entry is None or mark_of(entry) == mark:
            neighbour.settle(mark.key)

    # What is said

    def _flush(self, now_ms: int) -> None:
        """Say what is ready, as far as each neighbour's share of bytes reaches."""
        again_ms = now_ms + self.settings.retransmit_ms
        for peer, neighbour in self._neighbours.items():
            for part in self._parts(neighbour):
                if not self._say(peer, neighbour, Flood(tuple(_flooded(entry) for entry in part)), now_ms):
                    break
                for entry in part:
                    self.counts["sent_again" if neighbour.said(entry.key, again_ms) else "sent"] += 1

    def _parts(self, neighbour: Neighbour) -> Iterator[list[Entry]]:
        """Entries that are ready, in messages of their own size; those that are no longer here are forgotten."""
        part: list[Entry] = []
        size = 0
        for key in neighbour.ready:
            entry = self.database.get(key)
            if entry is None:
                neighbour.settle(key)
                continue
            if part and size + len(entry.data) > FLOOD_BYTES:
                yield part
                part, size = [], 0
            part.append(entry)
            size += len(entry.data)
        if part:
            yield part

    def _say(self, peer: str, neighbour: Neighbour, message: Said, now_ms: int) -> bool:
        size = len(message.encode())
        if not neighbour.speaking.spend(size, now_ms):
            return False
        self.counts["sent_bytes"] += size
        self._out.append((peer, message))
        return True


def _read(flooded: Flooded) -> Entry:
    """An entry as it was sent. AdvertisementError or WireError where it is none."""
    if flooded.edge is not None:
        return read(EdgeAd, flooded.edge)
    if flooded.chain is not None:
        return read(ChainAd, flooded.chain)
    return Evidence.of(Equivocation.decode(flooded.evidence or b""))


def _flooded(entry: Entry) -> Flooded:
    if isinstance(entry, Evidence):
        return Flooded(evidence=entry.data)
    return Flooded(edge=entry.data) if isinstance(entry.ad, EdgeAd) else Flooded(chain=entry.data)


def _split(digests: bytes) -> list[bytes]:
    return [digests[at : at + DIGEST_BYTES] for at in range(0, BUCKETS * DIGEST_BYTES, DIGEST_BYTES)]
