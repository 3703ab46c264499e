"""Bounded summaries: quantiles against sorting, and lines whose bins grow without losing what came in."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sdk.histogram import Binned, Quantiles

VALUES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=80)


@given(VALUES, st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_quantiles_are_those_of_the_sorted_values(values: list[float], share: float) -> None:
    of = Quantiles()
    for value in values:
        of.add(value)
    exact = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    assert of.quantile(share) == pytest.approx(exact, rel=0.0026)


@given(VALUES, VALUES)
def test_merged_quantiles_are_those_of_all_values(some: list[float], others: list[float]) -> None:
    one, two, both = Quantiles(), Quantiles(), Quantiles()
    for value in some:
        one.add(value)
        both.add(value)
    for value in others:
        two.add(value)
        both.add(value)
    one.merge(two)
    assert (one.count, one.quantile(0.5)) == (both.count, both.quantile(0.5))


def test_no_values_have_no_quantile() -> None:
    of = Quantiles()
    of.add(math.nan)
    assert of.quantile(0.5) is None


def test_a_mean_of_each_bin() -> None:
    lines = Binned(1.0)
    for x, value in ((0.1, 1.0), (0.9, 3.0), (2.5, 7.0)):
        lines.add("a", x, value)
    lines.add("b", 1.5, 5.0)
    chart = lines.chart("title", "s", "ms", scale=10.0)
    assert chart is not None
    assert chart["x"] == [0.5, 1.5, 2.5]
    assert chart["series"] == [
        {"name": "a", "values": [20.0, None, 70.0]},
        {"name": "b", "values": [None, 50.0, None]},
    ]


def test_bins_of_rounds_stand_at_the_rounds() -> None:
    lines = Binned(1.0, step=1.0, points=4)
    for round in range(4):
        lines.add("a", round, round)
    chart = lines.chart("", "round", "")
    assert chart is not None
    assert chart["x"] == [0, 1, 2, 3]
    lines.add("a", 4, 4)  # now two rounds a bin
    chart = lines.chart("", "round", "")
    assert chart is not None
    assert chart["x"] == [0.5, 2.5, 4.5]
    assert chart["series"][0]["values"] == [0.5, 2.5, 4.0]


def test_a_rate_leaves_out_the_bin_that_is_not_over() -> None:
    lines = Binned(2.0, "rate")
    for x in (0.0, 1.0, 4.5):
        lines.add("a", x, 6.0)
    chart = lines.chart("", "s", "a second", until=5.0)
    assert chart is not None
    assert (chart["x"], chart["series"][0]["values"]) == ([1.0, 3.0], [6.0, 0.0])
    assert lines.chart("", "s", "a second", until=1.0) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 10)), min_size=1, max_size=60), st.randoms())
def test_no_order_changes_the_chart_and_no_sum_is_lost(records: list[tuple[float, float]], rng: random.Random) -> None:
    charts = []
    for _ in range(2):
        lines = Binned(0.5, "rate", points=10)
        for x, value in records:
            lines.add("a", x, value)
        charts.append(lines.chart("", "", ""))
        rng.shuffle(records)
    one, other = charts
    assert one is not None
    assert other is not None
    assert one["x"] == other["x"]
    assert len(one["x"]) <= 10
    values = [value for value in one["series"][0]["values"] if value is not None]
    assert values == pytest.approx([value for value in other["series"][0]["values"] if value is not None], abs=1e-3)
    width = 2 * one["x"][0]
    assert width * sum(values) == pytest.approx(sum(value for _, value in records), rel=1e-3, abs=1e-6)


def test_what_cannot_be_drawn_does_not_count() -> None:
    lines = Binned(1.0, lines=1)
    for x, value in ((-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)):
        lines.add("a", x, value)
    assert lines.chart("", "", "") is None
    lines.add("b", 0.0, 1.0)  # there is room for one line
    assert lines.lines == ["a"] or lines.lines == ["b"]
