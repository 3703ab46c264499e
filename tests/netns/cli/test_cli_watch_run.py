"""`skyloom watch` beside a real run: one snapshot as JSON, then plain lines to its end, then the same run replayed."""

from __future__ import annotations

import json
import subprocess

import pytest
from skyloom_command import SKYLOOM, skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

SCENARIO = """
name = "pair"
duration = "4 s"
topology = "topologies.links"
[fidelity]
lateness_p99 = "1 s"
[[link]]
a = "a"
b = "b"
delay = "5 ms"
rate = "10 Mbit/s"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "50 ms" }
"""


def test_watching_a_run_and_then_its_replay(tmp_path):
    (tmp_path / "pair.toml").write_text(SCENARIO)
    runs = tmp_path / "runs"
    run = subprocess.Popen(
        [*SKYLOOM, "run", tmp_path / "pair.toml", "--no-tui", "--runs", runs],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert any("play" in line for line in run.stderr)  # it plays by now
        folder = next((runs / "pair").glob("*Z-*"))
        run_id = folder.name.rpartition("-")[2]
        shown = skyloom("watch", run_id[:5], "--json")
        assert shown.returncode == 0, shown.stderr
        snapshot = json.loads(shown.stdout)
        assert (snapshot["scenario"], snapshot["run_id"], snapshot["phase"]) == ("pair", run_id, "play")
        followed = skyloom("watch", folder, "--no-tui")
        assert followed.returncode == 0, followed.stderr
        assert "pair play" in followed.stderr
        assert "PASS" in followed.stdout
        assert run.wait(timeout=30) == 0
    finally:
        run.kill()
        run.communicate()
    replayed = skyloom("watch", "latest", "--runs", runs, "--at", "3s", "--json")
    assert replayed.returncode == 0, replayed.stderr
    snapshot = json.loads(replayed.stdout)
    assert snapshot["t_s"] == 3.0
    assert {row["pair"] for row in snapshot["probes"]} == {"a → b", "b → a"}
    assert all(row["sent"] >= 20 and "error_ms" in row for row in snapshot["probes"])
    assert {row["end"] for row in snapshot["links"]} == {"a:eth0", "b:eth0"}
