"""The schedule's reader against a definition that goes step by step, and at the borders of what is known."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nextafter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.network import (
    EndSpec,
    Handover,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)
from emulator.schedule.reader import EndValues, RecentRows, ScheduleReader
from emulator.schedule.recomputed import RecomputedRows
from emulator.schedule.ring import RowRing

# Links: 0 moving, by rows; 1 fixed, with a substep table for end 2; 2 fixed, with knots (those of end 5 repeat);
# 3 moving, with knots. Nodes: a, b, c, d.
ENDS, NODES, CAPACITY = 8, 4, 4
SUBSTEP_END, SUBSTEP_KNOTS = 2, 4
KNOTS = PiecewiseSchedule(
    np.array([0.0, 0.5, 0.5, 1.75]), np.array([0.1, 0.2, 0.4, 0.3]), np.array([1e6, 2e6, 3e6, inf]),
    np.array([0.0, 0.5, 0.0, 0.25]), np.array([True, False, False, True]),
)  # fmt: skip
AGAIN = replace(KNOTS, period_s=2.0)
BY_KNOTS = {4: KNOTS, 5: AGAIN, 6: AGAIN, 7: KNOTS}


def spec(end):
    return EndSpec(schedule=BY_KNOTS.get(end))


def network(step_s=1.0):
    nodes = tuple(NodeSpec(name, "host", name != "b", f"10.0.0.{number}") for number, name in enumerate("abcd"))
    tails = [(0, 1), (1, 2), (2, 3), (3, 1)]
    links = tuple(
        LinkSpec(f"{nodes[a].name}:p{number}", a, b, f"p{number}", f"q{number}", spec(2 * number), spec(2 * number + 1),
                 moving=number in (0, 3))
        for number, (a, b) in enumerate(tails)
    )  # fmt: skip
    timeline = SimpleNamespace(
        step_s=step_s, rates=None, substep=SubstepSpec(np.array([SUBSTEP_END], np.int32), SUBSTEP_KNOTS)
    )
    return Network(nodes, links, timeline)


def row(step, step_s=1.0, substep=True, peer=None, handovers=()):
    """A row of which each value tells its step and its end."""
    begin_s, ramp = step * step_s, np.arange(ENDS, dtype=float)
    shares = np.array([[0.0, 0.25, 0.25, 1.0]])
    far = np.array([step % NODES, 0, 2, 1, 3, 2, (step + 1) % NODES, 3], np.int32) if peer is None else peer
    return ScheduleRow(
        step, ramp + step, ramp + step + 0.5, ramp * 1e6 + step, ramp / 100, (np.arange(ENDS) + step) % 3 > 0,
        far, np.full((NODES - 1, NODES), step % 5 - 1, np.int32), tuple(handovers),
        SubstepTables(
            np.array([4 if substep else 0], np.int32), begin_s + shares * step_s,
            step + np.array([[0.1, 0.2, 0.9, 0.5]]),
            step + np.array([[1e6, 2e6, 3e6, 4e6]]), shares / 2, np.array([[True, True, step % 2 > 0, True]]),
        ),
    )  # fmt: skip


def ring_of(rows, capacity=CAPACITY):
    ring = RowRing(ENDS, NODES, NODES - 1, capacity, SubstepSpec(np.array([SUBSTEP_END], np.int32), SUBSTEP_KNOTS))
    for each in rows:
        ring.put(each)
    return ring


class All:
    """Every row, as a replay works them out again."""

    bytes_per_row = 0.0

    def __init__(self, rows):
        self.rows, self.latest = rows, len(rows) - 1

    def row(self, step):
        if not 0 <= step <= self.latest:
            raise LookupError
        return self.rows[step]

    copied = row

    def holds(self, step):
        return True


# --- the naive definition ---------------------------------------------------------------------------------------------


def naive_step(step_s, t_s):
    step = 0
    while (step + 1) * step_s <= t_s:
        step += 1
    return step


def between(t_s, start_s, stop_s, first, last):
    return (
        first if first == last or stop_s == start_s else first + (last - first) * (t_s - start_s) / (stop_s - start_s)
    )


def by_knots(knots, t_s):
    """Walks from knot to knot, through every period; before the first knot its values hold."""
    now, cycle = 0, 0
    base_s = 0.0
    while True:
        following = now + 1
        if following < len(knots.t_s):
            next_s = base_s + knots.t_s[following]
        elif knots.period_s < inf:
            following, next_s = 0, (cycle + 1) * knots.period_s
        else:
            return knots.delay_s[now], knots.rate_bps[now], knots.loss[now], bool(knots.up[now])
        if t_s < next_s:
            here_s = base_s + knots.t_s[now]
            delay_s = between(t_s, here_s, next_s, knots.delay_s[now], knots.delay_s[following])
            return delay_s, knots.rate_bps[now], knots.loss[now], bool(knots.up[now])
        now = following
        if not following:
            cycle += 1
            base_s = cycle * knots.period_s


def by_row(row, end, step_s, t_s):
    begin_s, end_s = row.step * step_s, (row.step + 1) * step_s
    if end == SUBSTEP_END and row.substep is not None and row.substep.count[0]:
        times = [begin_s, *row.substep.t_s[0, 1:-1].tolist(), end_s]
        now = max(n for n in range(3) if times[n] <= t_s or n == 0)
        at = (min(max(t_s, begin_s), end_s), times[now], times[now + 1])
        delay_s = between(*at, row.substep.delay_s[0, now], row.substep.delay_s[0, now + 1])
        return delay_s, row.substep.rate_bps[0, now], row.substep.loss[0, now], bool(row.substep.up[0, now])
    at_s = min(max(t_s, begin_s), end_s)
    delay_s = between(at_s, begin_s, end_s, row.delay_start_s[end], row.delay_end_s[end])
    return delay_s, row.rate_bps[end], row.loss[end], bool(row.up[end])


def naive(rows, end, step_s, t_s):
    """EndValues of an end, from rows that are there by step."""
    t_s = max(0.0, t_s)
    step = naive_step(step_s, t_s)
    found = rows.get(step, rows[max(rows)])
    held = by_knots(BY_KNOTS[end], t_s) if end in BY_KNOTS else by_row(found, end, step_s, t_s)
    far = int(found.peer[end])
    return *held[:3], held[3] and far >= 0, far if held[3] else -1


@st.composite
def instants(draw, step_s, most):
    """Times on, just before and just after the begin of a step, and between; before play too."""
    step = draw(st.integers(0, most))
    share = draw(st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5, 0.999, draw(st.floats(0.0, 1.0))]))
    t_s = step * step_s if share == 0.0 else (step + share) * step_s
    return draw(st.sampled_from([t_s, nextafter(t_s, inf), nextafter(t_s, -inf), -t_s]))


STEPS_S = (1.0, 0.1, 0.3, 2.5, 1 / 3)


@pytest.mark.parametrize("live", [True, False])
@settings(max_examples=150)
@given(data=st.data(), step_s=st.sampled_from(STEPS_S), count=st.integers(1, 9))
def test_what_holds_is_what_the_definition_says(live, data, step_s, count):
    substep = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    rows = [row(step, step_s, substep[step]) for step in range(count)]
    there = {each.step: each for each in (rows[-CAPACITY:] if live else rows)}
    reader = ScheduleReader(network(step_s), ring_of(rows) if live else All(rows))
    assert reader.latest == count - 1
    for _ in range(6):
        t_s = data.draw(instants(step_s, count + 2))
        step = naive_step(step_s, t_s)
        assert reader.step_at(t_s) == step
        assert reader.read(step, lambda row: row.step) == (step if step in there else None)
        assert reader.read_at(t_s, lambda row: row.step) == (step if step in there else count - 1)
        for end in range(ENDS):
            expected, got = naive(there, end, step_s, t_s), reader.values(end, t_s)
            assert got.delay_s == pytest.approx(expected[0], rel=1e-9, abs=1e-12), (end, t_s)
            assert got[1:] == expected[1:], (end, t_s)
            far = there.get(step, rows[-1]).peer[end]
            assert reader.far_node(end, t_s) == far
            held = reader.segment(end, t_s)
            assert (held is None) == (step not in there and end not in BY_KNOTS)
            if held is not None:
                assert held.start_s <= t_s < held.stop_s
                assert held.delay_s(t_s) == pytest.approx(expected[0], rel=1e-9, abs=1e-12)
                assert (held.rate_bps, held.loss) == expected[1:3]
                assert not far >= 0 or held.up == expected[3]
            if end in BY_KNOTS:
                up, until_s = reader.up(end, max(0.0, t_s))
                assert up == by_knots(BY_KNOTS[end], max(0.0, t_s))[3]
                assert until_s > t_s


@settings(max_examples=60)
@given(st.data())
def test_whether_an_end_is_up_changes_where_it_is_said_to(data):
    reader = ScheduleReader(network(), None)
    end = data.draw(st.sampled_from(sorted(BY_KNOTS)))
    t_s = data.draw(st.floats(0.0, 20.0))
    up, until_s = reader.up(end, t_s)
    for share in (0.0, 0.5, 1 - 1e-9):
        assert by_knots(BY_KNOTS[end], t_s + (min(until_s, 40.0) - t_s) * share)[3] == up
    assert until_s == inf or by_knots(BY_KNOTS[end], until_s)[3] != up or end in (5, 6)


# --- borders ----------------------------------------------------------------------------------------------------------


def test_before_the_first_row_only_ends_with_knots_say_something():
    for rows in (None, ring_of([])):
        reader = ScheduleReader(network(), rows)
        assert reader.latest == -1
        for end in range(4):
            assert reader.values(end, 0.5) is None
            assert reader.segment(end, 0.5) is None
        assert reader.values(4, 0.25) == EndValues(pytest.approx(0.15), 1e6, 0.0, True, 3)
        assert reader.values(6, 0.25).peer == 1, "the first far end of a moving link"
        assert [reader.far_node(end, 0.0) for end in range(4)] == [1, 0, 2, 1]
        assert reader.read(0, lambda row: row.step) is None
        assert reader.read_at(0.5, lambda row: row.step) is None
        assert (reader.handovers(0), reader.planned(0), reader.serving(0, [0])) == ((), [], None)


def test_before_play_the_values_of_time_0_hold():
    reader = ScheduleReader(network(), ring_of([row(0), row(1)]))
    for end in range(ENDS):
        assert reader.values(end, -3.0) == reader.values(end, 0.0)
        before, first = reader.segment(end, -3.0), reader.segment(end, 0.0)
        assert (before.start_s, before.stop_s) == (-3.0, 0.0)
        assert before.delay_s(-1.0) == first.delay_s(0.0)
        assert before[4:] == first[4:]


def test_past_the_last_planned_row_its_end_holds_and_no_segment_is_made_up():
    reader = ScheduleReader(network(), ring_of([row(0), row(1)]))
    assert reader.values(3, 1.999).delay_s == pytest.approx(4.4995)
    for t_s in (2.0, 7.25):
        assert reader.segment(3, t_s) is None
        assert reader.values(3, t_s) == EndValues(4.5, 3e6 + 1, 0.03, True, 1)
        assert reader.values(SUBSTEP_END, t_s).delay_s == pytest.approx(1.5), "of its substep table"
        assert reader.segment(4, t_s).stop_s == inf, "knots need no rows"


def test_at_a_border_the_step_that_begins_holds():
    step_s = 0.1  # 3 * 0.1 > 0.3, 0.3 / 0.1 < 3
    reader = ScheduleReader(network(step_s), ring_of([row(step, step_s) for step in range(4)]))
    for step in range(4):
        border_s = step * step_s
        assert reader.step_at(border_s) == step
        assert reader.step_at(nextafter(border_s, inf)) == step
        assert reader.step_at(nextafter(border_s, -inf)) == max(0, step - 1)
        assert reader.segment(3, border_s).start_s == border_s
        assert reader.values(3, border_s).delay_s == 3 + step
    assert reader.values(3, nextafter(step_s, -inf)).delay_s == pytest.approx(3.5)


def test_a_row_that_has_gone_is_replaced_by_the_newest():
    reader = ScheduleReader(network(), ring_of([row(step) for step in range(9)]))
    assert reader.values(3, 1.5) == EndValues(3.0 + 8, 3e6 + 8, 0.03, True, 1), "with what it has nearest to 1.5 s"
    assert reader.far_node(0, 1.5) == 0


class Overtaken(RowRing):
    """A ring whose planner puts `by` rows after somebody has asked for one, and before he reads it."""

    by = 0

    def row(self, step):
        found = super().row(step)
        by, self.by = self.by, 0
        for _ in range(by):
            self.put(row(self.latest + 1))
        return found


@pytest.mark.parametrize("by", range(7))
@pytest.mark.parametrize(
    ("ask", "instead"),
    [
        (lambda reader: reader.segment(SUBSTEP_END, 2.5), None),
        (lambda reader: reader.serving(2, [0, 3]), None),
        (lambda reader: reader.handovers(2), ()),
        (lambda reader: reader.values(3, 2.5), "newest"),
        (lambda reader: reader.far_node(0, 2.5), "newest"),
    ],
)
def test_what_was_read_of_a_row_that_is_overwritten_meanwhile_is_thrown_away(by, ask, instead):
    ring = Overtaken(ENDS, NODES, NODES - 1, CAPACITY, SubstepSpec(np.array([SUBSTEP_END], np.int32), SUBSTEP_KNOTS))
    for step in range(4):
        ring.put(row(step, handovers=[Handover(step, 0, step, step + 1)]))
    ring.by = by
    found = ask(ScheduleReader(network(), ring))
    if by < CAPACITY - 1:  # row 2 is there still
        whole = All([row(step, handovers=[Handover(step, 0, step, step + 1)]) for step in range(4)])
        assert found == ask(ScheduleReader(network(), whole))
    else:
        assert found == (ask(ScheduleReader(network(), ring)) if instead == "newest" else instead)
    assert ring.latest == 3 + by


# --- routes and moving links ------------------------------------------------------------------------------------------


def test_paths_go_by_names_along_the_row_s_routes():
    routes = np.full((3, 4), -1, np.int32)
    routes[1, 0], routes[1, 1] = 0, 2  # to c: from a by end 0, from b by end 2
    one = replace(row(0, peer=np.array([1, 0, 2, 1, 3, 2, 1, 3], np.int32)), next_end=routes)
    reader = ScheduleReader(network(), All([one]))

    def path(source, target):
        return reader.read(0, lambda row: [reader.path(row, source, target)])

    assert path("a", "c") == [[0, 2]]
    assert path("c", "c") == [[]]
    assert path("a", "d") == path("b", "c") == path("a", "zebra") == [None], "b is no end point"


def test_delays_of_paths_are_those_of_the_instant():
    routes = np.full((3, 4), -1, np.int32)
    routes[1, 0], routes[1, 1] = 0, 2
    rows = [replace(row(step, peer=np.array([1, 0, 2, 1, 3, 2, 1, 3], np.int32)), next_end=routes) for step in (0, 1)]
    reader = ScheduleReader(network(), All(rows))
    assert reader.path_delay_s("a", "c", 1.5) == pytest.approx((0 + 1 + 0.25) + (2 + 1 + 0.25))
    assert reader.path_delay_s("a", "c", -1.0) == reader.path_delay_s("a", "c", 0.0) == 2.0
    assert reader.path_delay_s("c", "c", 0.5) == 0.0
    assert reader.path_delay_s("a", "d", 0.5) is reader.path_delay_s("a", "zebra", 0.5) is None
    assert reader.path_delay_s("a", "c", 2.0) is None, "the row is not there"
    assert ScheduleReader(network(), None).path_delay_s("a", "c", 0.0) is None


def test_rows_that_are_computed_again_are_a_source():
    asked = []

    def rows(first, count):
        asked.append(first)
        return iter([row(first)])

    source = RecomputedRows(SimpleNamespace(rows=rows), 5, 2)
    reader = ScheduleReader(network(), source)
    assert (source.latest, source.bytes_per_row) == (4, 0.0)
    assert reader.values(3, 9.0).delay_s == 7.5, "past the last one its end holds"
    for step in (2, 2, 3, 2, 4, 3):
        assert source.copied(step).step == step
        assert source.holds(step)
    assert asked == [4, 2, 3, 4], "two are remembered"
    for step in (-1, 5):
        with pytest.raises(LookupError):
            source.row(step)
    assert RecomputedRows(None, 5, 2).latest == -1


def test_handovers_are_those_of_the_step_and_of_those_after_it():
    changes = [Handover(2.0, 0, 1, 2), Handover(3.0, 3, 1, -1), Handover(3.0, 0, 2, 3)]
    rows = [row(0), row(1), row(2, handovers=changes[:1]), row(3, handovers=changes[1:])]
    for source in (ring_of(rows), All(rows)):
        reader = ScheduleReader(network(), source)
        assert reader.handovers(2) == (changes[0],)
        assert reader.planned(0) == changes
        assert reader.planned(2) == changes[1:]
        assert reader.planned(3) == []
        assert reader.serving(3, [3, 0, 1]) == [0, 3, 2]
    gone = ScheduleReader(network(), ring_of([*rows, *(row(step) for step in range(4, 7))]))
    assert gone.handovers(2) == ()
    assert gone.planned(1) == changes[1:]


def test_an_end_without_knots_cannot_say_until_when_it_is_up():
    with pytest.raises(ValueError, match="b:p1 has no schedule of its own"):
        ScheduleReader(network(), None).up(2, 0.0)


# --- rows that are kept -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3])
def test_rows_that_are_kept_outlive_the_ring(count):
    ring = ring_of([])
    rows = RecentRows(ring, count)
    reader = ScheduleReader(network(), rows)
    for step in range(12):
        ring.put(row(step))
        reader.segment(SUBSTEP_END, step + 0.5)  # of the ring's memory
        rows.keep(step)
    assert rows.oldest == (12 - count if count else -1)
    ring.put(row(12))
    for step in range(14):
        there = 12 - count <= step < 12 or 12 - CAPACITY < step <= 12
        assert rows.holds(step) == there
        held = reader.segment(SUBSTEP_END, step + 0.5)
        assert (held is not None) == there
        assert held is None or held.delay_start_s == step + 0.9
    with pytest.raises(LookupError):
        rows.copied(5)
    rows.keep(5)  # gone: no error
    assert (rows.latest, rows.bytes_per_row) == (12, ring.bytes_per_row)
