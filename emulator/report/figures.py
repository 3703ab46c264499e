"""Drawings that belong to a run: of its scenario's analysis, or else of the protocols whose programs ran.

An analysis draws by `figures(run)`, `compare_figures((a, b))` of two runs, `sweep_figures(table)`; a protocol by the
function that `Protocol.figures` names. Invariant: what is missing, draws nothing or breaks never keeps a report from
being written; what broke comes back as a warning.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from emulator.model.errors import Unfit
from emulator.record.load import Run
from emulator.record.sweep import Sweep
from emulator.report.drawing import Drawing

Drawn = tuple[list[Drawing], list[str]]  # drawings and warnings


def of_run(run: Run) -> Drawn:
    """What the analysis of the run's scenario draws; where it has no `figures`, what the protocols draw."""
    analysis, directory = run.document.get("analysis"), run.document.get("directory")
    drawings, warnings = _draw(analysis, directory, "figures", lambda: run)
    if drawings is not None:
        return drawings, warnings
    made: dict[str, Drawing] = {}
    for name in protocol_figures(run, warnings):
        module, _, function = name.partition(":")
        found, trouble = _draw(module, directory, function, lambda: run)
        warnings += trouble if found is not None else [f"{module} has no {function}"]
        for each in found or ():
            made.setdefault(each.name, each)
    return list(made.values()), warnings


def of_two(first: Run, second: Run) -> Drawn:
    """What the analysis of the first run's scenario draws over two runs."""
    document = first.document
    analysis, directory = document.get("analysis"), document.get("directory")
    drawings, warnings = _draw(analysis, directory, "compare_figures", lambda: (first, second))
    return drawings or [], warnings


def of_sweep(sweep: Sweep) -> Drawn:
    """What the analysis of the swept scenario draws over the whole table; bands over seeds where it has nothing."""
    drawings, warnings = _draw(sweep.analysis, sweep.directory, "sweep_figures", sweep.table)
    if not drawings:
        from emulator.report import sweep_plots

        drawings = sweep_plots.drawings(sweep)
    return drawings, warnings


def protocol_figures(run: Run, warnings: list[str]) -> list[str]:
    """Dotted names of the figure functions of the protocols whose programs ran, in the order of the scenario."""
    from emulator.sdk.protocol import Protocol

    found: dict[str, None] = {}
    directory = run.document.get("directory")
    for program in run.document.get("program") or ():
        node = program.get("run") if isinstance(program, dict) else None
        if not isinstance(node, str):
            continue  # a command: it speaks no protocol that we know of
        try:
            name = getattr(_object(node, directory), "protocol", "")
            protocol = _object(name, directory) if name else None
            if isinstance(protocol, Protocol) and protocol.figures:
                found[protocol.figures] = None
        except Exception as error:
            warnings.append(f"the protocol of {node} cannot be found: {type(error).__name__}: {error}")
    return list(found)


def _draw(
    analysis: Any, directory: Any, function: str, subject: Callable[[], Any]
) -> tuple[list[Drawing] | None, list[str]]:
    """Drawings that a function of a module makes, None where there is no such function; and what went wrong."""
    if not isinstance(analysis, str) or not analysis:
        return None, []
    try:
        draw = getattr(_module(analysis, directory), function, None)
        if draw is None:
            return None, []
        return list(_checked(draw(subject()), function)), []
    except Exception as error:
        return [], [f"{analysis}.{function} failed: {type(error).__name__}: {error}"]


def _checked(drawings: Any, function: str) -> Iterator[Drawing]:
    """Each drawing, once by its name."""
    seen = set()
    for drawing in drawings:
        if not isinstance(drawing, Drawing):
            raise TypeError(f"{function} gave {type(drawing).__name__}, expected emulator.report.drawing.Drawing")
        if not re.fullmatch(r"[\w-]{1,80}", drawing.name):
            raise Unfit(f"a drawing is named {drawing.name!r}", "letters, digits, - and _")
        if drawing.name not in seen:
            seen.add(drawing.name)
            yield drawing


def _object(dotted: str, directory: Any) -> Any:
    """What "package.module:name" names."""
    module, _, name = dotted.partition(":")
    return getattr(_module(module, directory), name)


def _module(analysis: str, directory: Any) -> ModuleType:
    """A module; it may stand beside the scenario's file."""
    if isinstance(directory, str) and directory not in sys.path:
        sys.path.append(directory)
    return importlib.import_module(analysis)
