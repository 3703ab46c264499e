"""Headline figures of one run of `leo_access`, in the terms of the measurements: quartiles, slots, losses, throughput.

Invariant: it reads the run folder only. Held against measurements they are by `skyloom validate leo-access`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.model.network import Floats
    from emulator.record.load import Run
    from emulator.report.drawing import Drawing


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    from scenarios.leo_access.emulated import BENT_PIPE, DOWN, END_TO_END, UP, pooled, read
    from scenarios.leo_access.estimators import losses, signature

    seen = read(run)
    summary: dict[str, Any] = {
        "bent_pipe_ms": _box(pooled(seen.means_s(BENT_PIPE)) * 1e3),
        "end_to_end_ms": _box(pooled(seen.means_s(END_TO_END)) * 1e3),
        "download_mbit_s": _box(seen.bps(DOWN) / 1e6),
        "upload_mbit_s": _box(seen.bps(UP) / 1e6),
    }
    if seen.series.get(BENT_PIPE):
        slots = signature(seen.pooled(BENT_PIPE))
        summary["slots"] = {
            "phase_s": slots.phase_s,
            "step_p50_ms": _rounded(slots.step_p50_s * 1e3),
            "step_p90_ms": _rounded(slots.step_p90_s * 1e3),
            "inside_ms": _rounded(slots.inside_s * 1e3),
        }
    if seen.series.get(END_TO_END):
        lost = losses(seen.pooled(END_TO_END), 12.0)
        summary["loss"] = {name: _rounded(value, 5) for name, value in lost._asdict().items()}
    return {name: value for name, value in summary.items() if value}


def figures(run: Run) -> list[Drawing]:
    """Round trips and throughput of the run."""
    from scenarios.leo_access import drawings
    from scenarios.leo_access.emulated import read

    return drawings.of_run(read(run))


def _box(values: Floats) -> dict[str, float | int | None]:
    from scenarios.leo_access.estimators import box

    if not len(values):
        return {}
    return {"n": len(values), **{name: _rounded(value) for name, value in box(values)._asdict().items()}}


def _rounded(value: float, digits: int = 3) -> float | None:
    from math import isfinite

    return round(value, digits) if isfinite(value) else None
