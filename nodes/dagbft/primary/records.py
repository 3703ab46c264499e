"""The tables of a primary on disk, and their encoding.

Tables: `vote` (round, author) -> header id; `header` round -> own header; `certificate` (round, author) -> its digest
and the certificate, with which late validators are served; `digest` certificate digest -> (round, author); `commit`
number -> kind, floor of the DAG, leader and blocks; `life`: after a loss of the disk, the round up to which not to
vote, and the beginning of the archive; `snapshot` commits -> digest, round of the leader, size; `piece` (commits,
place) -> some bytes of a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from emulator.sdk.disk import Disk, Record
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.field_types import DIGEST_BYTES
from nodes.dagbft.messages import Certificate, Header
from nodes.dagbft.wire import decode, encode

TABLES = ("vote", "header", "certificate", "digest", "commit", "life", "snapshot", "piece")
_KINDS = ("steady", "fallback")
_PIECE_BYTES = 1900  # two on a page: LMDB cannot reuse single freed pages for long values, and the file would grow
PART_BYTES = 500 * _PIECE_BYTES  # of a snapshot, in one answer


def slot_key(round: int, author: int) -> bytes:
    return round.to_bytes(8, "big") + author.to_bytes(2, "big")


def slot_of(key: bytes) -> Slot:
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:10], "big")


def vote_record(round: int, author: int, header_id: bytes | None) -> Record:
    """The record of a vote; None as header id removes it, when its round has been collected."""
    return Record("vote", slot_key(round, author), header_id)


def header_record(header: Header) -> Record:
    return Record("header", header.round.to_bytes(8, "big"), encode(header))


def no_header_record(round: int) -> Record:
    return Record("header", round.to_bytes(8, "big"), None)


def certificate_records(certificate: Certificate) -> list[Record]:
    key = slot_key(certificate.round, certificate.author)
    value = certificate.digest + encode(certificate)
    return [Record("certificate", key, value), Record("digest", certificate.digest, key)]


_LIFE = b"quiet"
_BEGIN = b"begin"


def wiped_record(quiet: int | None) -> Record:
    """The record of a lost disk: the round up to which not to vote; None: not known yet."""
    return Record("life", _LIFE, b"" if quiet is None else quiet.to_bytes(8, "big"))


class Begin(NamedTuple):
    """The beginning of the archive: it has all commits from this number on, and certificates from this round on."""

    commits: int = 0
    floor: int = 0
    leader: int = 0  # round of the last leader before these commits

    @property
    def since(self) -> int:
        """The round after the floor: no earlier commit orders a batch that arrived once this round was collected."""
        return self.floor + 1 if self.commits else 0


def begin_record(begin: Begin) -> Record:
    return Record("life", _BEGIN, b"".join(number.to_bytes(8, "big") for number in begin))


def commit_record(commit: Commit, floor: int) -> Record:
    """A commit with the floor of the DAG after it."""
    slots = b"".join(slot_key(*slot) for slot in (commit.leader, *commit.blocks))
    kind = bytes((_KINDS.index(commit.kind),))
    return Record("commit", commit.number.to_bytes(8, "big"), kind + floor.to_bytes(8, "big") + slots)


def _commit(key: bytes, value: bytes) -> Commit:
    slots = [slot_of(value[at : at + 10]) for at in range(9, len(value), 10)]
    return Commit(int.from_bytes(key, "big"), slots[0], _KINDS[value[0]], tuple(slots[1:]))


class Kept(NamedTuple):
    """A snapshot that is on disk."""

    commits: int
    digest: bytes
    leader: int  # round of the last leader before it
    size: int

    @property
    def parts(self) -> int:
        """The number of parts that another validator has to request."""
        return -(-self.size // PART_BYTES)


def _piece_key(commits: int, piece: int) -> bytes:
    return commits.to_bytes(8, "big") + piece.to_bytes(4, "big")


def snapshot_records(kept: Kept, data: bytes | None) -> list[Record]:
    """The records of a snapshot and its bytes; None as bytes removes it."""
    commits, size = kept.commits.to_bytes(8, "big"), kept.size.to_bytes(8, "big")
    value = None if data is None else kept.digest + kept.leader.to_bytes(8, "big") + size
    records = [Record("snapshot", commits, value)]
    for piece, at in enumerate(range(0, kept.size, _PIECE_BYTES)):
        body = None if data is None else data[at : at + _PIECE_BYTES]
        records.append(Record("piece", _piece_key(kept.commits, piece), body))
    return records


class Archive:
    """Reads a primary's records. A certificate can be read at once after `put`, before it is on disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._fresh: dict[Slot, Certificate] = {}  # whose records may not be on disk yet

    def put(self, certificate: Certificate) -> list[Record]:
        """Add a certificate; returns its records."""
        self._fresh[certificate.round, certificate.author] = certificate
        return certificate_records(certificate)

    def kept(self, records: Iterable[Record]) -> None:
        """These records are on disk now."""
        for table, key, _ in records:
            if table == "certificate":
                self._fresh.pop(slot_of(key), None)

    def votes(self) -> Iterator[tuple[Slot, bytes]]:
        for key, header_id in self._disk.items("vote"):
            yield slot_of(key), header_id

    def wiped(self) -> bool:
        """Whether this validator has lost its disk before."""
        return self._disk.get("life", _LIFE) is not None

    def quiet(self) -> int | None:
        """The round up to which it must not vote after a lost disk; None: not known, or never lost."""
        data = self._disk.get("life", _LIFE)
        return int.from_bytes(data, "big") if data else None

    def begin(self) -> Begin:
        data = self._disk.get("life", _BEGIN)
        return Begin() if data is None else Begin(*(int.from_bytes(data[at : at + 8], "big") for at in (0, 8, 16)))

    def trimmed(self, begin: Begin) -> list[Record]:
        """The records that move the beginning of the archive up and delete commits and certificates before it."""
        gone = [Record("commit", key, None) for key, _ in self._before("commit", begin.commits.to_bytes(8, "big"))]
        for key, value in self._before("certificate", slot_key(begin.floor, 0)):
            gone += [Record("certificate", key, None), Record("digest", value[:DIGEST_BYTES], None)]
        return [*gone, begin_record(begin)]

    def _before(self, table: str, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return takewhile(lambda item: item[0] < end, self._disk.items(table))

    def snapshots(self) -> Iterator[Kept]:
        """The kept snapshots, the oldest first."""
        for key, value in self._disk.items("snapshot"):
            digest, leader, size = value[:DIGEST_BYTES], value[DIGEST_BYTES:-8], value[-8:]
            yield Kept(int.from_bytes(key, "big"), digest, int.from_bytes(leader, "big"), int.from_bytes(size, "big"))

    def part(self, commits: int, part: int) -> bytes:
        """A part of a kept snapshot; empty if there is none."""
        pieces = PART_BYTES // _PIECE_BYTES
        first, end = _piece_key(commits, part * pieces), _piece_key(commits, (part + 1) * pieces)
        found = takewhile(lambda item: item[0] < end, self._disk.items("piece", first))
        return b"".join(body for _, body in found)

    def headers(self) -> Iterator[Header]:
        """Own headers by rising round."""
        for _, data in self._disk.items("header"):
            header = decode(data)
            assert isinstance(header, Header)
            yield header

    def certificates(self, first: int = 0) -> Iterator[Certificate]:
        """Certificates of round `first` and above, in the order (round, author), so that parents come first."""
        for _, data in self._disk.items("certificate", slot_key(first, 0)):
            yield _certificate(data)

    def certificate(self, digest: bytes) -> Certificate | None:
        key = self._disk.get("digest", digest)
        return None if key is None else self.at(slot_of(key))

    def at(self, slot: Slot) -> Certificate | None:
        if (fresh := self._fresh.get(slot)) is not None:
            return fresh
        data = self._disk.get("certificate", slot_key(*slot))
        return None if data is None else _certificate(data)

    def commits(self, first: int = 0) -> Iterator[Commit]:
        """Commits from number `first` on, as far as the archive reaches back."""
        first = max(first, self.begin().commits)
        for key, value in self._disk.items("commit", first.to_bytes(8, "big")):
            yield _commit(key, value)

    def floor(self, number: int) -> int:
        """The floor of the DAG after a commit."""
        value = self._disk.get("commit", number.to_bytes(8, "big"))
        assert value is not None
        return int.from_bytes(value[1:9], "big")


def _certificate(data: bytes) -> Certificate:
    certificate = decode(data[DIGEST_BYTES:])
    assert isinstance(certificate, Certificate)
    return certificate
