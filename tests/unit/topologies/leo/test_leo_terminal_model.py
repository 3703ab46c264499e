"""The access model: pure draws, what parameters mean, and the tables that are made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError

from emulator.model.streams import gumbel, key, normal, uniform
from emulator.schedule.substep import validate
from topologies.leo.terminal_model.compile import compile_step, knots_a_step
from topologies.leo.terminal_model.model import DOWN, UP, AccessModel
from topologies.leo.terminal_model.sample import rates, round_trips
from topologies.leo.terminal_model.slots import Slots
from topologies.leo.terminal_model.tables import Terminal

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
STILL = {
    "load_spread_down": 0.0, "load_spread_up": 0.0, "load_jitter": 0.0, "peak_spread": 0.0, "dip_first": "0 %",
    "dip_last": "0 %", "outage": "0 %", "blips": 0.0, "bursts": 0.0, "overhead": "0 %",
    "load_up": [0.5] * 24, "load_down": [0.25] * 24, "grant": "10 ms", "load_step": "1 s",
    "peak_up": "40 Mbit/s", "peak_down": "400 Mbit/s",
}  # fmt: skip


def model(count: int = 3, rain_mm_h: float = 0.0, hour: float = 3.0, seed: int = 1, load=None, **keys) -> AccessModel:
    constants = Terminal.model_validate(keys)
    slots = Slots.of(START, constants.slot_s, constants.slot_phase_s)
    names = [f"t{number}" for number in range(count)]
    return AccessModel(
        constants, slots, seed, names, lambda t_s: np.full(count, hour), lambda t_s: np.full(count, rain_mm_h), load
    )


def test_draws_are_by_name_and_counter_alone() -> None:
    keys = np.array([key(1, "a"), key(1, "b")], dtype=np.uint64)
    table = uniform(keys[:, None], np.arange(1000))
    assert np.array_equal(table[1:, 500:], uniform(keys[1:, None], np.arange(500, 1000)))
    assert (table > 0).all()
    assert (table < 1).all()
    assert np.unique(table).size == table.size
    assert abs(np.corrcoef(table)[0, 1]) < 0.1
    many = np.arange(20_000)
    assert uniform(keys[0], many).mean() == pytest.approx(0.5, abs=0.01)
    assert normal(keys[0], many).std() == pytest.approx(1.0, abs=0.02)
    assert gumbel(keys[0], many).mean() == pytest.approx(0.5772, abs=0.03)


def test_slots_begin_at_second_12_of_every_quarter_minute() -> None:
    slots = Slots.of(START, 15.0, 12.0)
    assert slots.begin_s(slots.number(0.0)) == -3.0
    edges = [slots.begin_s(slots.number(0.0) + number) for number in range(1, 5)]
    assert edges == [12.0, 27.0, 42.0, 57.0]
    assert slots.number(11.999) + 1 == slots.number(12.0)
    later = Slots.of(START + timedelta(seconds=100.25), 15.0, 12.0)
    assert later.number(0.0) == slots.number(100.25)
    assert later.begin_s(later.number(5.0)) == pytest.approx(slots.begin_s(slots.number(105.25)) - 100.25, abs=1e-6)
    assert slots.meets(1.0)
    assert slots.meets(0.5)
    assert not slots.meets(2.0)
    assert not later.meets(1.0)
    assert slots.hour(0.0, np.array([0.0, 8.05, -123.3, 179.0])).tolist() == [12.0, 13.0, 4.0, 0.0]


def test_rates_follow_load_rain_and_dips() -> None:
    still = model(**STILL)
    number = still.slots.number(0.0)
    middle = np.full((3, 1), still.slots.begin_s(number) + 7.3)
    assert still.at(DOWN, number, middle).rate_bps == pytest.approx(300e6)
    assert still.at(UP, number, middle).rate_bps == pytest.approx(20e6)
    busy = model(load=np.array([3.0, 1.0, 1.0]), **STILL)
    assert busy.at(UP, number, middle).rate_bps[:, 0] == pytest.approx([10e6, 20e6, 20e6])
    wet = model(rain_mm_h=2.5, **STILL)
    factor = Terminal.model_validate({}).rain_factor[2]
    assert wet.at(DOWN, number, middle).rate_bps == pytest.approx(300e6 * factor)
    assert wet.at(DOWN, number, middle).delay_s == pytest.approx(still.at(DOWN, number, middle).delay_s)
    dips = model(**STILL | {"dip_first": "12 %", "dip_last": "8 %"})
    ends = dips.slots.begin_s(number) + np.tile([0.5, 7.0, 14.5], (3, 1))
    assert dips.at(DOWN, number, ends).rate_bps[0] == pytest.approx([264e6, 300e6, 276e6])


def test_rain_classes() -> None:
    factors = Terminal.model_validate({}).rain_factor
    got = model().rain_factor(np.array([0.0, 0.5, 1.0, 1.5, 4.5, 5.0, 60.0]))
    assert got.tolist() == [1.0, factors[0], factors[0], factors[1], factors[4], factors[4], factors[5]]


def test_what_is_sent_between_two_grants_leaves_with_the_later_one() -> None:
    still = model(1, **STILL)
    number = still.slots.number(0.0)
    sent = still.slots.begin_s(number) + 5.0 + np.arange(0, 1.0, 0.0005)[None]
    values = still.at(UP, number, sent)
    leaves = np.sort(np.unique(np.round(sent + values.delay_s, 4)))
    gaps = np.diff(leaves)
    assert len(leaves) == pytest.approx(51, abs=1)  # a grant every 10 ms · (1 + 1)
    assert gaps.max() == pytest.approx(0.02, abs=2e-4)
    waits = values.delay_s - values.delay_s.min()
    assert waits.max() == pytest.approx(0.02, abs=1e-3)
    assert np.diff(sent + values.delay_s).min() > -1e-12  # order is kept


def test_interruptions_and_losses_lie_where_they_should() -> None:
    torn = model(200, **STILL | {"outage": "100 %", "bursts": 2.0, "burst_at_edge": "100 %", "burst_spread": 0.0})
    number = torn.slots.number(0.0)
    begin_s = torn.slots.begin_s(number)
    times = begin_s + np.tile(np.arange(0.0, 15.0, 0.01), (200, 1))
    values = torn.at(DOWN, number, times)
    down_s = (~values.up).sum(axis=1) * 0.01
    assert down_s.mean() == pytest.approx(0.075, abs=0.01)
    assert values.up[:, 16:].all()
    lossy = np.flatnonzero((values.loss > 0).any(axis=0)) * 0.01
    assert ((lossy < 1.1) | (lossy > 14.8)).all()
    assert (values.loss > 0).any(axis=1).mean() > 0.5
    blips = model(200, **STILL | {"blips": 2.0, "longest_blip": "20 ms"})
    share = (blips.at(UP, number, times).loss == 1.0).mean()
    assert share == pytest.approx(2 * 0.010 / 15, rel=0.25)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_tables_are_the_model(way: int) -> None:
    lively = model(4, outage="100 %", blips=2.0, bursts=1.5)
    knots = knots_a_step(lively, 1.0)
    start, end = np.full(4, 0.002), np.full(4, 0.003)
    draws = np.random.default_rng(1)
    for step in (11, 12, 19, 26):
        tables, means = compile_step(lively, float(step), step + 1.0, start, end, knots)
        validate(tables, float(step), step + 1.0)
        assert tables.count.max() <= knots
        t_s = np.sort(draws.uniform(step, step + 1, (4, 400)), axis=1)
        values = lively.at(way, lively.slots.number(step + 0.5), t_s)
        for terminal in range(4):
            row = 2 * terminal + way
            used = slice(0, tables.count[row])
            delay = np.interp(t_s[terminal], tables.t_s[row, used], tables.delay_s[row, used])
            assert delay == pytest.approx(values.delay_s[terminal] + 0.002 + 0.001 * (t_s[terminal] - step), abs=1e-8)
            place = np.searchsorted(tables.t_s[row, used], t_s[terminal], side="right") - 1
            assert tables.rate_bps[row, place] == pytest.approx(values.rate_bps[terminal])
            assert np.array_equal(tables.loss[row, place], values.loss[terminal])
            assert np.array_equal(tables.up[row, place], values.up[terminal])
            assert means.delay_s[row] == pytest.approx(delay.mean(), abs=0.004)


def test_a_step_does_not_depend_on_those_before() -> None:
    whole, alone = model(2), model(2)
    knots = knots_a_step(whole, 1.0)
    zero = np.zeros(2)
    for step in range(40):
        last, _ = compile_step(whole, float(step), step + 1.0, zero, zero, knots)
    again, _ = compile_step(alone, 39.0, 40.0, zero, zero, knots)
    for name in ("count", "t_s", "delay_s", "rate_bps", "loss", "up"):
        assert np.array_equal(getattr(last, name), getattr(again, name)), name
    other, _ = compile_step(model(2, seed=2), 39.0, 40.0, zero, zero, knots)
    assert not np.array_equal(again.rate_bps, other.rate_bps)


def test_defaults_give_what_osnabrueck_measured() -> None:
    """Coarsely, and with the quarter of the samples that the fit uses: docs/leo-access.md has the errors."""
    names, hours = 48, np.tile(np.arange(24.0), 2)
    constants = Terminal.model_validate({"overhead": "0 %"})
    slots = Slots.of(START, 15.0, 12.0)
    here = AccessModel(constants, slots, 1, [f"o{number}" for number in range(names)], lambda t_s: hours,
                       lambda t_s: np.zeros(names))  # fmt: skip
    first = slots.first
    down, up = rates(here, DOWN, first, 16) / 1e6, rates(here, UP, first, 16) / 1e6
    assert np.percentile(down, (25, 50, 75)) == pytest.approx([167.2, 215.3, 256.9], rel=0.1)
    assert np.percentile(up, (25, 50, 75)) == pytest.approx([11.58, 14.88, 18.95], rel=0.1)
    light_ms, gateway_ms = 9.4, 2e3 * constants.gateway_processing_s
    trains = round_trips(here, first, 16, 10, 10.0).mean(axis=2) * 1e3 + light_ms + gateway_ms
    assert np.percentile(trains, (25, 50, 75)) == pytest.approx([24.83, 30.47, 35.77], rel=0.1)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"load_step": "7 s"}, "expected a whole part"),
        ({"grant": "0.5 ms"}, "expected at least 1 ms"),
        ({"rain_mm_h": [0.0, 2.0]}, "expected as many of each"),
        ({"rain_mm_h": [0.0, 2.0, 1.0, 3.0, 4.0, 5.0]}, "expected rising rates"),
        ({"overhead": "100 %"}, "expected a share below 100 %"),
        ({"load_up": [0.5] * 23}, "24"),
        ({"slot": "1 s", "load_step": "1 s"}, "expected at least 3 s"),
        ({"slots": "15 s"}, "slots"),
    ],
)
def test_constants_that_cannot_be(keys: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Terminal.model_validate(keys)
