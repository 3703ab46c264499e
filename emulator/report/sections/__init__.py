"""The report: one HTML page in the folder of a run or a sweep, and its drawings as SVG files beside it.

Invariant: the page says nothing that is not in the folder, the verdict first, and is the same for the same folder.
"""

from __future__ import annotations

from pathlib import Path

from emulator.client.find import is_sweep
from emulator.model.errors import UsageError
from emulator.record.load import load_run
from emulator.record.sweep import load_sweep
from emulator.report import figures
from emulator.report.progress import Tell, silent
from emulator.report.sections.draw import draw, write
from emulator.report.sections.messages import Window

__all__ = ["Window", "draw", "write", "write_report"]


def write_report(folder: Path, window: Window | None = None, tell: Tell = silent) -> tuple[Path, list[str]]:
    """Write figures/*.svg and report.html into a run or sweep folder; the page's path, and what could not be drawn.

    With a `window` the messages of that time are drawn, too. `tell` is called with the progress. DataError where the
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
