"""Estimators on traces whose answers are known, scores on data made up for them, and the exit code of `validate`."""

from __future__ import annotations

from functools import cache
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
import typer

from emulator.cli.play import Played
from emulator.model.tables import ParameterError, RecipeOptions
from emulator.record.folder import RunFolder
from scenarios.leo_access import estimators, scoring, serving, validate
from scenarios.leo_access.emulated import BENT_PIPE, DOWN, END_TO_END, UP, Emulated, Flow, Series
from scenarios.leo_access.importers import Box, LossCurve, Serving, Trace
from scenarios.leo_access.measured import Measured
from scenarios.leo_access.recipe import RAIN_MM_H, Parameters, compose, hours_of, site_of

EPOCH_S = 1_700_000_000.0 - 1_700_000_000.0 % 60


def slotted(phase_s: float, step_ms: float, inside_ms: float, seed: int, slots: int = 200, every_s: float = 0.25):
    """Round trips of 50 ms whose mean jumps by `step_ms`, up and down in turn, at each slot."""
    t_s = EPOCH_S + np.arange(0, slots * 15, every_s)
    slot = np.floor((t_s - phase_s) / 15).astype(int)
    noise = np.random.default_rng(seed).normal(0, inside_ms, len(t_s))
    return t_s, (50 + step_ms / 2 * (-1.0) ** slot + noise) / 1e3


@pytest.mark.parametrize("phase_s", [0.0, 5.0, 12.0])
def test_the_signature_of_slots_is_found(phase_s):
    found = estimators.signature([slotted(phase_s, 8.0, 3.0, 1), slotted(phase_s, 8.0, 3.0, 2)])
    assert found.phase_s == phase_s
    assert found.step_p50_s == pytest.approx(0.008, rel=0.1)
    assert found.inside_s == pytest.approx(0.003, rel=0.05)
    assert 398 <= found.slots <= 402


def test_slots_that_miss_are_no_neighbours():
    t_s, rtt_s = slotted(12.0, 8.0, 0.001, 1)
    hole = (t_s - EPOCH_S > 600) & (t_s - EPOCH_S < 640)
    rtt_s[hole] = nan
    assert estimators.signature([(t_s, rtt_s)]).step_p50_s == pytest.approx(0.008, rel=0.01)
    empty = estimators.signature([(t_s[:10], rtt_s[:10])])
    assert np.isnan(empty.step_p50_s)
    assert empty.slots == 0


def test_a_box_ends_at_the_last_value_within_reach():
    box = estimators.box(np.array([0.0, 10, 11, 12, 13, 14, 99, nan]))
    assert (box.median, box.whisker_low, box.whisker_high) == (12, 10, 14)
    assert np.isnan(estimators.box(np.zeros(0)).median)


def test_losses_of_runs_and_at_edges():
    t_s = EPOCH_S + 12 + np.arange(0, 60, 0.02)
    rtt_s = np.full(len(t_s), 0.03)
    rtt_s[[10, 760, 761, 2000]] = nan  # 0.2 s into a slot; 15.2 s, twice; and 40 s: within a slot
    found = estimators.losses([(t_s, rtt_s)], 12.0)
    assert (found.runs, found.lossless) == (12, 0.75)
    assert found.single == pytest.approx(2 / 3)
    assert found.edge == pytest.approx((3 / 220) / (1 / 2780), rel=0.02)


def test_means_of_runs_leave_lost_probes_out():
    rtt_s = np.array([1.0, nan, 3.0, 4.0, nan, nan, 9.0])
    begin_s, means = estimators.run_means(np.arange(7.0), rtt_s, 2, 1.0)
    assert begin_s.tolist() == [0, 2, 4]
    assert means.tolist()[:2] == [1.0, 3.5]
    assert np.isnan(means[2])


def test_close_probes_make_several_runs_at_a_time():
    begin_s, means = estimators.run_means(np.arange(7.0) / 2, np.arange(7.0), 2, 1.0)
    assert begin_s.tolist() == [0.0, 0.5]
    assert means.tolist() == [1.0, 2.0]  # of the first and third, and of the second and fourth
    assert len(estimators.run_means(np.zeros(0), np.zeros(0), 10, 1.0)[1]) == 0


def test_chance_counts_groups_and_not_values():
    rng = np.random.default_rng(3)
    single = [rng.normal(0, 1, 1) for _ in range(100)]
    fold = [np.repeat(group, 50) for group in single]
    one, many = (estimators.spread_of(groups, 0.5, 1) for groups in (single, fold))
    assert 0.08 < one < 0.18  # 1.25 / sqrt(100)
    assert many == pytest.approx(one, rel=0.05)
    assert np.isnan(estimators.spread_of(single[:1], 0.5, 1))


