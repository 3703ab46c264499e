"""Time of the least-delay routing of one instant, for the sizes that scenarios have: `python -m benchmarks.routes`.

A Walker-like torus of satellites with random link delays; every station sees four satellites.
"""

from __future__ import annotations

import time

import numpy as np

from emulator.schedule.routes import least_delay, path_delay

SIZES = (("72 x 22, 12 stations", 72, 22, 12, False), ("84 x 84, 50 stations", 84, 84, 50, False),
         ("72 x 22, 12 stations, all live", 72, 22, 12, True))  # fmt: skip


def shell(planes: int, slots: int, stations: int, seed: int = 1):
    """Directed edges of a +Grid with stations: tail, head, delay_s, end, and the number of nodes."""
    rng = np.random.default_rng(seed)
    satellites = planes * slots
    number = np.arange(satellites)
    plane, slot = np.divmod(number, slots)
    a = np.concatenate((number, number, satellites + np.repeat(np.arange(stations), 4)))
    ahead, beside = plane * slots + (slot + 1) % slots, (plane + 1) % planes * slots + slot
    b = np.concatenate((ahead, beside, rng.integers(0, satellites, 4 * stations)))
    delay_s = np.repeat(rng.uniform(2e-3, 8e-3, len(a)), 2)
    tail, head = np.stack((a, b), 1).reshape(-1), np.stack((b, a), 1).reshape(-1)
    return tail.astype(np.int32), head.astype(np.int32), delay_s, np.arange(len(tail), dtype=np.int32)


def best_ms(call, repeats: int = 5) -> tuple[float, float]:
    """Least and greatest CPU time of several calls, in milliseconds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) * 1e3)
    return min(taken), max(taken)


def main() -> None:
    for name, planes, slots, stations, everyone in SIZES:
        tail, head, delay_s, end = shell(planes, slots, stations)
        nodes = planes * slots + stations
        closed = np.arange(nodes) >= planes * slots
        goals = np.arange(nodes) if everyone else np.flatnonzero(closed)

        def routes():
            return least_delay(tail, head, delay_s, end, nodes, goals, closed)  # noqa: B023

        next_end, _ = routes()
        low, high = best_ms(routes)
        print(f"{name}: least_delay {low:.1f} ms (slowest {high:.1f} ms), {len(tail)} edges, {len(goals)} destinations")
        low, high = best_ms(lambda: path_delay(next_end, head, delay_s, goals, goals))  # noqa: B023
        print(f"{name}: path_delay of {len(goals)} x {len(goals)} pairs {low:.1f} ms (slowest {high:.1f} ms)")


if __name__ == "__main__":
    main()
