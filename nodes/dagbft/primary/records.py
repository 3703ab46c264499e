"""What a primary keeps on disk, and how it is written.

Tables: `vote` (round, author) -> header id; `header` round -> own header; `certificate` (round, author) -> certificate,
of all rounds, which is what late validators are served from; `digest` certificate digest -> (round, author); `commit`
number -> kind, floor of the DAG, leader and blocks; `life`: where the disk was lost, the round up to which to be quiet.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.messages import Certificate, Header
from nodes.dagbft.store import Disk, Record
from nodes.dagbft.wire import decode, encode

TABLES = ("vote", "header", "certificate", "digest", "commit", "life")
_KINDS = ("steady", "fallback")


def slot_key(round: int, author: int) -> bytes:
    return round.to_bytes(8, "big") + author.to_bytes(2, "big")


def slot_of(key: bytes) -> Slot:
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:10], "big")


def vote_record(round: int, author: int, header_id: bytes | None) -> Record:
    """None takes the vote out, when its round has been collected."""
    return Record("vote", slot_key(round, author), header_id)


def header_record(header: Header) -> Record:
    return Record("header", header.round.to_bytes(8, "big"), encode(header))


def no_header_record(round: int) -> Record:
    return Record("header", round.to_bytes(8, "big"), None)


def certificate_records(certificate: Certificate) -> list[Record]:
    key = slot_key(certificate.round, certificate.author)
    return [Record("certificate", key, encode(certificate)), Record("digest", certificate.digest, key)]


_LIFE = b"quiet"


def wiped_record(quiet: int | None) -> Record:
    """This validator has lost its memory; None: and does not know yet up to which round it must be quiet."""
    return Record("life", _LIFE, b"" if quiet is None else quiet.to_bytes(8, "big"))


def commit_record(commit: Commit, floor: int) -> Record:
    """A commit with the floor of the DAG after it."""
    slots = b"".join(slot_key(*slot) for slot in (commit.leader, *commit.blocks))
    kind = bytes((_KINDS.index(commit.kind),))
    return Record("commit", commit.number.to_bytes(8, "big"), kind + floor.to_bytes(8, "big") + slots)


def _commit(key: bytes, value: bytes) -> Commit:
    slots = [slot_of(value[at : at + 10]) for at in range(9, len(value), 10)]
    return Commit(int.from_bytes(key, "big"), slots[0], _KINDS[value[0]], tuple(slots[1:]))


class Archive:
    """What a primary has kept, read back."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def votes(self) -> Iterator[tuple[Slot, bytes]]:
        for key, header_id in self._disk.items("vote"):
            yield slot_of(key), header_id

    def wiped(self) -> bool:
        """Whether this validator has lost its memory before."""
        return self._disk.get("life", _LIFE) is not None

    def quiet(self) -> int | None:
        """Up to which round it must be quiet since, where it has learnt that."""
        data = self._disk.get("life", _LIFE)
        return int.from_bytes(data, "big") if data else None

    def headers(self) -> Iterator[Header]:
        """Own headers, rounds ascending."""
        for _, data in self._disk.items("header"):
            header = decode(data)
            assert isinstance(header, Header)
            yield header

    def certificates(self, first: int = 0) -> Iterator[Certificate]:
        """Those of round `first` and above, in the order (round, author), in which parents come first."""
        for _, data in self._disk.items("certificate", slot_key(first, 0)):
            yield _certificate(data)

    def certificate(self, digest: bytes) -> Certificate | None:
        key = self._disk.get("digest", digest)
        return None if key is None else self.at(slot_of(key))

    def at(self, slot: Slot) -> Certificate | None:
        data = self._disk.get("certificate", slot_key(*slot))
        return None if data is None else _certificate(data)

    def commits(self, first: int = 0) -> Iterator[Commit]:
        """From number `first` on."""
        for key, value in self._disk.items("commit", first.to_bytes(8, "big")):
            yield _commit(key, value)

    def floor(self, number: int) -> int:
        """That of the DAG after a commit."""
        value = self._disk.get("commit", number.to_bytes(8, "big"))
        assert value is not None
        return int.from_bytes(value[1:9], "big")


def _certificate(data: bytes) -> Certificate:
    certificate = decode(data)
    assert isinstance(certificate, Certificate)
    return certificate
