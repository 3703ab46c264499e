"""The snapshots that a primary keeps, and the archive that they bound.

Invariant: the two newest snapshots are kept, and all records that must be executed, served or compared after the older
one. Older records are deleted in the transaction that stores a new snapshot, so that a crash leaves no gap.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.model.errors import DataError
from emulator.sdk.disk import Record
from nodes.dagbft.execution.snapshot import Snapshot, snapshot_digest
from nodes.dagbft.messages import SnapshotOffer, SnapshotPart
from nodes.dagbft.primary.records import Archive, Begin, Kept, snapshot_records

KEPT = 2


class Snapshots:
    """`floor_below(round)` is the floor of the DAG after the commit of a leader of a round."""

    def __init__(self, archive: Archive, floor_below: Callable[[int], int]) -> None:
        self.damaged: list[str] = []  # errors of snapshots that could not be read
        self._archive = archive
        self._floor_below = floor_below
        self._kept = list(archive.snapshots())

    @property
    def offers(self) -> list[SnapshotOffer]:
        """The snapshots that others may request, the oldest first."""
        return [SnapshotOffer(each.commits, each.digest, each.parts) for each in self._kept]

    def part(self, commits: int, part: int) -> SnapshotPart | None:
        """A part of a kept snapshot; None if there is none."""
        body = self._archive.part(commits, part)
        return SnapshotPart(commits, part, body) if body else None

    def newest(self) -> Snapshot | None:
        """The newest sound snapshot, to begin with; None if there has been none yet.

        Raises DataError if the archive begins after every sound snapshot.
        """
        for kept in reversed(self._kept):
            try:
                return self._read(kept)
            except DataError as error:
                self.damaged.append(str(error))
        if self._archive.begin().commits:
            errors = "; ".join(self.damaged) or "there is none"
            raise DataError(f"no snapshot to begin with: {errors}. Restore the store from a copy, or delete its folder")
        return None

    def _read(self, kept: Kept) -> Snapshot:
        data = b"".join(self._archive.part(kept.commits, part) for part in range(kept.parts))
        if (digest := snapshot_digest(data)) != kept.digest:
            raise DataError(
                f"the snapshot after {kept.commits} commits has the digest {digest.hex()[:16]}; "
                f"expected {kept.digest.hex()[:16]}"
            )
        return Snapshot.decode(data)

    def keep(self, snapshot: Snapshot) -> list[Record]:
        """Keep a snapshot of this validator; the records also delete what it makes superfluous."""
        new, data = _encoded(snapshot)
        kept = sorted([*(each for each in self._kept if each.commits != new.commits), new])
        gone, self._kept = kept[:-KEPT], kept[-KEPT:]
        records = snapshot_records(new, data)
        for each in gone:
            records += snapshot_records(each, None)
        if gone:
            records += self._trimmed(gone[-1])
        return records

    def adopt(self, snapshot: Snapshot) -> list[Record]:
        """Replace the own state by another validator's snapshot."""
        records = [record for each in self._kept for record in snapshot_records(each, None)]
        new, data = _encoded(snapshot)
        self._kept = [new]
        records += snapshot_records(new, data)
        return records + self._trimmed(new)

    def _trimmed(self, first: Kept) -> list[Record]:
        """The records that move the beginning of the archive to a snapshot."""
        return self._archive.trimmed(Begin(first.commits, self._floor_below(first.leader), first.leader))


def _encoded(snapshot: Snapshot) -> tuple[Kept, bytes]:
    data = snapshot.encode()
    return Kept(snapshot.commits, snapshot_digest(data), snapshot.leader, len(data)), data
