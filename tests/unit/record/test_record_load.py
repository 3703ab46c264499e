"""Opening run folders: finished, crashed, running, and what is none."""

import pytest

from emulator.model.errors import DataError
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    folder.write_scenario('name = "leo"\n')
    return folder


def test_finished_run(folder):
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a:x"])
    events.append(2.0, "a", "p", "second")
    events.append(1.0, "b", "p", "first")
    samples.append(1.0, "a", "p", "rtt_s", "b", 0.1)
    for spool in (events, samples, links):
        spool.finish()
    folder.write_verdict(conclude(Verdict(scenario="leo", seed=7)).to_json())
    run = load_run(folder.path.parent / "latest")
    assert run.verdict.verdict == "pass"
    assert 'name = "leo"' in run.scenario
    assert run.events["kind"].to_list() == ["first", "second"]
    assert run.samples["value"].to_list() == [0.1]
    assert run.links.height == 0
    assert run.lost_bytes == {}


def test_crashed_run_is_read_from_its_spools_and_left_as_it_is(folder):
    events = EventLog(folder)
    for number in range(3):
        events.append(float(number), "a", "p", "tick")
    events.close()
    events.path.write_bytes(events.path.read_bytes()[:-4])
    before = sorted(folder.path.rglob("*"))
    run = load_run(folder.path)
    assert run.verdict is None
    assert run.events["t_s"].to_list() == [0.0, 1.0]
    assert run.lost_bytes["events"] > 0
    assert sorted(folder.path.rglob("*")) == before
    with pytest.raises(DataError, match=r"samples\.parquet"):
        _ = run.samples


def test_what_is_no_run_folder(tmp_path):
    with pytest.raises(DataError, match="no such run folder"):
        load_run(tmp_path / "nothing")
    with pytest.raises(DataError, match="not a run folder"):
        load_run(tmp_path)


def test_broken_files_are_named(folder):
    (folder.path / "verdict.json").write_text("{")
    with pytest.raises(DataError, match=r"verdict\.json: not a verdict"):
        load_run(folder.path)
    (folder.path / "verdict.json").unlink()
    (folder.path / "events.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"events\.parquet"):
        _ = load_run(folder.path).events


def test_a_table_with_other_columns_is_refused(folder):
    import polars as pl

    pl.DataFrame({"t_s": [1.0], "node": ["a"], "program": [7], "kind": ["x"]}).write_parquet(
        folder.path / "events.parquet"
    )
    with pytest.raises(
        DataError, match=r"events\.parquet: program Int64, data missing; expected the columns of events"
    ):
        _ = load_run(folder.path).events


def test_own_events_are_none_that_programs_call_the_same(folder):
    events = EventLog(folder)
    events.append(1.0, "", "skyloom", "action", {"do": "heal"})
    events.append(2.0, "gs-tokyo", "", "handover", {"link": "a"})
    events.append(3.0, "gs-tokyo", "mine", "handover", {"to": 3})
    events.finish()
    assert load_run(folder.path).own_events["t_s"].to_list() == [1.0, 2.0]


def test_scenario_is_there_as_a_document_with_the_recipes_parameters(folder):
    assert load_run(folder.path).document == {"name": "leo"}
    assert load_run(folder.path).parameters == {}
    folder.write_scenario('name = "plurality"\n[parameters]\nagents = 64\nprotocol = "voter"\n')
    assert load_run(folder.path).parameters == {"agents": 64, "protocol": "voter"}
    folder.write_scenario("name = \n")
    with pytest.raises(DataError, match=r"scenario\.toml"):
        _ = load_run(folder.path).document
