"""Drawings of a scenario's analysis: `figures(run)`, `compare_figures((a, b))` of two runs, `sweep_figures(table)`.

Invariant: an analysis that is missing, draws nothing or breaks never keeps a report from being written; what broke
comes back as a warning.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from emulator.record.load import Run
from emulator.record.sweep import Sweep
from emulator.show.drawing import Drawing

if TYPE_CHECKING:
    from collections.abc import Callable

Drawn = tuple[list[Drawing], list[str]]  # drawings and warnings


def of_run(run: Run) -> Drawn:
    """What the analysis of the run's scenario draws."""
    return _draw(run.document.get("analysis"), run.document.get("directory"), "figures", lambda: run)


def of_two(first: Run, second: Run) -> Drawn:
    """What the analysis of the first run's scenario draws over two runs."""
    document = first.document
    return _draw(document.get("analysis"), document.get("directory"), "compare_figures", lambda: (first, second))


def of_sweep(sweep: Sweep) -> Drawn:
    """What the analysis of the swept scenario draws over the whole table."""
    return _draw(sweep.analysis, sweep.directory, "sweep_figures", sweep.table)


def _draw(analysis: Any, directory: Any, function: str, subject: Callable[[], Any]) -> Drawn:
    if not isinstance(analysis, str) or not analysis:
        return [], []
    try:
        draw = getattr(_module(analysis, directory), function, None)
        drawings = [] if draw is None else list(draw(subject()))
        for drawing in drawings:
            if not isinstance(drawing, Drawing):
                raise TypeError(f"{function} gave {type(drawing).__name__}, wanted emulator.show.drawing.Drawing")
            if not re.fullmatch(r"[\w-]{1,80}", drawing.name):
                raise ValueError(f"a drawing is named {drawing.name!r}; wanted letters, digits, - and _")
    except Exception as error:
        return [], [f"{analysis}.{function} failed: {type(error).__name__}: {error}"]
    return drawings, []


def _module(analysis: str, directory: Any) -> ModuleType:
    """The analysis module; it may stand beside the scenario's file."""
    if isinstance(directory, str) and directory not in sys.path:
        sys.path.append(directory)
    return importlib.import_module(analysis)
