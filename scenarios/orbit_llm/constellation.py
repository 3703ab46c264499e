"""A ring of neighbouring satellites in two planes of a shell, and the ways between them as the orbits have them.

Invariant: neighbours in the ring are joined by one ISL, but for the last and the first of an odd number. A way is as
bad as it ever is at the instants looked at, so a plan made of ways holds for all of them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from emulator.model.network import BuildOptions
from emulator.orbit.grid import AHEAD, BEHIND, EAST
from emulator.schedule.routes import delay_along, path
from scenarios.orbit_llm.way import Way
from topologies import leo

WINDOW_S = 120.0  # in which requests come to an end
APART_S = 10.0  # between two instants


def ring(tables: dict[str, Any], count: int, spares: int = 0) -> tuple[list[str], list[str]]:
    """Names of the satellites: up one plane, and back in the next one to the east. Spares lie ahead in the former."""
    built = leo.build(leo.Config.model_validate(tables), BuildOptions())
    grid, names = built.grid, [node.name for node in built.nodes]
    ends = {(a, port): b for a, b, port in zip(grid.a.tolist(), grid.b.tolist(), grid.a_port.tolist(), strict=True)}
    ends |= {(b, port): a for a, b, port in zip(grid.a.tolist(), grid.b.tolist(), grid.b_port.tolist(), strict=True)}
    first = -(-count // 2)

    def walk(start: int, ports: list[int]) -> list[int]:
        return list(accumulate(ports, lambda at, port: ends[at, port], initial=start))

    up = walk(0, [AHEAD] * (first - 1 + spares))
    back = walk(up[first - 1], [EAST] + [BEHIND] * (count - first - 1))[1:] if count > first else []
    return [names[at] for at in (*up[:first], *back)], [names[at] for at in up[first:]]


def ways(tables: dict[str, Any], satellites: list[str]) -> list[Way]:
    """All ways between these satellites, at their worst in the first two minutes."""
    options = BuildOptions(materialise=tuple(satellites), duration_s=WINDOW_S)
    built = leo.build(leo.Config.model_validate(tables), options)
    network = built.network()
    worst: dict[tuple[str, str], Way] = {}
    names = [node.name for node in network.nodes]
    places = {names[number]: place for place, number in enumerate(network.live)}
    for step in range(0, round(WINDOW_S), round(APART_S)):
        (row,) = built.timeline.rows(step, 1)
        for source in satellites:
            for target in satellites:
                if source == target:
                    continue
                ends = path(row.next_end, row.peer, places[target], names.index(target), names.index(source))
                way = Way(source, target, delay_along(row, ends), len(ends), float(np.min(row.rate_bps[ends])))
                before = worst.setdefault((source, target), way)
                worst[source, target] = max(before, way, key=lambda each: each.delay_s)
    return list(worst.values())
