"""The report: one HTML page in the folder of a run or a sweep, and its drawings as SVG files beside it.

Invariant: the page says nothing that is not in the folder, the verdict first, and is the same for the same folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from emulator.client.find import is_sweep
from emulator.model.errors import DataError, UsageError
from emulator.record.folder import give as give_to
from emulator.record.folder import invoking_user, reason, write_atomic
from emulator.record.load import Run, load_run
from emulator.record.sweep import load_sweep
from emulator.report import drawing, figures, page
from emulator.report.drawing import Drawing
from emulator.report.progress import Tell, silent
from emulator.report.sections.messages import Window

__all__ = ["Window", "draw", "write", "write_report"]


def write_report(folder: Path, window: Window | None = None, tell: Tell = silent) -> tuple[Path, list[str]]:
    """Write figures/*.svg and report.html into a run or sweep folder; the page's path, and what could not be drawn.

    With a `window` the messages of that time are drawn, too. `tell` hears what is being done. DataError where the
    folder cannot be read or written.
    """
    path = folder / "report.html"
    if is_sweep(folder):
        from emulator.report.sections.of_sweep import sweep_page

        if window is not None:
            raise UsageError("--window is of one run; name a run instead of the sweep")
        tell("reading the sweep", 0, 0)
        sweep = load_sweep(folder)
        drawings, warnings = figures.of_sweep(sweep)
        write(path, sweep_page(sweep, draw(drawings, folder / "figures", warnings, tell=tell), warnings))
        return path, warnings
    from emulator.report.sections.of_run import run_page

    run = load_run(folder)
    document, warnings = run_page(run, window, tell)
    write(path, document)
    return path, warnings


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
