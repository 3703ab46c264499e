"""The snapshots that a primary keeps, and the archive that they bound.

Invariant: the two newest are kept, and whatever must be executed, served or compared after the one before them. All of
it goes in the transaction that brings a new one, so that a crash leaves no gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from emulator.errors import DataError
from nodes.dagbft.execution.snapshot import Snapshot, snapshot_digest
from nodes.dagbft.messages import MOST_PART_BYTES, SnapshotOffer, SnapshotPart
from nodes.dagbft.primary.records import Archive, Begin, no_snapshot_records, snapshot_records
from nodes.dagbft.store import Record

KEPT = 2


class _Kept(NamedTuple):
    offer: SnapshotOffer
    leader: int  # round of the last leader before it


class Snapshots:
    """`floor_below(round)` is the floor of the DAG after the commit of a leader of a round."""

    def __init__(self, archive: Archive, floor_below: Callable[[int], int]) -> None:
        self.damaged: list[str] = []  # what was wrong with those that could not be read
        self._archive = archive
        self._floor_below = floor_below
        self._kept = [_Kept(offer, leader) for offer, leader in archive.snapshots()]

    @property
    def offers(self) -> list[SnapshotOffer]:
        """Those that others may have, the oldest first."""
        return [each.offer for each in self._kept]

    def part(self, commits: int, part: int) -> SnapshotPart | None:
        """A part of one that is kept."""
        body = self._archive.part(commits, part)
        return None if body is None else SnapshotPart(commits, part, body)

    def newest(self) -> Snapshot | None:
        """The newest that is sound, to begin with; None where there has been none yet.

        Raises DataError where the archive begins later than any that is sound.
        """
        for kept in reversed(self._kept):
            try:
                return self._read(kept.offer)
            except DataError as error:
                self.damaged.append(str(error))
        if self._archive.begin().commits:
            told = "; ".join(self.damaged) or "there is none"
            raise DataError(f"no snapshot to begin with: {told}. Restore the store from a copy, or delete its folder")
        return None

    def _read(self, offer: SnapshotOffer) -> Snapshot:
        parts = [self._archive.part(offer.commits, part) for part in range(offer.parts)]
        data = b"".join(part for part in parts if part is not None)
        if (digest := snapshot_digest(data)) != offer.digest:
            raise DataError(
                f"the snapshot after {offer.commits} commits has the digest {digest.hex()[:16]}; "
                f"expected {offer.digest.hex()[:16]}"
            )
        return Snapshot.decode(data)

    def keep(self, snapshot: Snapshot) -> list[Record]:
        """Keep one that was taken here; what this makes superfluous goes."""
        data = snapshot.encode()
        offer = SnapshotOffer(snapshot.commits, snapshot_digest(data), -(-len(data) // MOST_PART_BYTES))
        kept = [each for each in self._kept if each.offer.commits != snapshot.commits]
        kept = sorted([*kept, _Kept(offer, snapshot.leader)], key=lambda each: each.offer.commits)
        gone, self._kept = kept[:-KEPT], kept[-KEPT:]
        records = snapshot_records(offer, snapshot.leader, data)
        for each in gone:
            records += no_snapshot_records(each.offer)
        if gone:
            records += self._archive.trimmed(Begin(gone[-1].offer.commits, self._floor_below(gone[-1].leader)))
        return records

    def adopt(self, snapshot: Snapshot, data: bytes) -> list[Record]:
        """Begin anew with one of others, in place of all that lies before it."""
        records = [record for each in self._kept for record in no_snapshot_records(each.offer)]
        offer = SnapshotOffer(snapshot.commits, snapshot_digest(data), -(-len(data) // MOST_PART_BYTES))
        self._kept = [_Kept(offer, snapshot.leader)]
        records += snapshot_records(offer, snapshot.leader, data)
        return records + self._archive.trimmed(Begin(snapshot.commits, self._floor_below(snapshot.leader)))
