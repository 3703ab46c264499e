"""Finer tables: what is refused, and jumps that stand at, or by rounding beside, the borders of a step."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nextafter

import numpy as np
import pytest

from emulator.model.errors import DataError
from emulator.model.network import SubstepTables
from emulator.schedule.ring import substep_columns
from emulator.schedule.substep import segment, shortest_s, validate


def table(t_s: list[float], delay_s: list[float], up: list[bool] | None = None) -> SubstepTables:
    """One end's table, with a column of rubbish behind it, which nobody may read."""
    size = len(t_s)
    column = np.array([[*t_s, np.nan]])
    return SubstepTables(
        np.array([size], dtype=np.int32), column, np.array([[*delay_s, -1.0]]), column * 0 + 1e6, column * 0,
        np.array([[*(up or [True] * size), False]]),
    )  # fmt: skip


GOOD = table([1.0, 1.2, 1.2, 2.0], [0.02, 0.01, 0.03, 0.01])


def test_a_good_table_and_one_that_is_not_used_pass():
    validate(GOOD, 1.0, 2.0)
    validate(replace(GOOD, count=np.zeros(1, dtype=np.int32)), 7.0, 8.0)
    validate(SubstepTables(np.zeros(0, np.int32), *[np.zeros((0, 0))] * 4, np.zeros((0, 0), bool)), 0.0, 1.0)


@pytest.mark.parametrize(
    ("name", "knot", "value", "expected"),
    [
        ("t_s", 1, 1.3, "knot 3: t is 1.2; expected times in ascending order"),
        ("t_s", 1, inf, "knot 2: t is inf; expected a finite time"),
        ("t_s", 0, 0.9, "knots from 0.9 s to 2 s; expected 1 s to 2 s"),
        ("t_s", 3, 2.5, "knots from 1 s to 2.5 s; expected 1 s to 2 s"),
        ("delay_s", 2, -0.01, r"knot 3 \(t = 1.2 s\): delay is -0.01; expected 0 s or more"),
        ("rate_bps", 0, np.nan, r"knot 1 \(t = 1 s\): rate is nan; expected 0 bit/s or more"),
        ("loss", 3, 1.5, r"knot 4 \(t = 2 s\): loss is 1.5; expected a share from 0 to 1"),
    ],
)
def test_a_fault_is_named_with_its_place(name, knot, value, expected):
    column = getattr(GOOD, name).copy()
    column[0, knot] = value
    with pytest.raises(DataError, match=f"^substep table 0: {expected}"):
        validate(replace(GOOD, **{name: column}), 1.0, 2.0)


def test_stretches_tile_the_step_though_knots_are_rounded():
    begin_s, end_s = 1.0, 2.0
    early, late = nextafter(begin_s, 0), nextafter(end_s, 3)
    columns = substep_columns(
        table([early, begin_s, 1.5, 1.5, nextafter(end_s, 0), late], [0.9, 0.02, 0.01, 0.03, 0.02, 0.5])
    )
    t_s, visited = begin_s, []
    while t_s < end_s:
        stretch = segment(columns, 0, begin_s, end_s, t_s)
        assert stretch.start_s <= t_s < stretch.stop_s <= end_s
        visited.append((stretch.delay_s(t_s), stretch.delay_s(min(stretch.stop_s, 1.75))))
        t_s = stretch.stop_s
    assert visited[0] == (0.02, pytest.approx(0.01))
    assert visited[1] == (0.03, pytest.approx(0.025))
    assert all(0.0 <= delay_s <= 0.9 for pair in visited for delay_s in pair)  # no slope over a jump
    assert len(visited) <= 4


def test_before_and_after_the_step_its_borders_hold():
    columns = substep_columns(GOOD)
    before, after = segment(columns, 0, 1.0, 2.0, 0.5), segment(columns, 0, 1.0, 2.0, 9.0)
    assert (before.start_s, before.delay_start_s) == (1.0, 0.02)
    assert (after.stop_s, after.delay_end_s) == (2.0, 0.01)


def test_the_shortest_delay_counts_only_stretches_that_are_up():
    delays_s = [0.01, 0.02, 0.03, 0.04, 0.05]
    for up, expected in (
        ([False, True, False, True, True], 0.02),
        ([False] * 5, inf),
        ([False, False, True, True, True], 0.03),
    ):
        columns = substep_columns(table([0.0, 0.25, 0.5, 0.75, 1.0], delays_s, up))
        assert shortest_s(columns, np.array([0])) == expected
