"""`skyloom watch`: which run is meant, and what is printed of it."""

from __future__ import annotations

import json

import pytest

from emulator.cli import watch as command
from emulator.client import watch
from emulator.model.errors import UsageError
from emulator.record.events import EventLog
from emulator.record.folder import RunFolder
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude

SCENARIO = """
name = "small"
topology = "topologies.links"
duration = "9 s"
[[link]]
a = "a"
b = "b"
delay = "5 ms"
"""


@pytest.fixture
def live(monkeypatch):
    """Ids of live runs, to be changed by the test."""
    ids: list[str] = []
    monkeypatch.setattr(watch, "live_runs", lambda: sorted(ids))
    return ids


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def recorded(runs, run_id="abc123", verdict=True):
    folder = RunFolder.create(runs, "small", run_id)
    folder.write_scenario(SCENARIO)
    events = EventLog(folder)
    events.append(0.0, "", "skyloom", "play", {"t0_utc_ns": 10**18})
    events.append(4.0, "a", "p", "hello", {"to": "b"})
    events.append(8.0, "b", "p", "bye", {})
    if verdict:
        events.finish()
        folder.write_verdict(conclude(Verdict(scenario="small", seed=1, run_id=run_id, duration_s=9.0)).to_json())
    else:
        events.close()
    return folder.path


def test_a_live_run_is_meant_by_its_id_its_beginning_its_folder_or_by_being_the_only_one(live, runs):
    folder = recorded(runs)
    live += ["abc123"]
    for words in ("abc123", "ab", None, str(folder), "small", "latest"):
        assert command.chosen(words, runs) == "abc123"
    live += ["abd999"]
    assert command.chosen("abd", runs) == "abd999"
    for words in ("ab", None):
        with pytest.raises(UsageError, match="2 live runs fit; choose one: abc123, abd999"):
            command.chosen(words, runs)


def test_a_finished_run_is_meant_by_its_folder_its_id_its_scenario_or_as_the_latest(live, runs):
    folder = recorded(runs)
    live += ["fff000"]
    for words in (str(folder), "abc123", "abc", "small", "latest"):
        assert command.chosen(words, runs) == folder.resolve()
    live.clear()
    assert command.chosen(None, runs) == folder.resolve()
    with pytest.raises(UsageError, match=r"nothing: no such run; .*scenarios with runs here: small"):
        command.chosen("nothing", runs)


def test_a_sweep_is_refused(live, tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(UsageError, match="is a sweep; expected one of its runs"):
        command.chosen(str(tmp_path), tmp_path)


def test_json_of_a_finished_run_is_the_snapshot_at_the_cursor(live, runs, capsys):
    recorded(runs)
    command.watch("abc123", at="5s", runs=runs, json=True)
    snapshot = json.loads(capsys.readouterr().out)
    assert snapshot["t_s"] == 5.0
    assert [event["kind"] for event in snapshot["events"]] == ["play", "hello"]
    command.watch("abc123", at=None, runs=runs, json=True)
    assert json.loads(capsys.readouterr().out)["t_s"] == 9.0


def test_without_a_terminal_a_finished_run_shows_its_summary(live, runs, capsys):
    recorded(runs)
    command.watch("small", runs=runs, tui=False)
    assert "PASS" in capsys.readouterr().out
    folder = recorded(runs / "other", verdict=False)
    command.watch(str(folder), runs=runs, tui=False)
    assert "has no verdict" in capsys.readouterr().err


@pytest.mark.parametrize("at", ["5", "soon", "-3 s"])
def test_a_bad_cursor_is_a_usage_error(live, runs, at):
    recorded(runs)
    with pytest.raises(UsageError, match=f"--at {at}: "):
        command.watch("small", at=at, runs=runs)


class FakeWatch:
    """A live run that ends after three snapshots; it is none of `live` from then on."""

    detached = False

    def __init__(self, run):
        self.run = run
        self.left = [
            {"scenario": "small", "phase": "play", "t_s": t_s, "elapsed_s": 6 * t_s} for t_s in (1.0, 2.0, 3.0)
        ]

    def receive(self):
        if not self.left:
            self.live.clear()
            return None
        return dict(self.left.pop(0), folder=str(self.folder))

    def detach(self):
        FakeWatch.detached = True


def test_a_live_run_without_a_terminal_gives_heartbeats_and_then_the_summary(live, runs, capsys, monkeypatch):
    FakeWatch.folder, FakeWatch.live = recorded(runs), live
    monkeypatch.setattr(watch, "Watch", FakeWatch)
    live += ["abc123"]
    command.watch("abc", runs=runs, tui=False)
    said = capsys.readouterr()
    assert "small play" in said.err
    assert "PASS" in said.out
    live += ["abc123"]
    command.watch("abc", runs=runs, json=True)
    assert json.loads(capsys.readouterr().out)["t_s"] == 1.0
    assert FakeWatch.detached
    with pytest.raises(UsageError, match="run abc123 is live; a time cursor is for finished runs"):
        command.watch("abc", at="3s", runs=runs)


def test_an_instant_needs_a_screen_or_json(live, runs, capsys):
    folder = str(recorded(runs))
    with pytest.raises(UsageError, match="--at 3 s: no screen opens here"):
        command.watch(folder, at="3s", runs=runs, tui=False)
    command.watch(folder, at="3s", runs=runs, json=True)
    assert json.loads(capsys.readouterr().out)["t_s"] == 3.0
