"""Whatever the constants: tables are valid, equal to the model they are made of, and keep packets in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.schedule.substep import validate
from topologies.leo.terminal_model.compile import compile_step, knots_a_step
from topologies.leo.terminal_model.model import DOWN, UP, AccessModel
from topologies.leo.terminal_model.slots import Slots
from topologies.leo.terminal_model.tables import Terminal

share = st.integers(0, 100).map(lambda percent: f"{percent} %")
constants = st.fixed_dictionaries(
    {
        "grant": st.integers(1, 80).map(lambda ms: f"{ms} ms"),
        "load_step": st.sampled_from(["50 ms", "250 ms", "1 s", "3 s", "15 s"]),
        "load_jitter": st.floats(0, 2), "load_spread_up": st.floats(0, 2),
        "load_up": st.floats(0.01, 0.99).map(lambda load: [load] * 24),
        "outage": share, "longest_outage": st.integers(0, 3000).map(lambda ms: f"{ms} ms"),
        "blips": st.floats(0, 4), "bursts": st.floats(0, 2), "burst_loss": share, "burst_at_edge": share,
        "burst": st.integers(1, 2000).map(lambda ms: f"{ms} ms"),
    }
)  # fmt: skip


@given(constants, st.sampled_from([0.1, 0.5, 1.0, 3.0]), st.integers(0, 90), st.integers(0, 9))
@settings(max_examples=15)
def test_tables_of_any_constants(keys: dict, step_s: float, step: int, seed: int) -> None:
    terminal = Terminal.model_validate(keys)
    slots = Slots.of(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=12), 15.0, 12.0)
    model = AccessModel(terminal, slots, seed, ["a", "b"], lambda t_s: np.zeros(2), lambda t_s: np.zeros(2))
    begin_s, end_s = step * step_s, (step + 1) * step_s
    light = np.array([0.002, 0.004])
    tables, means = compile_step(model, begin_s, end_s, light, light, knots_a_step(model, step_s))
    validate(tables, begin_s, end_s)
    t_s = np.tile(np.linspace(begin_s + 1e-6, end_s - 1e-6, 97), (2, 1))
    for way in (UP, DOWN):
        values = model.at(way, slots.number(begin_s + step_s / 2), t_s)
        for place in range(2):
            row = 2 * place + way
            used = slice(0, tables.count[row])
            times, delays = tables.t_s[row, used], tables.delay_s[row, used]
            assert np.allclose(np.interp(t_s[place], times, delays), values.delay_s[place] + light[place], atol=1e-7)
            knot = np.searchsorted(times, t_s[place], side="right") - 1
            assert np.array_equal(tables.up[row, knot], values.up[place])
            assert np.array_equal(tables.loss[row, knot], values.loss[place])
            assert (np.diff(times) >= 0).all()
            bends = np.diff(times) > 1e-7
            assert (np.diff(delays)[bends] / np.diff(times)[bends] > -1).all()
            assert delays.min() - 1e-9 <= means.delay_s[row] <= delays.max() + 1e-9


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.integers(0, 100_000))
def test_slots_are_those_of_utc(start: datetime, after_s: int) -> None:
    start = start.replace(tzinfo=UTC)
    slots = Slots.of(start, 15.0, 12.0)
    number = slots.number(float(after_s))
    begin_s = slots.begin_s(number)
    assert -1e-5 <= after_s - begin_s < 15.0 + 1e-5
    edge = start + timedelta(seconds=begin_s)
    nearest = round((edge.timestamp() - 12) / 15)
    assert abs((edge - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() - nearest * 15 - 12) < 1e-4
    assert nearest == number
