"""Where a restart takes up the order: at the end of the log of commits, but for some that are worked out again.

Invariant: a log that differs from what its own certificates give is refused, as far as it is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.errors import DataError
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.messages import Certificate
from nodes.dagbft.primary.records import Archive

COMPARED = 8  # commits at the end of the log that a restart works out again
_HELP = "Restore it from a copy, or delete the folder"


def where_to_begin(archive: Archive, log: list[Commit]) -> tuple[list[Commit], int, list[Certificate]]:
    """The commits that are taken as the log has them, the floor after these, and the certificates to be delivered."""
    commits: list[Commit] = []
    certificates: list[Certificate] = []
    floor = 0
    for count in (len(log) - COMPARED, len(log)):
        commits = log[: max(count, 0)]
        floor = archive.floor(count - 1) if commits else 0
        certificates = list(archive.certificates(floor))
        if _complete(certificates, floor):
            break
    return commits, floor, certificates


def _complete(certificates: Sequence[Certificate], floor: int) -> bool:
    """Whether those above a floor have all their parents."""
    held = {certificate.digest for certificate in certificates}
    return all(held.issuperset(each.header.parents) for each in certificates if each.round > floor)


def compare(commit: Commit, log: Sequence[Commit]) -> None:
    """DataError where a commit that was worked out again is not the one of the log."""
    if commit != log[commit.number]:
        raise DataError(
            f"the store has another commit {commit.number} than its certificates give: {log[commit.number]}; "
            f"expected {commit}. {_HELP}"
        )


def compare_count(commits: int, logged: int) -> None:
    """DataError where the certificates give fewer commits than the log has."""
    if commits < logged:
        raise DataError(
            f"the store has {logged} commits, of which its certificates give {commits}; expected all. {_HELP}"
        )
