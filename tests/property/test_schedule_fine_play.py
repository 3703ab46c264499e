"""Finer tables over random knots: what the relay plays is what the table says, at any time and for any end."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from emulator.link.end import End
from emulator.link.rows import RETRY_S, Rows
from emulator.network import Fine, FineTables, Knots, LinkSpec, Network, NodeSpec, Row
from emulator.schedule import fine as fine_tables
from emulator.schedule.knots import evaluate
from emulator.schedule.ring import RowRing, fine_columns

STEP_S = 0.5
STEPS = 3
FINE = Fine(np.array([1, 2], dtype=np.int32), 12)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Timeline:
    step_s = STEP_S
    rates = None
    fine = FINE

    def rows(self, first, count):
        raise NotImplementedError


def network() -> Network:
    nodes = tuple(NodeSpec(f"n{number}", "host", True, f"10.0.0.{number + 1}") for number in range(3))
    links = LinkSpec("n0:a", 0, 1, "a", "b"), LinkSpec("n1:c", 1, 2, "c", "d", moving=True)
    return Network(nodes, links, Timeline())


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
def tables(draw: st.DrawFn, step: int) -> tuple[FineTables, list[Knots | None]]:
    count = np.zeros(2, dtype=np.int32)
    columns = np.full((4, 2, FINE.knots), np.nan)
    up = np.zeros((2, FINE.knots), dtype=bool)
    knots: list[Knots | None] = [None, None]
    for place in range(2):
        if draw(st.integers(0, 3)) == 0:
            continue
        drawn = draw(sawtooth(step * STEP_S, (step + 1) * STEP_S))
        own = np.array([knot[:4] for knot in drawn]).T
        count[place] = len(drawn)
        columns[:, place, : len(drawn)] = own
        up[place, : len(drawn)] = [knot[4] for knot in drawn]
        knots[place] = Knots(*own, up[place, : len(drawn)])
    made = FineTables(count, *columns, up)
    fine_tables.validate(made, step * STEP_S, (step + 1) * STEP_S)
    return made, knots


def row(step: int, fine: FineTables | None) -> Row:
    ends = np.full(4, 0.02)
    table = np.full((3, 3), -1, dtype=np.int32)
    peer = np.array([1, 0, 2, 1], dtype=np.int32)
    alive = np.ones(4, dtype=bool)
    return Row(step, ends, ends, ends * 5e7, ends * 0, alive, peer, table, (), fine)


@st.composite
def schedules(draw: st.DrawFn):
    drawn = [draw(tables(step)) for step in range(STEPS)]
    ring = RowRing(4, 3, 3, capacity=8, fine=FINE)
    for step, (fine, _) in enumerate(drawn):
        ring.put(row(step, fine))
    return ring, [knots for _, knots in drawn]


@settings(PATIENT, max_examples=30)
@given(schedules(), st.lists(st.floats(0, STEPS * STEP_S - 1e-9), min_size=1, max_size=20), st.booleans())
def test_what_is_played_is_what_the_table_says(schedule, times, ahead):
    ring, knots = schedule
    rows = Rows(network(), ring)
    for t_s in sorted(times):
        if ahead:
            rows.look_ahead(range(4), max(0.0, t_s - STEP_S))
        step = int(t_s / STEP_S)
        for end in range(4):
            stretch, far, until, _ = rows.source(end, t_s)
            assert stretch.start_s <= t_s < until <= stretch.stop_s <= (step + 1) * STEP_S
            assert far == [1, 0, 2, 1][end]
            own = knots[step][end - 1] if end in FINE.ends else None
            if own is None:
                assert (stretch.delay_s(t_s), stretch.rate_bps, stretch.loss, stretch.up) == (0.02, 1e6, 0.0, True)
                continue
            assume(np.abs(own.t_s - t_s).min() > 1e-8)
            here = evaluate(own, np.array(t_s))
            assert stretch.delay_s(t_s) == pytest.approx(float(here.delay_s), abs=1e-9)
            assert (stretch.rate_bps, stretch.loss, stretch.up) == (here.rate_bps, here.loss, here.up)


@settings(PATIENT, max_examples=30)
@given(schedules())
def test_before_play_the_values_of_time_0_hold_and_a_late_row_those_of_the_end(schedule):
    ring, knots = schedule
    rows = Rows(network(), ring)
    for place, end in enumerate(FINE.ends.tolist()):
        stretch, _, until, _ = rows.source(end, -3.25)
        assert (stretch.start_s, until) == (-3.25, 0.0)
        first, last = knots[0][place], knots[-1][place]
        assert stretch.delay_s(-1.0) == (first.delay_s[0] if first else 0.02)
        assert stretch.rate_bps == (first.rate_bps[0] if first else 1e6)
        rows.source(end, STEPS * STEP_S - 1e-6)
        late_s = STEPS * STEP_S + 0.2
        stretch, _, until, _ = rows.source(end, late_s)
        assert (stretch.start_s, until) == (late_s, late_s + RETRY_S)
        assert stretch.delay_s(late_s) == stretch.delay_s(until) == (last.delay_s[-1] if last else 0.02)
    assert rows.late == 2


@settings(PATIENT, max_examples=40)
@given(schedules(), st.lists(st.floats(0, 0.2), min_size=1, max_size=30))
def test_packets_over_a_sawtooth_keep_their_order(schedule, gaps):
    ring, _ = schedule
    rows = Rows(network(), ring)
    end = End(lambda t: rows.source(1, t))
    t_s, sent = 0.0, 0
    for gap in gaps:
        t_s = min(t_s + gap, STEPS * STEP_S - 0.01)
        end.offer([(t_s, bytes(30) + sent.to_bytes(2, "big"), 100, -1, 64, -1)])
        sent += 1
    arrived = []
    now = 0.0
    for _ in range(200):  # the relay wakes when it is told to
        wake = end.next_s()
        if wake == inf or wake >= STEPS * STEP_S:
            break
        now = max(now, wake)
        arrived += end.due(now)
    arrived += end.due(STEPS * STEP_S - 1e-9)
    assert [item[1] for item in arrived] == sorted(item[1] for item in arrived)
    assert [item[0] for item in arrived] == sorted(item[0] for item in arrived)
    assert len(arrived) + len(end.flying) + len(end.waiting) + sum(end.drops) == sent


@settings(PATIENT, max_examples=40)
@given(tables(0))
def test_the_shortest_delay_is_no_longer_than_any_that_is_played(drawn):
    fine, knots = drawn
    columns = fine_columns(fine)
    shortest_s = fine_tables.shortest_s(columns, np.array([0, 1]))
    for place in range(2):
        own = knots[place]
        if own is None:
            continue
        for t_s in np.linspace(0, STEP_S * 0.999999, 50):
            stretch = fine_tables.segment(columns, place, 0.0, STEP_S, float(t_s))
            assert stretch is not None
            if stretch.up:
                assert stretch.delay_s(float(t_s)) >= shortest_s - 1e-12