@cache
def emulation(median_ms: float = 30.0, down_bps: float = 200e6) -> Emulated:
    """Four terminals over 20 slots, and flows that spread by a tenth."""
    rng = np.random.default_rng(5)
    series = []
    for terminal in range(4):
        t_s = EPOCH_S + 12 + np.arange(0, 300, 0.02)
        level = rng.normal(median_ms, 6.0, 20)[((t_s - EPOCH_S - 12) // 15).astype(int)]
        rtt_s = (level + rng.normal(0, 2.0, len(t_s))) / 1e3
        rtt_s[rng.integers(len(t_s), size=20)] = nan
        series.append(Series(float(terminal), t_s, rtt_s))
    flows = [
        Flow(DOWN, float(hour), 0.0, False, down_bps * rng.normal(1, 0.1)) for hour in range(24) for _ in range(20)
    ]
    flows += [Flow(UP, float(hour), 0.0, False, 15e6) for hour in range(24)]
    flows += [Flow(DOWN, 10.0, rain, True, 150e6 * rng.normal(1, 0.1)) for rain in RAIN_MM_H for _ in range(20)]
    return Emulated({BENT_PIPE: series, END_TO_END: series}, flows)


def statistics(bent_pipe_ms: float = 30.0) -> Measured:
    boxes = [
        Box(
            "f",
            "rtt_bent_pipe",
            "here",
            "all",
            bent_pipe_ms - 15,
            bent_pipe_ms - 4,
            bent_pipe_ms,
            bent_pipe_ms + 4,
            bent_pipe_ms + 16,
        )
    ]
    boxes += [Box("f", "download_throughput", "here", "all", 50, 187, 200, 213, 300)]
    boxes += [Box("f", "download_throughput", "here", f"hour={hour:02}", 50, 187, 200, 213, 300) for hour in range(24)]
    boxes += [Box("f", "download_throughput", "here", "rain_mm=1-2", 50, 140, 150, 160, 300)]
    return Measured(boxes=boxes)


def by_name(found):
    return {(score.group, score.name): score for score in found}


def test_like_against_like_is_within_the_tolerances():
    found = by_name(scoring.scores(statistics(), emulation()))
    assert not [name for name, score in found.items() if score.past]
    assert abs(found["bent-pipe round trip", "median"].error) < 0.1
    assert found["download by hour", "07 h"].count == 20
    assert found["download in rain", "1-2 mm"].measured == 150
    assert ("end-to-end round trip", "median") not in found


def test_another_median_is_past_them_and_is_the_worst():
    found = scoring.scores(statistics(60.0), emulation())
    assert by_name(found)["bent-pipe round trip", "median"].past
    assert scoring.worst(found).group == "bent-pipe round trip"
    assert not any(score.past for score in scoring.scores(statistics(60.0), emulation(), tolerance=3.0))


def test_chance_excuses_short_runs_only():
    few = scoring.Score("g", "n", "ms", 100.0, 130.0, 0.1, 3, scatter=0.15)
    many = scoring.Score("g", "n", "ms", 100.0, 130.0, 0.1, 300, scatter=0.01)
    assert (few.past, many.past) == (False, True)
    assert scoring.Score("g", "n", "ms", 100.0, nan, 0.1).past  # what cannot be told is not within
    assert not scoring.Score("g", "n", "ms", 100.0, nan, inf).past


def test_traces_give_quantiles_and_slots():
    trace = Trace(Path("x"), *slotted(12.0, 8.0, 3.0, 1))
    here = Emulated({BENT_PIPE: [Series(1.0, *slotted(12.0, 9.0, 3.0, seed)) for seed in range(3)]}, [])
    found = by_name(scoring.scores(Measured(traces=[trace], slots=[trace]), here))
    assert found["slots", "phase"].error == 0
    assert found["slots", "step of medians, p50"].error == pytest.approx(1 / 8, abs=0.05)
    assert abs(found["single pings", "median"].error) < 0.05
    shifted = Emulated({BENT_PIPE: [Series(1.0, *slotted(3.0, 9.0, 3.0, 1))]}, [])
    assert by_name(scoring.scores(Measured(slots=[trace]), shifted))["slots", "phase"].past


def test_loss_is_compared_where_there_is_some():
    curve = LossCurve("here", np.array([0.0, 0.004, 0.004, 0.008]), np.array([0.0, 0.0, 0.7, 1.0]))
    found = by_name(scoring.scores(Measured(loss=curve), emulation()))
    assert found["loss", "one of 250, of lossy runs"].measured == 0.7
    assert found["loss", "one of 250, of lossy runs"].emulated > 0.6
    assert 0 < found["loss", "lossless runs"].emulated < 1


def test_a_file_of_serving_satellites_has_statistics():
    names = ("a",) * 5 + ("b",) * 14 + ("c",) * 14 + ("d",) * 3
    count = len(names)
    seen = Serving(
        Path("x"), EPOCH_S + np.arange(count), names, np.full(count, 60.0), np.where(np.arange(count) < 27, 10.0, 190.0)
    )
    found = serving.of_file(seen)
    assert (found.dwell_s, found.elevation_p50_deg, found.northern) == (14.0, 60.0, 0.75)
    ours = serving.Choices(
        ["A", "B", "C", "D"], EPOCH_S + np.arange(3) * 15.0, np.array([[0, 1], [2, 2], [3, -1]]),
        np.full((3, 2), 50.0), np.ones((3, 2), bool), np.zeros((3, 2), bool),
    )  # fmt: skip
    share, slots = serving.equal_share(seen, ours)
    assert (share, slots) == (pytest.approx((0.5 + 0.0 + 0.0) / 3), 3)


def test_a_file_of_our_own_choices_is_met_by_its_terminal():
    ours = serving.choose("52.27,8.05", 1, 60.0)
    names = tuple(ours.names[number] for number in ours.satellite[:, 0])
    seen = Serving(Path("x"), ours.begin_s + 3.0, names, ours.elevation_deg[:, 0], np.zeros(len(names)))
    scores = {score.name: score for score in serving.against(seen, "52.27,8.05", None)}
    assert scores["equal choices"].emulated >= 1 / serving.TERMINALS
    assert scores["equal choices"].count == 4
    assert scores["elevation p50"].measured == pytest.approx(np.median(ours.elevation_deg[:, 0]))
    assert np.isnan(scores["nearest"].measured)
    assert not scores["nearest"].past


def test_the_recipe_gives_each_hour_and_rain_a_terminal():
    data = compose(Parameters.model_validate({"hours": "5,18-19", "terminals": 1}), RecipeOptions(1, 60.0, "."))
    stations = {each["name"]: each for each in data["ground"]["station"]}
    assert sorted(stations) == [
        "d05",
        "d18",
        "d19",
        "p05",
        "p18",
        "p19",
        *(f"r{n}" for n in range(7)),
        "u05",
        "u18",
        "u19",
    ]
    assert stations["r4"]["rain_mm_h"] == RAIN_MM_H[4]
    assert data["gateways"]["pops"] == ["frankfurt"]
    down = next(program for program in data["program"] if program["name"] == "down")
    assert len(down["config"]["flows"]) == 10
    assert float(data["duration"].split()[0]) >= 60 + 10 / 4 * 15 + 15  # ten flows, four at a time
    assert "terminal" not in data, "rates are those of the fit"


def test_few_hours_have_more_terminals_each():
    data = compose(Parameters.model_validate({"hours": "16-18", "flow": "0 s"}), RecipeOptions(1, 60.0, "."))
    stations = data["ground"]["station"]
    assert [each["name"] for each in stations[:9]] == ["p16", *(f"p16-{n}" for n in range(1, 8)), "p17"]
    assert [each["hour"] for each in stations] == [16] * 8 + [17] * 8 + [18] * 8


@pytest.mark.parametrize("text", ["", "24", "3-", "a", "5-2", "-1"])
def test_hours_that_are_none(text):
    with pytest.raises(ParameterError, match="expected hours from 0 to 23"):
        hours_of(text)


def test_sites_that_are_none():
    assert site_of("-33.5,151") == (-33.5, 151.0)
    for text in ("52", "north,8", "91,0", "52;8", "nan,0"):
        with pytest.raises(ParameterError, match="expected latitude and longitude"):
            site_of(text)


@pytest.mark.parametrize(("median_ms", "late", "code"), [(30.0, 0, 0), (60.0, 0, 1), (30.0, 75, 75)])
def test_the_exit_code_says_whether_it_is_within(monkeypatch, tmp_path, capsys, median_ms, late, code):
    played = Played(RunFolder(tmp_path / "run", "none"), late, interrupted=False)
    monkeypatch.setattr("emulator.cli.play.play", lambda *_: played)
    monkeypatch.setattr("emulator.record.load.load_run", lambda folder: folder)
    monkeypatch.setattr("scenarios.leo_access.emulated.read", lambda run: run)
    monkeypatch.setattr("scenarios.leo_access.emulated.together", lambda runs: emulation())
    monkeypatch.setattr("scenarios.leo_access.efficiency.delivered", lambda run, way: np.array([0.9, 0.95]))
    lines = [
        ",".join(
            ("figure", "metric", "unit", "site", "group", "n", "whisker_low", "q1", "median", "q3", "whisker_high")
        )
    ]
    lines += [
        f"F,rtt_bent_pipe,ms,Here,all,,{median_ms - 15},{median_ms - 4},{median_ms},{median_ms + 4},{median_ms + 16}"
    ]
    (tmp_path / "boxes.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(typer.Exit) as ended:
        validate.leo_access("10,10", tmp_path, figures=tmp_path / "drawn", satellites=False, json=False)
    assert ended.value.exit_code == code
    said = capsys.readouterr().out
    assert "bent-pipe round trip" in said
    assert "rule of celestial" in said
    assert "TCP down delivered 92.5% of the link's rate" in said
    assert ("past the tolerances" in said) == (code == 1)
    assert (tmp_path / "drawn" / "bent-pipe.svg").read_text().startswith("<?xml")
