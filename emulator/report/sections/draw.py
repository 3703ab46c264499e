"""Writes drawings: as files beside the page, and into the page.

Invariant: what cannot be drawn is a warning, and costs no other drawing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from emulator.model.errors import DataError
from emulator.model.outputs import write_atomic
from emulator.record.folder import give as give_to
from emulator.record.folder import invoking_user, reason
from emulator.record.load import Run
from emulator.report import drawing, page
from emulator.report.drawing import Drawing
from emulator.report.progress import Tell, silent


def draw(
    drawings: Sequence[Drawing], folder: Path, warnings: list[str], run: Run | None = None, tell: Tell = silent
) -> list[str]:
    """Write each drawing as SVG into a folder, and give it as a part of a page. Of several with one name the first.

    With the `run` faults and handovers are marked behind what is drawn over its time. What cannot be drawn comes to
    `warnings`.
    """
    drawn: dict[str, str] = {}
    for number, each in enumerate(drawings):
        tell(f"drawing {each.name}", number, len(drawings))
        if each.name in drawn:
            continue
        try:
            marked = _marked(each, run, warnings)
            svg = drawing.svg(each.figure)
        except Exception as error:
            warnings.append(f"drawing {each.name} failed: {type(error).__name__}: {error}")
            continue
        write(folder / f"{each.name}.svg", svg)
        drawn[each.name] = page.figure(each.name, each.title, f"{each.caption} {marked}".strip(), svg)
    return list(drawn.values())


def _marked(each: Drawing, run: Run | None, warnings: list[str]) -> str:
    """The words on its marks; without events it is drawn without them."""
    try:
        return drawing.mark_figure(each.figure, run) if run is not None else ""
    except DataError as error:
        warnings.append(str(error))
        return ""


def write(path: Path, document: str) -> None:
    """Write a file for the user behind sudo, and the folder that it is in where there is none. DataError."""
    owner = invoking_user(os.environ)
    try:
        path.parent.mkdir(exist_ok=True, parents=True)
        write_atomic(path, document.encode())
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from None
    give_to(path.parent, owner)
    give_to(path, owner)
