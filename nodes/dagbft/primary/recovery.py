"""Where a restart continues: at the newest snapshot and the end of the log of commits since.

The ledger executes the commits since the snapshot from the log; the last of these are also derived again from the
certificates. Invariant: a log whose compared commits differ from those derived is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from emulator.model.errors import DataError
from nodes.dagbft.consensus.core import Commit, Past
from nodes.dagbft.messages import Certificate
from nodes.dagbft.primary.records import Archive

COMPARED = 8  # commits at the end of the log that a restart derives again
_HELP = "Restore it from a copy, or delete the folder"


class Beginning(NamedTuple):
    """The state at which a restart begins."""

    past: Past | None  # of the snapshot
    log: list[Commit]  # since the snapshot
    logged: int  # commits up to the end of the log
    taken: list[Commit]  # those of the log that are not derived again
    floor: int  # of the DAG after these
    certificates: list[Certificate]  # to be delivered


def beginning(archive: Archive, past: Past | None, floor_below: Callable[[int], int]) -> Beginning:
    """Where to begin after a snapshot. Raises DataError if a commit is missing."""
    first, floor = (0, 0) if past is None else (past.commits, floor_below(past.leader))
    log = list(archive.commits(first))
    for number, commit in enumerate(log, first):
        if commit.number != number:
            raise DataError(f"the store lacks commit {number}; expected all from {first} on. {_HELP}")
    taken, begin, certificates = log, floor, list[Certificate]()
    for count in range(max(len(log) - COMPARED, 0), len(log) + 1):  # derive as many again as possible
        taken = log[:count]
        begin = archive.floor(taken[-1].number) if taken else floor
        certificates = list(archive.certificates(begin))
        if _complete(certificates, begin):
            break
    return Beginning(past, log, first + len(log), taken, begin, certificates)


def _complete(certificates: Sequence[Certificate], floor: int) -> bool:
    """Whether all certificates above a floor have all their parents."""
    held = {certificate.digest for certificate in certificates}
    return all(held.issuperset(each.header.parents) for each in certificates if each.round > floor)


def compare(commit: Commit, log: Sequence[Commit]) -> None:
    """Raises DataError if a commit that was derived again differs from that of the log."""
    kept = log[commit.number - log[0].number]
    if commit != kept:
        raise DataError(
            f"the store has another commit {commit.number} than its certificates give: {kept}; "
            f"expected {commit}. {_HELP}"
        )


def compare_count(commits: int, logged: int) -> None:
    """Raises DataError if the certificates give fewer commits than the log has."""
    if commits < logged:
        raise DataError(
            f"the store has {logged} commits, of which its certificates give {commits}; expected all. {_HELP}"
        )
