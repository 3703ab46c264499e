"""The analysis of `frr` on made-up records: a square of satellites, a station that hands over, an ISL that is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from emulator.model.network import Handover, LinkSpec, Network, NodeSpec, Rates, ScheduleRow, SubstepSpec
from emulator.record.load import Run
from scenarios.frr.analysis import owners, summary_of
from scenarios.frr.convergence import RouteChange, settle
from scenarios.frr.oracle import CarrierChange, Epoch, epochs

SERVING = (0, 0, 0, 2, 2, 2)  # of the station, by step


class Sky:
    """Four satellites in a ring, a second a step; the station's satellite changes at 3 s."""

    step_s = 1.0
    rates: Rates | None = None
    substep: SubstepSpec | None = None

    def rows(self, first: int, count: int) -> Iterator[ScheduleRow]:
        ends = np.ones(10)
        for step in range(first, first + count):
            serving = SERVING[min(step, len(SERVING) - 1)]
            peer = np.array([1, 0, 2, 1, 3, 2, 0, 3, serving, 4], np.int32)
            handovers: tuple[Handover, ...] = ()
            yield ScheduleRow(
                step, ends, ends, ends, ends * 0, ends > 0, peer, np.full((5, 5), -1, np.int32), handovers
            )


def network() -> Network:
    nodes = [
        NodeSpec(f"sat-{n}", "satellite", True, f"10.1.{n}.1", forwards=True, shared_downlink=True) for n in range(4)
    ]
    nodes.append(NodeSpec("gs-a", "ground station", True, "10.255.0.1"))
    links = [LinkSpec(f"sat-{n}:isl0", n, (n + 1) % 4, "isl0", "isl1", carrier=True) for n in range(4)]
    links.append(LinkSpec("gs-a:up", 4, 0, "up", "down", moving=True, carrier=True))
    return Network(tuple(nodes), tuple(links), Sky(), "none")


def test_epochs_begin_with_handovers_and_carriers() -> None:
    found = epochs(network(), 6.0, [CarrierChange(4.5, 1, False), CarrierChange(5.5, 1, True)])
    assert [(epoch.begin_s, epoch.end_s, epoch.causes) for epoch in found] == [
        (0.0, 3.0, ("start",)),
        (3.0, 4.5, ("handover gs-a",)),
        (4.5, 5.5, ("sat-1:isl0 down",)),
        (5.5, 6.0, ("sat-1:isl0 up",)),
    ]
    start, handover, cut, again = (epoch.next_hops for epoch in found)
    assert start[0, 2] == {1, 3}, "two ways of two hops"
    assert start[2, 4] == {1, 3}
    assert start[0, 4] == handover[2, 4] == {4}
    assert start[4, 3] == {0}
    assert handover[4, 3] == {2}
    assert cut[1, 2] == {0}, "all the way round"
    assert again == handover


def test_what_is_down_from_the_start_is_down_at_the_start() -> None:
    (first,) = epochs(network(), 1.0, [CarrierChange(0.0, 0, False), CarrierChange(0.0, 1, False)])
    assert first.causes == ("start",)
    assert first.next_hops[1, 3] == first.next_hops[0, 1] == frozenset()


ONE_WAY = {(0, 1): frozenset({1, 2}), (0, 2): frozenset()}


@pytest.mark.parametrize(
    ("told", "after_s", "wrong"),
    [
        ([], None, 1),
        ([(5.0, 1, {1})], 0.0, 0),
        ([(12.5, 1, {1, 2})], 2.5, 0),
        ([(12.5, 1, {1, 3})], None, 1),
        ([(5.0, 1, {1}), (11.0, 1, set()), (11.5, 1, {2})], 1.5, 0),
        ([(11.0, 1, {1}), (11.0, 2, {1}), (13.0, 2, set())], 3.0, 0),
        ([(11.0, 1, {1}), (25.0, 1, set())], 1.0, 0),
        ([(11.0, 1, {1}), (12.0, 7, {1})], 1.0, 0),
    ],
)
def test_tables_settle_when_they_are_right_and_stay_so(
    told: list[tuple[float, int, set[int]]], after_s: float | None, wrong: int
) -> None:
    epoch = Epoch(10.0, 20.0, ("x",), ONE_WAY)
    (found,) = settle([epoch], {0: [RouteChange(t_s, goal, frozenset(hops)) for t_s, goal, hops in told]})
    assert (found.after_s, found.wrong) == (after_s, wrong)


