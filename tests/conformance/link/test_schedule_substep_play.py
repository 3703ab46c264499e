"""Finer tables over random knots: what is played is what the table says, at any time and for any end."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from link_ends import KINDS, Setting, Timeline, inside, make_end
from oracle.schedule import Schedule

from emulator.link.engine.engine import Engine
from emulator.link.engine.tables import memory_ports
from emulator.link.stats import DROPS
from emulator.model.network import (
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)
from emulator.schedule import substep as substep_tables
from emulator.schedule.piecewise import Segment, evaluate
from emulator.schedule.ring import RowRing, substep_columns

RETRY_S = 0.01  # how soon the engine asks again for a row that is not there
STEP_S = 0.5
STEPS = 3
SUBSTEP = SubstepSpec(np.array([1, 2], dtype=np.int32), 12)


def network() -> Network:
    nodes = tuple(NodeSpec(f"n{number}", "host", True, f"10.0.0.{number + 1}") for number in range(3))
    links = LinkSpec("n0:a", 0, 1, "a", "b"), LinkSpec("n1:c", 1, 2, "c", "d", moving=True)
    return Network(nodes, links, Timeline(STEP_S, None, SUBSTEP))


class Held:
    """What an engine or the model says of an end at a time: values, far node, until when, hops that leaving costs."""

    def __init__(self, kind: str, rows: list[ScheduleRow]) -> None:
        ring = RowRing(4, 3, 3, capacity=8, substep=SUBSTEP)
        for row in rows:
            ring.put(row)
        ports = memory_ports(network())
        self.engine = Engine(network(), ports, ring, 0, small_slots=64, large_slots=4) if kind == "engine" else None
        self._schedule = Schedule(network(), rows)

    def at(self, end: int, t_s: float) -> tuple[Segment, int, float, int]:
        if self.engine is None:
            return self._schedule.at(end, t_s)
        holds = self.engine.holds(end, t_s)
        return Segment(*holds[:7]), holds.peer, holds.until_s, holds.ttl_cost


@st.composite
def sawtooth(draw: st.DrawFn, begin_s: float, end_s: float) -> list[tuple[float, ...]]:
    """Knots of one step: stretches of any slope, with or without a jump between them."""
    inner = sorted(draw(st.lists(st.floats(0.01, 0.99), max_size=4, unique=True)))
    times = [begin_s, *(begin_s + share * (end_s - begin_s) for share in inner), end_s]
    knots = []
    for number, t_s in enumerate(times):
        for _ in range(2 if draw(st.booleans()) and number not in (0, len(times) - 1) else 1):
            values = draw(st.tuples(st.floats(0, 0.1), st.sampled_from([0.0, 1e5, 1e6, inf]), st.floats(0, 1)))
            knots.append((t_s, *values, draw(st.booleans())))
    return knots


@st.composite
def tables(draw: st.DrawFn, step: int) -> tuple[SubstepTables, list[PiecewiseSchedule | None]]:
    count = np.zeros(2, dtype=np.int32)
    columns = np.full((4, 2, SUBSTEP.knots), np.nan)
    up = np.zeros((2, SUBSTEP.knots), dtype=bool)
    knots: list[PiecewiseSchedule | None] = [None, None]
    for place in range(2):
        if draw(st.integers(0, 3)) == 0:
            continue
        drawn = draw(sawtooth(step * STEP_S, (step + 1) * STEP_S))
        own = np.array([knot[:4] for knot in drawn]).T
        count[place] = len(drawn)
        columns[:, place, : len(drawn)] = own
        up[place, : len(drawn)] = [knot[4] for knot in drawn]
        knots[place] = PiecewiseSchedule(*own, up[place, : len(drawn)])
    made = SubstepTables(count, *columns, up)
    substep_tables.validate(made, step * STEP_S, (step + 1) * STEP_S)
    return made, knots


def row(step: int, substep: SubstepTables | None) -> ScheduleRow:
    ends = np.full(4, 0.02)
    routes = np.full((3, 3), -1, dtype=np.int32)
    peer = np.array([1, 0, 2, 1], dtype=np.int32)
    return ScheduleRow(step, ends, ends, ends * 5e7, ends * 0, np.ones(4, dtype=bool), peer, routes, (), substep)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[ScheduleRow], list[list[PiecewiseSchedule | None]]]:
    drawn = [draw(tables(step)) for step in range(STEPS)]
    return [row(step, substep) for step, (substep, _) in enumerate(drawn)], [knots for _, knots in drawn]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(schedules(), st.lists(st.floats(0, STEPS * STEP_S - 1e-9), min_size=1, max_size=20))
def test_what_is_played_is_what_the_table_says(kind, schedule, times):
    rows, knots = schedule
    held = Held(kind, rows)
    for t_s in sorted(times):
        step = int(t_s / STEP_S)
        for end in range(4):
            stretch, far, until, _ = held.at(end, t_s)
            assert stretch.start_s <= t_s < until <= stretch.stop_s <= (step + 1) * STEP_S
            assert far == [1, 0, 2, 1][end]
            own = knots[step][end - 1] if end in SUBSTEP.ends else None
            if own is None:
                assert (stretch.delay_s(t_s), stretch.rate_bps, stretch.loss, stretch.up) == (0.02, 1e6, 0.0, True)
                continue
            assume(np.abs(own.t_s - t_s).min() > 1e-8)
            here = evaluate(own, np.array(t_s))
            assert stretch.delay_s(t_s) == pytest.approx(float(here.delay_s), abs=1e-9)
            assert (stretch.rate_bps, stretch.loss, stretch.up) == (here.rate_bps, here.loss, here.up)


@settings(max_examples=30)
@given(schedules(), st.lists(st.floats(-2.0, STEPS * STEP_S - 1e-9), max_size=20))
def test_the_engine_and_the_model_hold_the_same_bit_for_bit(schedule, times):
    engine, model = (Held(kind, schedule[0]) for kind in ("engine", "oracle"))
    for t_s in [*times, 0.0, *(step * STEP_S for step in range(STEPS)), *(np.concatenate(_knot_times(schedule[1])))]:
        if t_s < STEPS * STEP_S:
            for end in range(4):
                assert engine.at(end, float(t_s)) == model.at(end, float(t_s))


def _knot_times(knots: list[list[PiecewiseSchedule | None]]) -> list[np.ndarray]:
    return [np.zeros(1), *(own.t_s for of_step in knots for own in of_step if own is not None)]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(schedules())
def test_before_play_the_values_of_time_0_hold(kind, schedule):
    rows, knots = schedule
    held = Held(kind, rows)
    for place, end in enumerate(SUBSTEP.ends.tolist()):
        stretch, _, until, _ = held.at(end, -3.25)
        assert (stretch.start_s, until) == (-3.25, 0.0)
        first = knots[0][place]
        assert stretch.delay_s(-1.0) == (first.delay_s[0] if first else 0.02)
        assert stretch.rate_bps == (first.rate_bps[0] if first else 1e6)


@settings(max_examples=30)
@given(schedules())
def test_of_a_row_that_is_late_the_last_values_hold(schedule):
    rows, knots = schedule
    held = Held("engine", rows)
    for place, end in enumerate(SUBSTEP.ends.tolist()):
        last = knots[-1][place]
        held.at(end, STEPS * STEP_S - 1e-6)
        late_s = STEPS * STEP_S + 0.2
        stretch, _, until, _ = held.at(end, late_s)
        assert (stretch.start_s, until) == (late_s, late_s + RETRY_S)
        assert stretch.delay_s(late_s) == stretch.delay_s(until) == (last.delay_s[-1] if last else 0.02)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(st.lists(tables(0), min_size=STEPS, max_size=STEPS), st.lists(st.floats(0, 0.2), min_size=1, max_size=30))
def test_packets_over_a_sawtooth_keep_their_order(kind, drawn, gaps):
    shifts = [step * STEP_S for step in range(STEPS)]
    rows = [
        {"delay_s": 0.02, "rate_bps": 1e6, "substep": _of_one(made, shift)}
        for (made, _), shift in zip(drawn, shifts, strict=True)
    ]
    substep = SubstepSpec(np.array([0], dtype=np.int32), SUBSTEP.knots)
    end = make_end(kind, Setting(rows=tuple(rows), step_s=STEP_S, substep=substep))
    t_s, sent = 0.0, 0
    for gap in gaps:
        t_s = min(t_s + gap, STEPS * STEP_S - 0.01)
        end.offer([(t_s, bytes(30) + sent.to_bytes(2, "big"), 100, -1, 64, -1)])
        sent += 1
    arrived = []
    while (wake := end.next_s()) < STEPS * STEP_S:
        arrived += end.due(wake)
    arrived += end.due(STEPS * STEP_S - 1e-9)
    assert [item.data for item in arrived] == sorted(item.data for item in arrived)
    assert [item.at_s for item in arrived] == sorted(item.at_s for item in arrived)
    assert len(arrived) + inside(end) + sum(end.stats()[drop] for drop in DROPS) == sent


def _of_one(made: SubstepTables, shift_s: float) -> SubstepTables:
    """The table of the first of two ends alone, in another step."""
    one = [column[:1] for column in (made.count, made.t_s, made.delay_s, made.rate_bps, made.loss, made.up)]
    return SubstepTables(one[0], one[1] + shift_s, *one[2:])


@settings(max_examples=40)
@given(tables(0))
def test_the_shortest_delay_is_no_longer_than_any_that_is_played(drawn):
    substep, knots = drawn
    columns = substep_columns(substep)
    shortest_s = substep_tables.shortest_s(columns, np.array([0, 1]))
    for place in range(2):
        own = knots[place]
        if own is None:
            continue
        for t_s in np.linspace(0, STEP_S * 0.999999, 50):
            stretch = substep_tables.segment(columns, place, 0.0, STEP_S, float(t_s))
            assert stretch is not None
            if stretch.up:
                assert stretch.delay_s(float(t_s)) >= shortest_s - 1e-12
