"""Knots over random tables: walking segments never stalls and agrees with `evaluate`; service ends where it should."""

from __future__ import annotations

from math import inf, nextafter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.delivery import finish_s

from emulator.model.network import PiecewiseSchedule
from emulator.schedule.piecewise import evaluate, segment, validate


@st.composite
def tables(draw: st.DrawFn) -> PiecewiseSchedule:
    gaps = draw(st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 5)), max_size=6))
    periodic = draw(st.booleans())
    t_s = np.cumsum([0.0 if periodic else draw(st.floats(-3, 3)), *gaps])
    size = len(t_s)

    def column(values):
        return np.array(draw(st.lists(values, min_size=size, max_size=size)))

    rate = st.one_of(st.sampled_from([0.0, inf, 1e3]), st.floats(1.0, 1e6))
    period = float(t_s[-1] + draw(st.floats(1e-3, 5))) if periodic else inf
    columns = column(st.floats(0, 1)), column(rate), column(st.floats(0, 1)), column(st.booleans()).astype(bool)
    return validate(PiecewiseSchedule(t_s, *columns, period))


@given(tables(), st.floats(-10, 1e5))
def test_a_segment_covers_its_instant_and_agrees_with_evaluate(knots, t_s):
    for _ in range(20):
        now = segment(knots, t_s)
        assert now.start_s <= t_s < now.stop_s
        if now.stop_s == inf:
            break
        middle = (now.start_s + now.stop_s) / 2
        assume(now.stop_s - now.start_s > 1e-8)
        here = evaluate(knots, middle)
        assert now.delay_s(middle) == pytest.approx(here.delay_s, abs=1e-5)
        assert (now.rate_bps, now.loss, now.up) == (here.rate_bps, here.loss, here.up)
        t_s = now.stop_s


def served_bits(knots: PiecewiseSchedule, start_s: float, stop_s: float) -> float:
    """Bits that the rate carries in a stretch of time, segment by segment."""
    total = 0.0
    while start_s < stop_s:
        now = segment(knots, start_s)
        until = min(now.stop_s, stop_s)
        total += now.rate_bps * (until - start_s) if now.rate_bps else 0.0
        start_s = until
    return total


@given(tables(), st.floats(-5, 50), st.floats(1.0, 1e6))
def test_service_ends_when_its_bits_have_passed(knots, start_s, bits):
    finish = finish_s(knots, start_s, bits)
    assert finish >= start_s
    if finish == inf:
        assert knots.rate_bps[-1] == 0
        return
    assume(finish < start_s + 1000 * (knots.period_s if knots.period_s < inf else 1e9))
    before = served_bits(knots, start_s, nextafter(finish, -inf))
    if segment(knots, finish).rate_bps == inf:
        assert before <= bits * (1 + 1e-9)
    else:
        assert before == pytest.approx(bits, rel=1e-6, abs=1e-3)


@given(tables(), st.floats(0, 50), st.lists(st.floats(1.0, 1e5), max_size=8))
def test_packets_one_after_the_other_end_with_their_sum(knots, start_s, sizes):
    one_by_one = start_s
    for bits in sizes:
        one_by_one = finish_s(knots, one_by_one, bits)
        if one_by_one == inf:
            break
    assert one_by_one == pytest.approx(finish_s(knots, start_s, sum(sizes)), rel=1e-9, abs=1e-6)