def test_access_addresses_are_those_of_the_scenario() -> None:
    found = owners(network())
    assert (found["172.16.3.1"], found["172.17.0.1"], found["10.255.0.1"]) == (3, 4, 4)


def recorded(rows: list[tuple[float, str, str, dict[str, Any]]], samples: list[tuple[float, str, str, float]]) -> Run:
    run = Run(Path(), "", None)
    t_s, node, kind, data = zip(*rows, strict=True)
    program = ["routes" if each == "routes" else "" for each in kind]
    text = [json.dumps(each) for each in data]
    run.__dict__["events"] = polars.DataFrame(
        {"t_s": t_s, "node": node, "program": program, "kind": kind, "data": text}
    )
    at_s, name, key, value = zip(*samples, strict=True)
    run.__dict__["samples"] = polars.DataFrame(
        {"t_s": at_s, "node": ["sat-0"] * len(at_s), "program": "routes", "name": name, "key": key, "value": value}
    )
    return run


def address(node: int) -> str:
    return network().nodes[node].ipv4


def test_figures_of_a_run() -> None:
    net = network()
    (start, handover) = epochs(net, 30.0, [])
    access = {0: "172.16.0.1", 2: "172.16.2.1", 4: "172.17.0.1"}

    def told(node: int, at_s: float, epoch: Epoch) -> tuple[float, str, str, dict[str, Any]]:
        changed = {
            address(goal): " ".join(access[hop] if 4 in (n, hop) else address(hop) for hop in sorted(hops))
            for (n, goal), hops in epoch.next_hops.items()
            if n == node
        }
        return at_s + 0.05, net.nodes[node].name, "routes", {"at_s": at_s, "changed": changed}

    rows = [told(node, 1.0 + 0.1 * node, start) for node in range(5)]
    rows += [told(node, 3.2 + 0.1 * node, handover) for node in range(5)]
    rows.append((30.0, "gs-a", "probe", {}))
    samples = [
        (2.9, "probe_lost", "sat-3", 1.0),
        (5.0, "probe_lost", "sat-3", 1.0),
        (10.0, "pss_bytes", "ospfd", 5e6),
        (20.0, "pss_bytes", "ospfd", 6e6),
        (20.0, "cpu_s", "ospfd", 0.5),
    ]
    summary = summary_of(recorded(rows, samples), net, 60.0)
    assert summary["start_s"] == 1.4
    assert summary["handover_s"] == {"count": 1, "p50": 0.6, "max": 0.6}
    assert summary["routes_wrong"] == 0
    assert summary["changes"] == [
        {"at_s": 3.0, "cause": "handover gs-a", "settled_s": 0.6, "wrong": 0, "probes_lost": 1}
    ]
    assert (summary["memory_mb"], summary["cpu_s"]) == ({"ospfd": 6.0}, {"ospfd": 0.5})
    rows.append((31.5, "sat-1", "routes", {"at_s": 30.5, "changed": {address(4): ""}}))  # its daemons have ended
    assert summary_of(recorded(rows, samples), net, 30.0)["routes_wrong"] == 0
    assert summary_of(recorded(rows, samples), net, 60.0)["routes_wrong"] == 1
    overrun = [*rows, (7.0, "sat-1", "routes-overrun", {})]
    assert summary_of(recorded(overrun, samples), net, 60.0)["route_overruns"] == 1
    without = [row for row in rows if row[0] < 3.0 or row[1] != "sat-1"]
    assert summary_of(recorded(without, samples), net, 60.0)["routes_wrong"] == 1


def test_a_run_that_never_converged_says_how_many_routes_were_wrong() -> None:
    summary = summary_of(recorded([(6.0, "gs-a", "probe", {})], [(1.0, "probe_lost", "x", 1.0)]), network(), 60.0)
    assert summary == {"routers": 5, "route_overruns": 0, "routes_wrong": 20}
