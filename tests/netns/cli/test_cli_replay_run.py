"""`skyloom replay`: a real run with losses, jitter, an action and a program that dies, played twice."""

import json

import pytest
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_sandbox")]

SCENARIO = """
name = "small"
topology = "topologies.wan"
duration = "1500 ms"
seed = 3
[wan]
hosts = 2
jitter = "2 ms"
loss = "20 %"
[fidelity]
lateness_p99 = "1 s"
[capture]
links = ["us-east-1:*"]
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "10 ms" }
[[program]]
name = "dies"
nodes = ["v0"]
command = "sh -c 'exit 3'"
expect = "any"
[[action]]
at = "1 s"
do = "link-down"
links = ["v1:*"]
"""


def test_a_run_and_its_replay_decide_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SCENARIO)
    first = skyloom("run", "small.toml", "--no-tui")
    assert first.returncode == 0, first.stdout + first.stderr
    again = skyloom("replay", "small", "--no-tui", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    document = json.loads(again.stdout)
    decisions = {(each["kind"], each["where"]): each for each in document["decisions"]}
    assert decisions["actions", ""]["equal"] == 1
    assert decisions["schedule rows", ""]["equal"] >= 2
    assert decisions["ends of programs", ""]["equal"] == 1
    trunks = [each for each in document["decisions"] if each["kind"] in ("losses", "jitter", "captured packets")]
    assert {each["kind"] for each in trunks} == {"losses", "jitter", "captured packets"}
    assert all(each["equal"] == each["compared"] > 20 for each in trunks if "~" not in each["where"]), trunks
    kept = json.loads((tmp_path / "runs" / "small" / "latest" / "replay.json").read_text())
    assert kept == document
    against = skyloom("replay", document["run"], "--against", document["replay"])
    assert against.returncode == 0
    assert "decisions are equal wherever they can be compared" in against.stdout
