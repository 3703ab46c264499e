"""`skyloom replay --against`: the exit code, and what is shown of two runs of a scenario."""

import json

import pytest
import typer

from emulator.cli.replay import replay
from emulator.model.errors import DataError, UsageError
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.verdict import Verdict

SCENARIO = """
name = "small"
topology = "topologies.links"
seed = 5
[[link]]
a = "a"
b = "b"
delay = "10 ms"
"""


@pytest.fixture
def made(tmp_path):
    """Makes the folder of a run in which a link went down, or something else was done."""

    def make(done="link-down", scenario=SCENARIO, hosts=0):
        folder = RunFolder.create(tmp_path, "small")
        logs = EventLog(folder), SampleLog(folder), LinkLog(folder, [])
        logs[0].append(1.0, "", "skyloom", "action", {"do": done, "links": ["a:*"]})
        for spool in logs:
            spool.finish()
        folder.write_scenario(scenario)
        machines = [{"name": f"host {number}", "nodes": 1, "lateness_ms": {}, "engine_cpu_s": 0.0, "relay_cpu_s": 0.0,
                     "late_rows": 0, "memory_bytes": 0} for number in range(hosts)]  # fmt: skip
        verdict = Verdict("small", 5, duration_s=2.0, drops={"queue": 3, "loss": 0}, machines=machines)
        folder.write_verdict(verdict.to_json())
        return str(folder.path)

    return make


def ended(tmp_path, first, second, json=False):
    with pytest.raises(typer.Exit) as exit:
        replay(first, second, tmp_path, None, json)
    return exit.value.exit_code


@pytest.mark.parametrize(("option", "value"), [("hosts", 2), ("cluster", "head:6379")])
def test_a_comparison_plays_nowhere(tmp_path, made, option, value):
    with pytest.raises(UsageError, match=f"--{option} with --against"):
        replay(made(), made(), tmp_path, None, False, **{option: value})


@pytest.mark.parametrize(
    ("of_run", "options", "asked"),
    [(3, {}, (3, None)), (0, {}, (None, None)), (3, {"hosts": 1}, (1, None)), (3, {"cluster": "auto"}, (None, "auto"))],
)
def test_a_replay_has_as_many_hosts_as_its_run_and_says_so(tmp_path, made, capsys, monkeypatch, of_run, options, asked):
    played = []

    def play(scenario, runs, screen, *over):
        played.append(over)
        raise KeyboardInterrupt

    monkeypatch.setattr("emulator.cli.play.play", play)
    with pytest.raises(KeyboardInterrupt):
        replay(made(hosts=of_run), runs=tmp_path, tui=False, **options)
    assert played == [asked]
    assert ("over 3 pseudo-hosts of this machine" in capsys.readouterr().err) == (of_run == 3 and not options)


def test_equal_runs_end_with_0(tmp_path, made, capsys):
    assert ended(tmp_path, made(), made()) == 0
    out = capsys.readouterr().out
    assert "decisions are equal wherever they can be compared" in out
    assert next(line for line in out.splitlines() if line.startswith("drops.queue")).split() == [
        "drops.queue",
        "3",
        "3",
    ]
    assert "drops.loss" not in out


def test_another_decision_ends_with_1(tmp_path, made, capsys):
    assert ended(tmp_path, made(), made("link-up")) == 1
    out = capsys.readouterr().out
    assert "decisions are NOT EQUAL" in out
    assert "number 1: action" in out
    assert ended(tmp_path, made(), made("link-up"), json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["equal"]
    assert [each["kind"] for each in document["decisions"] if each["equal"] < each["compared"]] == ["actions"]


def test_runs_of_different_scenarios_are_refused(tmp_path, made):
    with pytest.raises(UsageError, match="runs of different scenarios"):
        replay(made(), made(scenario=SCENARIO.replace("5", "6")), tmp_path, None, False)


def test_a_run_without_a_verdict_is_not_played_again_and_not_compared_with(tmp_path, made):
    folder = RunFolder.create(tmp_path, "small")
    folder.write_scenario(SCENARIO)
    (folder.path / "events.spool").write_bytes(b"")
    with pytest.raises(DataError, match="no verdict"):
        replay(str(folder.path), None, tmp_path, None, False)
    with pytest.raises(DataError, match="no verdict"):
        replay(made(), str(folder.path), tmp_path, None, False)
