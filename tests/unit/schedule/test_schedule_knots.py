"""Piecewise schedules: what is refused, how they are read at jumps, ends and period joins, how rates add up to bits."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from oracle.delivery import finish_s

from emulator.model.errors import DataError
from emulator.model.network import PiecewiseSchedule, ScheduleRow
from emulator.schedule.piecewise import Segment, evaluate, segment, segment_of_row, validate


def table(t, delay=0.0, rate=inf, loss=0.0, up=True, period=inf) -> PiecewiseSchedule:
    def column(value, dtype=float):
        return np.array(value if isinstance(value, list) else [value] * len(t), dtype)

    return PiecewiseSchedule(np.array(t, float), column(delay), column(rate), column(loss), column(up, bool), period)


@pytest.mark.parametrize(
    ("knots", "message"),
    [
        (table([]), "no knots"),
        (table([0, 2, 1]), "knot 3: t is 1; expected times in ascending order"),
        (table([0, nan]), "knot 2: t is nan"),
        (table([0, 1], delay=[0, -0.1]), r"knot 2 \(t = 1 s\): delay is -0.1; expected 0 s or more"),
        (table([0], delay=inf), "delay is inf"),
        (table([0], rate=-1), "rate is -1; expected 0 bit/s or more"),
        (table([0], rate=nan), "rate is nan"),
        (table([0], loss=1.01), "loss is 1.01; expected a share"),
        (table([0, 1], delay=[0.0]), "lists of one length"),
        (table([1, 2], period=3), "begins with t = 0"),
        (table([0, 2], period=2), "last knot before the period"),
        (table([0], period=nan), "period of nan"),
    ],
)
def test_wrong_tables_are_refused(knots, message):
    with pytest.raises(DataError, match=message) as caught:
        validate(knots, "links.a.delay")
    assert str(caught.value).startswith("links.a.delay: ")


def test_right_tables_pass():
    for knots in (
        PiecewiseSchedule.constant(),
        table([0, 1, 1, 5], period=6),
        table([-1, 3], rate=[0, inf], loss=[0, 1]),
    ):
        assert validate(knots) is knots


def test_delay_is_interpolated_and_the_rest_holds():
    knots = table([1, 3], delay=[0.010, 0.020], rate=[1e6, 2e6], loss=[0, 0.5], up=[True, False])
    at = evaluate(knots, np.array([0, 1, 2, 3, 9]))
    assert at.delay_s == pytest.approx([0.010, 0.010, 0.015, 0.020, 0.020])
    assert at.rate_bps.tolist() == [1e6, 1e6, 1e6, 2e6, 2e6]
    assert at.loss.tolist() == [0, 0, 0, 0.5, 0.5]
    assert at.up.tolist() == [True, True, True, False, False]


def test_a_jump_has_two_sides():
    knots = table([0, 1, 1, 2], delay=[0, 0.1, 0.5, 0.6], rate=[1, 1, 3, 4])
    assert evaluate(knots, 1.0).delay_s == 0.5
    assert evaluate(knots, 1.0, left=True).delay_s == pytest.approx(0.1)
    assert evaluate(knots, 1.0, left=True).rate_bps == 1
    assert segment(knots, 0.5) == Segment(0, 1, 0, 0.1, 1, 0, True)
    assert segment(knots, 1.0) == Segment(1, 2, 0.5, 0.6, 3, 0, True)
    assert segment(knots, 1.5).delay_s(1.5) == pytest.approx(0.55)


def test_a_period_joins_the_table_to_its_beginning():
    knots = table([0, 1], delay=[0.1, 0.3], rate=[5, 7], period=2)
    assert evaluate(knots, np.array([0.5, 1.5, 2.0, 2.5, 103.5])).delay_s == pytest.approx([0.2, 0.2, 0.1, 0.2, 0.2])
    assert evaluate(knots, np.array([2.0])).rate_bps == 5
    assert evaluate(knots, np.array([2.0]), left=True).rate_bps == 7
    assert segment(knots, 103.5) == Segment(103, 104, 0.3, 0.1, 7, 0, True)
    assert segment(knots, 104) == Segment(104, 105, 0.1, 0.3, 5, 0, True)


def test_before_and_after_the_table():
    knots = table([2, 4], delay=[0.1, 0.2], rate=[5, 7])
    assert segment(knots, 1) == Segment(0, 2, 0.1, 0.1, 5, 0, True)
    assert segment(knots, -3) == Segment(-3, 2, 0.1, 0.1, 5, 0, True)
    assert segment(knots, 4) == Segment(4, inf, 0.2, 0.2, 7, 0, True)
    assert segment(knots, 1e9).delay_s(1e9) == 0.2


def test_an_end_of_the_timeline_has_its_step_as_segment():
    ends = np.array([0.0, 1.0])
    row = ScheduleRow(3, ends, ends + 0.5, ends * 8, ends / 2, ends > 0, *[np.empty(0)] * 2)
    assert segment_of_row(row, 1, 0.5) == Segment(1.5, 2.0, 1.0, 1.5, 8.0, 0.5, True)


@pytest.mark.parametrize(
    ("knots", "start", "bits", "finish"),
    [
        (PiecewiseSchedule.constant(rate_bps=10), 5, 20, 7),
        (PiecewiseSchedule.constant(), 5, 1e12, 5),
        (PiecewiseSchedule.constant(rate_bps=0), 5, 1, inf),
        (PiecewiseSchedule.constant(rate_bps=0), 5, 0, 5),
        (table([0, 1, 2], rate=[10, 0, 5]), 0, 10, 1),  # ends with the first stretch
        (table([0, 1, 2], rate=[10, 0, 5]), 0.5, 10, 3),  # waits for the rate to come back
        (table([0, 1, 2], rate=[10, 0, inf]), 0.5, 10, 2),
        (table([0, 1], rate=[10, 0], period=2), 0, 1000, 199),
        (table([0, 1], rate=[10, 0], period=2), 1.5, 10, 3),
        (table([0, 1], rate=0, period=2), 0, 1, inf),
        (table([0, 1], rate=[0, 4], period=4), 0, 12e6, 4e6),
        (table([0, 1], rate=[1e-300, 0], period=2), 0, 1e300, inf),
        (table([0, 1], rate=[0, inf], period=2), 2.5, 1, 3),
    ],
)
def test_finish(knots, start, bits, finish):
    assert finish_s(knots, start, bits) == pytest.approx(finish, rel=1e-12)
