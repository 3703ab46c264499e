"""The batches of a worker, on disk; only their digests are in memory.

Tables: `batch` digest -> collected round at its arrival, whether it is an own one, body; `certified` digest -> empty,
for own batches that are in a block. Invariant: a batch is kept for `keep_rounds` collected rounds, so that a late
validator can still fetch and execute it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emulator.sdk.disk import Disk, Record

TABLES = ("batch", "certified")
_HEAD_BYTES = 9


@dataclass(slots=True)
class _Label:
    round: int
    own: bool


class BatchStore:
    """`put` returns records to keep; a batch can be read at once, before these are on disk."""

    def __init__(self, disk: Disk, keep_rounds: int) -> None:
        self._disk = disk
        self._keep_rounds = keep_rounds
        self._round = 0
        self._labels: dict[bytes, _Label] = {}
        self._fresh: dict[bytes, bytes] = {}  # bodies whose records may not be on disk yet
        certified = {digest for digest, _ in disk.items("certified")}
        self._open: list[bytes] = []
        for digest, value in disk.items("batch"):
            label = _Label(int.from_bytes(value[:8], "big"), bool(value[8]))
            self._labels[digest] = label
            self._round = max(self._round, label.round)
            if label.own and digest not in certified:
                self._open.append(digest)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def put(self, digest: bytes, body: bytes, *, own: bool) -> list[Record]:
        """Add a batch; returns its records."""
        self._labels[digest] = _Label(self._round, own)
        self._fresh[digest] = body
        return [Record("batch", digest, self._round.to_bytes(8, "big") + bytes((own,)) + body)]

    def kept(self, records: Iterable[Record]) -> None:
        """These records are on disk now."""
        for record in records:
            self._fresh.pop(record.key, None)

    def certified(self, digest: bytes) -> list[Record]:
        """Mark an own batch that is in a block; returns the records."""
        return [Record("certified", digest, b"")]

    def body(self, digest: bytes) -> bytes | None:
        if digest not in self._labels:
            return None
        if (fresh := self._fresh.get(digest)) is not None:
            return fresh
        value = self._disk.get("batch", digest)
        return None if value is None else value[_HEAD_BYTES:]

    def is_own(self, digest: bytes) -> bool:
        label = self._labels.get(digest)
        return label is not None and label.own

    def own_digests(self, since: int = 0) -> list[bytes]:
        """Own batches that were sealed after this round had been collected, the oldest first."""
        own = [(label.round, digest) for digest, label in self._labels.items() if label.own and label.round >= since]
        return [digest for _, digest in sorted(own, key=lambda pair: pair[0])]

    def open_digests(self) -> list[bytes]:
        """Own batches on disk that are in no known block."""
        return self._open

    def collect(self, round: int) -> list[Record]:
        """Rounds up to this one are collected: drop batches that arrived `keep_rounds` earlier."""
        self._round = max(self._round, round)
        gone = [digest for digest, label in self._labels.items() if label.round + self._keep_rounds < self._round]
        records = []
        for digest in gone:
            if self._labels.pop(digest).own:
                records.append(Record("certified", digest, None))
            self._fresh.pop(digest, None)
            records.append(Record("batch", digest, None))
        return records
