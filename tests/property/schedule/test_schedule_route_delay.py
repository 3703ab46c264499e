"""Delays along routes against their definition: follow the routes hop by hop, for each pair, and add.

Rows had these delays as tables once: propagation along the routes at the begin of the step and at its end, linear
between the two. What is worked out on demand must be the same.
"""

from __future__ import annotations

from functools import cache
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.network import BuildOptions, EndSpec, LinkSpec, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.routes import delay_along, path, route_delay_s
from emulator.schedule.timeline import ROUTINGS, KnotTimeline
from topologies.leo import Config, LeoTopology, build

SHARES = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))
SMALL = {"shell": {"planes": 12, "per_plane": 8, "phasing": 1}, "ground": {"min_elevation_deg": 10}}


def table(row: ScheduleRow, live: list[int], delay_s: np.ndarray, received: np.ndarray) -> list[list[float]]:
    """Delay from the live node i to the live node j along the routes; `received`: which ends have somebody there."""
    answer = [[inf] * len(live) for _ in live]
    for i, source in enumerate(live):
        for j, goal in enumerate(live):
            at, total_s, hops = source, 0.0, 0
            while at != goal and hops <= row.next_end.shape[1]:
                end = int(row.next_end[j, at])
                if end < 0 or not received[end]:
                    break
                total_s, at, hops = total_s + float(delay_s[end]), int(row.peer[end]), hops + 1
            if at == goal:
                answer[i][j] = total_s
    return answer


def check(row: ScheduleRow, live: list[int], share: float, received: np.ndarray) -> None:
    start_s, end_s = (np.array(table(row, live, d, received)) for d in (row.delay_start_s, row.delay_end_s))
    known = np.isfinite(start_s)
    wanted_s = np.where(known, start_s, 0.0)
    wanted_s = np.where(known, wanted_s + (np.where(known, end_s, 0.0) - wanted_s) * share, inf)
    found_s = route_delay_s(row, live, share)
    assert found_s == pytest.approx(wanted_s.reshape(found_s.shape), rel=1e-12, abs=1e-15)
    for i, source in enumerate(live):
        for j, goal in enumerate(live):
            ends = path(row.next_end, row.peer, j, goal, source)
            assert bool(ends) == (i != j and known[i, j])
            if ends or i == j:
                assert delay_along(row, ends, share) == pytest.approx(wanted_s[i, j], rel=1e-12, abs=1e-15)


@st.composite
def rows(draw: st.DrawFn) -> tuple[ScheduleRow, list[int]]:
    """Any tables at all: loops, routes that end half way, ends with nobody there."""
    nodes, ends = draw(st.integers(1, 9)), draw(st.integers(1, 16))
    live = draw(st.lists(st.integers(0, nodes - 1), min_size=1, max_size=nodes, unique=True))
    delays = st.lists(st.floats(0, 10), min_size=ends, max_size=ends)
    heads = draw(st.lists(st.integers(-1, nodes - 1), min_size=ends, max_size=ends))
    size = len(live) * nodes
    used = draw(st.lists(st.integers(-1, ends - 1), min_size=size, max_size=size))
    next_end = np.array(used, np.int32).reshape(len(live), nodes)
    next_end[np.arange(len(live)), live] = -1
    zero, up = np.zeros(ends), np.ones(ends, bool)
    start_s, end_s = np.array(draw(delays)), np.array(draw(delays))
    return ScheduleRow(0, start_s, end_s, zero, zero, up, np.array(heads, np.int32), next_end), live


@given(rows(), SHARES)
def test_delays_of_any_tables(drawn: tuple[ScheduleRow, list[int]], share: float) -> None:
    row, live = drawn
    check(row, live, share, row.peer >= 0)


@given(rows(), SHARES, st.data())
def test_some_pairs_are_part_of_all(drawn: tuple[ScheduleRow, list[int]], share: float, data: st.DataObject) -> None:
    row, live = drawn
    places = st.lists(st.integers(0, len(live) - 1), max_size=4)
    sources, destinations = data.draw(places), data.draw(places)
    part = route_delay_s(row, live, share, sources, destinations)
    assert part.shape == (len(sources), len(destinations))
    assert part == pytest.approx(route_delay_s(row, live, share)[np.ix_(sources, destinations)], rel=1e-12)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[KnotTimeline, list[int]]:
    """Networks whose links change their delay and go down."""
    count = draw(st.integers(1, 6))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=10))
    live = [draw(st.booleans()) for _ in range(count)]
    nodes = [NodeSpec(f"n{i}", "router", live[i], f"10.0.0.{i + 1}") for i in range(count)]

    def knots() -> PiecewiseSchedule:
        values = np.array(draw(st.lists(st.floats(0, 1), min_size=3, max_size=3)))
        alive = np.array(draw(st.lists(st.booleans(), min_size=3, max_size=3)))
        return PiecewiseSchedule(np.array([0.0, 1.5, 4.0]), values, values + 1, values * 0, alive)

    ends = ((EndSpec(schedule=knots()), EndSpec(schedule=knots())) for _ in pairs)
    links = [LinkSpec(f"l{n}", a, b, "p", "q", *both) for n, ((a, b), both) in enumerate(zip(pairs, ends, strict=True))]
    return KnotTimeline(nodes, links, routing=draw(st.sampled_from(ROUTINGS))), np.flatnonzero(live).tolist()


@given(timelines(), SHARES)
def test_delays_of_links_with_knots(made: tuple[KnotTimeline, list[int]], share: float) -> None:
    timeline, live = made
    for row in timeline.rows(0, 5):
        check(row, live, share, np.ones(len(row.up), bool))


@cache
def constellation(routing: str) -> LeoTopology:
    return build(Config.model_validate(SMALL), BuildOptions(routing=routing, step_s=10.0, duration_s=7200.0))


@given(st.sampled_from(["least-delay", "static", "none"]), st.integers(0, 700), SHARES)
def test_delays_of_a_constellation(routing: str, step: int, share: float) -> None:
    timeline = constellation(routing).timeline
    row = next(timeline.rows(step, 1))
    check(row, timeline.live.tolist(), share, row.up & (row.peer >= 0))
