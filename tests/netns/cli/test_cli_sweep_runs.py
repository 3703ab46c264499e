"""A sweep of real runs by the command line, and the reports of it and of one of its runs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from skyloom_command import SKYLOOM

from emulator.record.load import load_run
from emulator.record.sweep import load_sweep

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_sandbox")]

SCENARIO = """
name = "pair"
topology = "topologies.links"
duration = "1 s"
analysis = "pair_analysis"
prediction = { peers = 2 }
[fidelity]
lateness_p99 = "1 s"
[[link]]
a = "a"
b = "b"
delay = "10 ms"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "100 ms" }
"""
ANALYSIS = """
def summarise(run):
    rtt = run.samples.filter(run.samples["name"] == "rtt_s")
    return {"peers": rtt["key"].n_unique(), "least_ms": rtt["value"].min() * 1e3, "seed": run.document["seed"]}

def sweep_figures(table):
    from emulator.report import drawing
    figure, axes = drawing.new()
    axes.plot(table["seed"], table["least_ms"], "o")
    return [drawing.Drawing("least", "Least round trip", "One dot a run", figure)]
"""


@pytest.fixture
def started(tmp_path):
    """Starts a `skyloom` command in a folder with the scenario."""
    (tmp_path / "pair.toml").write_text(SCENARIO)
    (tmp_path / "pair_analysis.py").write_text(ANALYSIS)

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SKYLOOM, *words], cwd=tmp_path, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_two_runs_a_table_and_reports(started, tmp_path):
    sweep = started("sweep", "pair.toml", "--over", "link.0.delay=10 ms,30 ms")
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, err
    assert "[2/2] link.0.delay=30 ms seed 1  pass" in err
    (folder,) = (tmp_path / "runs" / "pair").glob("sweep-*")
    table = load_sweep(folder)
    least_ms = [row["least_ms"] for row in table.rows]
    assert least_ms == [pytest.approx(20, abs=3), pytest.approx(60, abs=3)], out
    assert [row["summary.seed"] for row in table.rows] == [1, 1]
    assert (folder / "figures" / "least.svg").exists()
    run = load_run(tmp_path / "runs" / "pair" / table.rows[0]["run"])
    assert run.document["link"][0]["delay"] == "10 ms"
    report = started("report", "pair")
    out, err = report.communicate(timeout=60)
    assert report.returncode == 0, err
    assert "as predicted" in Path(out.strip()).read_text()


def test_ctrl_c_ends_with_what_there_is(started, tmp_path):
    sweep = started("sweep", "pair.toml", "--seeds", "50")
    assert sweep.stderr is not None
    while "[1/50]" not in (line := sweep.stderr.readline()):
        assert line, "the sweep ended before its first run did"
    os.killpg(sweep.pid, signal.SIGINT)
    _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, err
    (folder,) = (tmp_path / "runs" / "pair").glob("sweep-*")
    table = load_sweep(folder)
    assert not table.complete
    assert 1 <= len(table.rows) < 50
    assert table.table().height == len(table.rows)
    assert (folder / "report.html").exists()
