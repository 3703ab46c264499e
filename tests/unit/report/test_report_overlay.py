"""Two runs on one pair of axes, and a sweep's figures with bands over its seeds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.stats import EndStats
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.record.sweep import Sweep
from emulator.report import compare_plots, figures, sweep_plots


def finished(tmp_path, name, samples):
    """A run of three seconds with one busy link end."""
    folder = RunFolder.create(tmp_path, "small", name)
    folder.write_scenario('name = "small"\n')
    log, links, events = SampleLog(folder), LinkLog(folder, ["a:x"]), EventLog(folder)
    for t_s, metric, value in samples:
        log.append(t_s, "a", "p", metric, "b", value)
    for second in (1, 2, 3):
        counters = [0.0] * len(EndStats)
        counters[EndStats.SENT_PACKETS] = counters[EndStats.DELIVERED_PACKETS] = 100.0 * second
        counters[EndStats.DELIVERED_BYTES] = 1e6 * second
        counters[EndStats.LATE_SUM_S], counters[EndStats.LATE_MAX_S] = 0.01 * second, 0.001
        links.update(float(second), {0: counters}, final=second == 3)
    for spool in (log, links, events):
        spool.finish()
    folder.close()
    return load_run(folder.path)


def test_what_both_runs_have_is_drawn(tmp_path):
    one = finished(tmp_path, "one", [(0.1, "rtt_s", 0.01), (1.1, "rtt_s", 0.03), (1.0, "only_here", 1.0)])
    other = finished(tmp_path, "other", [(0.1, "rtt_s", 0.02)])
    made = {each.name: each for each in compare_plots.drawings(one, other)}
    assert set(made) == {"both-lateness", "both-rates", "both-rtt-s"}
    shares, times = made["both-rtt-s"].figure.axes
    assert shares.get_xlabel() == "rtt in ms"
    assert shares.lines[0].get_xdata().tolist() == pytest.approx([10.0, 30.0])
    assert times.lines[0].get_xdata().tolist() == [0.5, 1.5]
    late, late_too = made["both-lateness"].figure.axes[0].lines
    assert late.get_ydata().tolist() == late_too.get_ydata().tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert made["both-rates"].figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([8.0, 8.0])


def test_runs_without_tables_have_nothing_to_draw(tmp_path):
    folder = RunFolder.create(tmp_path, "small", "bare")
    folder.write_scenario('name = "small"\n')
    assert compare_plots.drawings(load_run(folder.path), load_run(folder.path)) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=1500))
def test_a_distribution_is_that_of_all_values(values):
    xs, shares = compare_plots.distribution(pl.Series(values, dtype=pl.Float64))
    assert len(xs) <= compare_plots.MOST_POINTS
    assert (xs[0], xs[-1], shares[-1]) == (min(values), max(values), 1.0)
    for x, share in list(zip(xs, shares, strict=True))[:: max(1, len(xs) // 20)]:
        assert np.count_nonzero(np.array(values) < x) / len(values) <= share
        assert np.count_nonzero(np.array(values) <= x) / len(values) >= share


def swept(tmp_path, **more):
    sweep = Sweep.create(tmp_path, "small", {"delay": ["10 ms", "20 ms"], "mode": ["x", "y"]}, 2, **more)
    for number, delay in enumerate(("10 ms", "20 ms")):
        for mode in "xy":
            for seed in (1, 2, 3):
                about = {"seed": seed, "run": "", "verdict": "pass", "exit_code": 75 if seed == 3 else 0}
                summary = {"rounds": 10 * number + seed, "same": 4, "deep": {"p50": number + 0.5}, "text": mode}
                sweep.add({"delay": delay, "mode": mode}, about, summary)
    return sweep


def test_bands_are_mean_and_range_over_the_seeds_that_count(tmp_path):
    sweep = swept(tmp_path)
    rows = [row for row in sweep.rows if row["exit_code"] == 0 and row["mode"] == "x"]
    assert sweep_plots.bands(rows, "delay", "rounds") == [(0.01, 1.5, 1.0, 2.0), (0.02, 11.5, 11.0, 12.0)]


def test_a_sweep_without_drawings_of_its_own_gets_bands(tmp_path):
    drawings, warnings = figures.of_sweep(swept(tmp_path))
    assert warnings == []
    assert [each.name for each in drawings] == ["rounds-over-delay", "deep-p50-over-delay"]
    axes = drawings[0].figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mode x", "mode y"]
    assert axes.lines[0].get_ydata().tolist() == [1.5, 11.5]
    assert "8 runs that count" in drawings[0].caption


@pytest.mark.parametrize("value", ["", "x", None, [1], "unlimited", float("nan"), {"a": 1}])
def test_what_is_no_number_is_on_no_axis(value):
    assert sweep_plots.bands([{"k": value, "f": 1.0}, {"k": 1.0, "f": value}], "k", "f") == []
