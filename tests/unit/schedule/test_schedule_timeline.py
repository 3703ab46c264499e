"""Rows of networks whose ends have knots: values, routes that follow delays and outages, windows that agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from emulator.model.network import EndSpec, LinkSpec, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.routes import route_delay_s
from emulator.schedule.timeline import KnotTimeline


def nodes(count: int, live=lambda number: True) -> list[NodeSpec]:
    return [NodeSpec(f"n{i}", "router", live(i), f"10.0.0.{i + 1}") for i in range(count)]


def link(a: int, b: int, forward: PiecewiseSchedule, backward: PiecewiseSchedule | None = None) -> LinkSpec:
    return LinkSpec(f"{a}-{b}", a, b, "p", "q", EndSpec(schedule=forward), EndSpec(schedule=backward or forward))


def steps(values, up=None) -> PiecewiseSchedule:
    """One value a second, held: a jump at every second."""
    t_s = np.repeat(np.arange(len(values) + 1.0), 2)[1:-1]
    flat = np.repeat(np.asarray(values, float), 2)
    alive = np.ones(len(flat), bool) if up is None else np.repeat(up, 2)
    return PiecewiseSchedule(t_s, flat, flat * 0 + 1e6, flat * 0, alive)


def same(a: ScheduleRow, b: ScheduleRow) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ScheduleRow.__slots__)


def test_routes_follow_the_delays():
    direct, around = steps([0.010, 0.030, 0.010]), PiecewiseSchedule.constant(0.010, 5e6, 0.1)
    timeline = KnotTimeline(nodes(3), [link(0, 1, direct), link(0, 2, around), link(2, 1, around)])
    rows = list(timeline.rows(0, 3))
    assert [row.step for row in rows] == [0, 1, 2]
    assert [int(row.next_end[1, 0]) for row in rows] == [0, 2, 0]
    assert [route_delay_s(row, range(3))[0, 1] for row in rows] == pytest.approx([0.010, 0.020, 0.010])
    assert rows[1].delay_start_s.tolist() == rows[1].delay_end_s.tolist() == [0.03, 0.03, 0.01, 0.01, 0.01, 0.01]
    assert rows[0].rate_bps.tolist() == [1e6, 1e6, 5e6, 5e6, 5e6, 5e6]
    assert rows[0].loss.tolist() == [0, 0, 0.1, 0.1, 0.1, 0.1]
    assert rows[0].peer.tolist() == [1, 0, 2, 0, 1, 2]


def test_the_two_directions_differ():
    timeline = KnotTimeline(
        nodes(2), [link(0, 1, PiecewiseSchedule.constant(0.010), PiecewiseSchedule.constant(0.030))]
    )
    (row,) = timeline.rows(5, 1)
    assert route_delay_s(row, range(2)) == pytest.approx(np.array([[0, 0.010], [0.030, 0]]))


def test_what_is_down_is_not_routed_over():
    timeline = KnotTimeline(nodes(2), [link(0, 1, steps([0.01] * 3, up=[True, False, True]))])
    assert [row.next_end.tolist() for row in timeline.rows(0, 3)] == [
        [[-1, 1], [0, -1]],
        [[-1, -1]] * 2,
        [[-1, 1], [0, -1]],
    ]
    row = next(timeline.rows(1, 1))
    assert np.isinf(route_delay_s(row, range(2), 1.0)[0, 1])
    assert not row.up.any()


def test_delay_meets_from_step_to_step():
    slope = PiecewiseSchedule(
        np.array([0.0, 10.0]), np.array([0.0, 0.1]), np.full(2, np.inf), np.zeros(2), np.ones(2, bool)
    )
    rows = list(KnotTimeline(nodes(2), [link(0, 1, slope)], step_s=0.5).rows(0, 8))
    for before, after in pairwise(rows):
        assert before.delay_end_s == pytest.approx(after.delay_start_s)
        assert route_delay_s(before, range(2), 1.0) == pytest.approx(route_delay_s(after, range(2)))
    assert rows[7].delay_end_s[0] == pytest.approx(0.04)


@pytest.mark.parametrize("routing", ["least-delay", "static", "neighbours", "none"])
@pytest.mark.parametrize("routing_step_s", [None, 7.0])
def test_any_window_gives_the_same_rows(routing, routing_step_s):
    rng = np.random.default_rng(3)
    links = [
        link(a, b, steps(rng.uniform(0.001, 0.1, 150), up=rng.random(150) > 0.1)) for a in range(6) for b in range(a)
    ]
    timeline = KnotTimeline(nodes(6, lambda n: n < 3), links, 1.0, routing, routing_step_s=routing_step_s)
    whole = list(timeline.rows(0, 150))
    for first, count in ((0, 1), (63, 3), (65, 80), (149, 1), (10, 0)):
        window = list(timeline.rows(first, count))
        assert len(window) == count
        assert all(same(a, b) for a, b in zip(window, whole[first : first + count], strict=True))
        for row, bare in zip(window, timeline.rows(first, count, with_routes=False), strict=True):
            assert bare.next_end.shape == (0, 6)
            assert same(replace(row, next_end=bare.next_end), bare)
    if routing == "static":
        assert all(np.array_equal(row.next_end, whole[0].next_end) for row in whole)
    if routing == "none":
        assert all(row.next_end.max() == -1 for row in whole)


def test_hosts_do_not_forward_where_asked():
    quick, slow = PiecewiseSchedule.constant(0.001), PiecewiseSchedule.constant(0.010)
    links = [link(0, 1, quick), link(1, 2, quick), link(0, 2, slow)]
    open_row = next(KnotTimeline(nodes(3), links).rows(0, 1))
    row = next(KnotTimeline(nodes(3), links, no_transit=np.array([False, True, False])).rows(0, 1))
    assert open_row.next_end[2, 0] == 0
    assert row.next_end[2, 0] == 4


def test_an_end_without_knots_is_refused():
    bare = LinkSpec("a:p", 0, 1, "p", "q")
    with pytest.raises(ValueError, match="link a:p has an end without knots"):
        KnotTimeline(nodes(2), [bare])
    with pytest.raises(ValueError, match="routing is 'ospf'"):
        KnotTimeline(nodes(2), [], routing="ospf")


def test_no_links_at_all():
    (row,) = KnotTimeline(nodes(2), []).rows(0, 1)
    assert row.next_end.tolist() == [[-1, -1], [-1, -1]]


def test_neighbours_are_reached_over_their_link_alone_up_or_down():
    flaky = PiecewiseSchedule(
        np.array([0.0, 2.0]), np.array([0.02, 0.02]), np.full(2, np.inf), np.zeros(2), np.array([True, False])
    )
    links = [
        link(0, 1, flaky),
        link(1, 2, PiecewiseSchedule.constant(0.01)),
        link(0, 1, PiecewiseSchedule.constant(0.001)),
    ]
    for row in KnotTimeline(nodes(4, lambda n: n != 1), links, routing="neighbours").rows(0, 5):
        assert row.next_end.tolist() == [[-1, 1, -1, -1], [-1, 2, -1, -1], [-1, -1, -1, -1]]
    for row in KnotTimeline(nodes(3), links, routing="neighbours").rows(0, 5):
        assert row.next_end.tolist() == [[-1, 1, -1], [0, -1, 3], [-1, 2, -1]]
        wanted_s = np.array([[0, 0.02, np.inf], [0.02, 0, 0.01], [np.inf, 0.01, 0]])
        assert route_delay_s(row, range(3)) == pytest.approx(wanted_s)
