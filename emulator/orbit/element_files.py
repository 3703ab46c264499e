"""Files of element sets: two- or three-line sets and OMMs in four syntaxes, told apart by how they begin.

Invariant: node names come from catalogue numbers (sat-44238, sat-799501621), which must be unique in a file; an OMM
without one goes by its designator (sat-1998-067A). A set that cannot be used is named by file and line, and left out
only when the caller says so.
"""

from __future__ import annotations

from pathlib import Path

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.orbit import omm, tle
from emulator.orbit.element_sets import BadSet, ElementSet
from emulator.orbit.elements import Constellation, Epoch

_SHOWN = 5  # bad lines listed in full; the rest are counted


def read(path: str | Path, skip_bad: bool = False, epoch: Epoch | None = None) -> Constellation:
    """The satellites of a file; scenario time 0 is `epoch`, or else the latest epoch in the file.

    DataError names every malformed set as `file:line`; with `skip_bad` those sets are left out and counted.
    """
    path = Path(path)
    try:
        text = read_text(path, encoding="utf-8-sig", errors="replace")
    except OSError as error:
        expected = "a file of two- or three-line sets, or an OMM (JSON, CSV, XML or KVN)"
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from None
    syntax = omm.syntax_of(text)
    sets: dict[str, ElementSet] = {}
    bad: list[BadSet] = []
    for item in omm.parse(text, syntax) if syntax else tle.parse(text):
        if isinstance(item, BadSet):
            bad.append(item)
        elif item.identity in sets:
            again = f"catalogue number {item.identity} again, first in line {sets[item.identity].line}"
            bad.append(BadSet(item.line, again))
        else:
            sets[item.identity] = item
    if bad and not skip_bad:
        raise DataError(_report(path, bad))
    if not sets:
        lines = text.count("\n") + bool(text and text[-1] != "\n")
        raise DataError(f"{path}: holds no usable element set ({lines} lines, {len(bad)} bad)")
    records = tuple(each.record for each in sets.values())
    latest = epoch or max(Epoch.of_julian(record.jdsatepoch, record.jdsatepochF) for record in records)
    return Constellation(path.name, tuple(f"sat-{identity}" for identity in sets), records, latest, len(bad))


def _report(path: Path, bad: list[BadSet]) -> str:
    lines = [f"{path}:{problem.line}  {problem.reason}" for problem in sorted(bad, key=lambda problem: problem.line)]
    more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([*lines[:_SHOWN], *more, "Correct the file, or leave such sets out with --skip-bad."])
