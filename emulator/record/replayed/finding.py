"""A finding: what two runs decided of one kind, how much of it can be compared, and how much was equal."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """`compared` decisions of a kind, of which `equal` were equal; `note` has the first difference, or why nothing can
    be compared."""

    kind: str  # "actions", "losses"
    where: str  # a link end or a program; "" for the whole run
    compared: int
    equal: int
    note: str = ""

    @property
    def differs(self) -> bool:
        return self.equal < self.compared

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "where": self.where,
            "compared": self.compared,
            "equal": self.equal,
            "note": self.note,
        }


def of_sequences(
    kind: str, where: str, first: Sequence[Hashable], second: Sequence[Hashable], note: str = ""
) -> Finding:
    """Two sequences that should be the same, place by place; what one has more than the other differs too."""
    compared = max(len(first), len(second))
    equal = sum(one == other for one, other in zip(first, second, strict=False))
    if equal < compared:
        place = next(place for place in range(compared) if first[place : place + 1] != second[place : place + 1])
        one, other = (str(run[place]) if place < len(run) else "nothing" for run in (first, second))
        note = f"number {place + 1}: {one}, then {other}"
    return Finding(kind, where, compared, equal, note)
