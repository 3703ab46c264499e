"""CPU time of one instant's routing for the sizes that scenarios have: `python -m benchmarks routes`.

A Walker-like torus of satellites with random link delays; every station sees four satellites. Routes, delays along
them, kernel tables (where all nodes are live) and the row's copy into the ring; least and greatest of five calls.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from emulator.model.network import LinkSpec, Network, NodeSpec, ScheduleRow
from emulator.schedule.fib import FibCompiler
from emulator.schedule.ring import RowRing
from emulator.schedule.routes import delay_along, least_delay, path, route_delay_s

CASES = (  # name, planes, satellites a plane, stations, all nodes live
    ("1,584 satellites, 12 stations", 72, 22, 12, False),
    ("7,056 satellites, 50 stations", 84, 84, 50, False),
    ("1,584 satellites, 12 stations, all live", 72, 22, 12, True),
)


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


def network_of(tail, head, nodes: int, satellites: int, slots: int, everyone: bool) -> Network:
    specs = []
    for number in range(nodes):
        satellite = number < satellites
        address = f"10.{number // slots}.{number % slots}.1" if satellite else f"10.200.0.{number - satellites + 1}"
        live = everyone or not satellite
        specs.append(NodeSpec(str(number), "satellite", live, address, forwards=True, shared_downlink=True))
    links = tuple(LinkSpec(str(end), int(tail[end]), int(head[end]), "a", "b") for end in range(0, len(tail), 2))
    return Network(tuple(specs), links)


def measure(what: str, call, repeats: int = 5) -> None:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append((time.process_time() - start) * 1e3)
    print(f"  {what:<42} {min(taken):8.1f} ms  (at most {max(taken):.1f} ms)")


def case(name: str, planes: int, slots: int, stations: int, everyone: bool) -> None:
    tail, head, delay_s, end = shell(planes, slots, stations)
    satellites = planes * slots
    nodes = satellites + stations
    closed = np.arange(nodes) >= satellites
    goals = np.arange(nodes) if everyone else np.flatnonzero(closed)
    print(f"{name}: {len(tail)} edges, {len(goals)} destinations")

    measure("least_delay", lambda: least_delay(tail, head, delay_s, end, nodes, goals, closed))
    next_end, _ = least_delay(tail, head, delay_s, end, nodes, goals, closed)
    zero, up = np.zeros(len(tail)), np.ones(len(tail), bool)
    ring = RowRing(len(tail), nodes, len(goals), capacity=6)
    row = ScheduleRow(0, delay_s, delay_s, zero, zero, up, head, next_end)
    measure("delays along routes, all pairs", lambda: route_delay_s(row, goals, 0.5))
    measure("delay along one route", lambda: delay_along(row, path(next_end, head, 0, goals[0], goals[1]), 0.5))

    def put() -> None:
        ring.put(replace(row, step=ring.latest + 1))

    measure(f"ring.put ({ring.bytes_per_row / 1e6:.1f} MB)", put)
    if everyone:
        network = network_of(tail, head, nodes, satellites, slots, everyone)
        measure("kernel tables, compressed from nothing", lambda: FibCompiler(network).update(next_end))
        routes = sum(len(change.add) for change in FibCompiler(network).update(next_end))
        print(f"  {nodes * (nodes - 1)} host routes become {routes} prefixes")


def main() -> None:
    for each in CASES:
        case(*each)


if __name__ == "__main__":
    main()
