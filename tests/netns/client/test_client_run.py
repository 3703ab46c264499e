"""A run seen and touched from elsewhere: another terminal's screen, and a command that leaves its run to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from emulator.client.watch import Watch, live_runs
from emulator.fabric import sandbox

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

SCENARIO = """
name = "pair"
duration = "20 s"
topology = "topologies.links"
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
LEAVER = """
import sys
from pathlib import Path
from emulator.record import RunFolder
from emulator.client import launch
from emulator.scenario import load

folder = RunFolder.create(Path(sys.argv[2]), "pair")
handle = launch(load(sys.argv[1]), folder)
for snapshot in handle.snapshots():
    if snapshot.get("phase") == "play":
        break
handle.detach()
print(folder.run_id, folder.path)
"""


def until(condition, what, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
    return found


def next_where(watch, condition, most=60):
    for _ in range(most):
        snapshot = watch.receive()
        assert snapshot is not None, "the run has ended"
        if condition(snapshot):
            return snapshot
    raise AssertionError("no such snapshot")


def test_a_run_that_was_left_goes_on_and_is_watched_touched_and_stopped_from_elsewhere(tmp_path):
    (tmp_path / "pair.toml").write_text(SCENARIO)
    command = [sys.executable, "-c", LEAVER, str(tmp_path / "pair.toml"), str(tmp_path / "runs")]
    left = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert left.returncode == 0, left.stderr
    run_id, folder = left.stdout.split()

    with closing(Watch(run_id, {"panel": "links", "filter": "b:*", "rows": 5})) as watch:
        _play_with(watch)
    until(lambda: (Path(folder) / "verdict.json").exists(), "a verdict")
    assert json.loads((Path(folder) / "verdict.json").read_text())["interrupted"] is True
    until(lambda: run_id not in live_runs(), "the run's socket to go")


def _play_with(watch):
    seen = next_where(watch, lambda snapshot: snapshot.get("links") and snapshot["links"][0]["rate_bps"] > 0)
    assert [link["end"] for link in seen["links"]] == ["b:eth0"]
    assert seen["links"][0]["capacity_bps"] == 10e6
    watch.view({"panel": "nodes", "sort": "-node", "detail": "a"})
    seen = next_where(watch, lambda snapshot: snapshot["view"].get("detail") == "a")
    assert [row["node"] for row in seen["node_rows"]] == ["b", "a"]
    assert dict(seen["detail"]["facts"])["programs"] == "probe"

    watch.fault({"do": "link-down", "links": ["a:eth0"]})
    watch.fault({"do": "no-such-thing"})
    watch.fault({"do": "partition"})  # between whom?
    watch.view({"panel": "links"})
    down = next_where(watch, lambda snapshot: snapshot["drops"]["outage"] > 0)
    kinds = [event["kind"] for event in down["events"]]
    assert "action" in kinds
    assert kinds.count("action-failed") == 2

    watch.stop()
    while watch.receive() is not None:
        pass


def test_a_run_that_is_not_left_dies_with_its_command(tmp_path):
    (tmp_path / "pair.toml").write_text(SCENARIO)
    script = LEAVER.replace("handle.detach()\n", "")
    command = [sys.executable, "-c", script, str(tmp_path / "pair.toml"), str(tmp_path / "runs")]
    left = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert left.returncode == 0, left.stderr
    run_id = left.stdout.split()[0]
    until(lambda: run_id not in live_runs(), "the run to die")


def test_detaching_from_a_sandbox_that_is_gone_says_so():
    pid = sandbox.spawn(lambda: 0, {})
    os.waitpid(pid, 0)
    assert sandbox.detach(pid) is False
