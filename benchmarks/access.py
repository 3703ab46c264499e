"""Cost of the schedule with the access model: a full shell and 50 terminals, with and without gateways.

`python -m benchmarks.access`: CPU time of a step of 1 s in this process, how many times real time that is, and its
parts. The target is 20 times real time on one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emulator.model.network import BuildOptions
from topologies.leo import Config, LeoTopology, build
from topologies.leo.stations import SITES
from topologies.leo.terminal_model.compile import compile_step

STATIONS = [name for name in SITES if name not in ("mcmurdo", "svalbard", "tromso", "reykjavik", "anchorage")][:50]
EXTRA = [
    {"name": f"more-{number}", "lat_deg": 40.0 + number, "lon_deg": 5.0 * number}
    for number in range(50 - len(STATIONS))
]
STEPS = 60


def topo(terminal: str, gateways: dict[str, Any] | None = None) -> LeoTopology:
    tables = {"ground": {"terminal": terminal, "stations": STATIONS, "station": EXTRA}, "gateways": gateways or {}}
    return build(Config.model_validate(tables), BuildOptions(duration_s=float(STEPS)))


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    for title, made in (
        ("ideal", topo("ideal")),
        ("starlink", topo("starlink")),
        ("starlink, gateways", topo("starlink", {"sites": "near"})),
    ):
        timeline = made.timeline
        next(timeline.rows(0, 1))
        step_s = cpu_s(lambda timeline=timeline: list(timeline.rows(1, STEPS))) / STEPS
        chosen_s = cpu_s(lambda timeline=timeline: list(timeline.instants(100, STEPS))) / STEPS
        print(
            f"  {title:20} {timeline.satellites} satellites, {len(timeline.stations)} terminals, {len(timeline.live)} "
            f"live: {step_s * 1e3:6.2f} ms a step, {1 / step_s:.0f} × real time; "
            f"geometry and choice {chosen_s * 1e3:.2f} ms"
        )
    model, substep = timeline.model, timeline.substep
    assert model is not None
    assert substep is not None
    import numpy as np

    zero = np.zeros(len(model))
    taken_s = cpu_s(
        lambda: [compile_step(model, float(step), step + 1.0, zero, zero, substep.knots) for step in range(STEPS)]
    )
    print(
        f"  tables of {len(model)} terminals   {taken_s / STEPS * 1e3:6.2f} ms a step, "
        f"up to {substep.knots} knots an end"
    )


if __name__ == "__main__":
    main()
