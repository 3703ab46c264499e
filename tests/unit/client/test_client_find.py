"""Finding runs by path, by name and as the latest of all."""

import pytest

from emulator.client.find import find, is_run, is_sweep
from emulator.model.errors import UsageError


@pytest.fixture
def runs(tmp_path):
    for name in (
        "leo/2026-11-23T10-00-00Z-aaaaaa",
        "leo/2026-11-23T12-00-00Z-bbbbbb",
        "ring/2026-11-23T11-00-00Z-cccccc",
    ):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "verdict.json").write_text("{}")
    sweep = tmp_path / "runs" / "leo" / "sweep-2026-11-23T13-00-00Z-dddddd"
    sweep.mkdir()
    (sweep / "sweep.json").write_text("{}")
    (tmp_path / "runs" / "leo" / "2026-11-23T14-00-00Z-eeeeee").mkdir()  # refused before it began
    return tmp_path / "runs"


def test_by_path_by_name_and_latest(runs):
    newest = runs / "leo" / "2026-11-23T12-00-00Z-bbbbbb"
    assert find("leo", runs) == newest
    assert find("latest", runs) == newest
    assert find("ring", runs).name.endswith("cccccc")
    assert find(str(runs / "ring" / "2026-11-23T11-00-00Z-cccccc"), runs).name.endswith("cccccc")


def test_by_the_beginning_of_an_id_that_one_run_has(runs):
    (runs / "leo" / "latest").symlink_to("2026-11-23T12-00-00Z-bbbbbb")
    assert find("aaa", runs) == runs / "leo" / "2026-11-23T10-00-00Z-aaaaaa"
    (runs / "ring" / "2026-11-23T11-00-00Z-aaaccc").mkdir()
    (runs / "ring" / "2026-11-23T11-00-00Z-aaaccc" / "verdict.json").touch()
    for several_a_sweep_or_refused in "aaa", "dddddd", "eeeeee":
        with pytest.raises(UsageError, match="no such run"):
            find(several_a_sweep_or_refused, runs)


def test_link_to_the_latest_is_followed_and_may_dangle(runs):
    latest = runs / "leo" / "latest"
    latest.symlink_to("2026-11-23T10-00-00Z-aaaaaa")
    assert find(str(latest), runs).name.endswith("aaaaaa")
    latest.unlink()
    latest.symlink_to("gone")
    assert find("leo", runs).name.endswith("bbbbbb")


def test_sweeps_are_found_by_path_only(runs):
    sweep = next((runs / "leo").glob("sweep-*"))
    assert is_sweep(sweep)
    assert not is_run(sweep)
    assert find(str(sweep), runs) == sweep


def test_a_run_that_still_goes_on_counts(runs):
    folder = runs / "leo" / "2026-11-23T15-00-00Z-ffffff"
    folder.mkdir()
    (folder / "events.spool").touch()
    assert find("leo", runs) == folder


@pytest.mark.parametrize("what", ["nothing", "..", "", "scenario.toml"])
def test_what_is_not_there_is_said_with_what_is(what, runs, monkeypatch):
    monkeypatch.chdir(runs.parent)
    with pytest.raises(UsageError, match="scenarios with runs here: leo, ring"):
        find(what, runs)


def test_no_runs_at_all(tmp_path):
    for what in ("latest", "leo"):
        with pytest.raises(UsageError, match="there are no runs below"):
            find(what, tmp_path / "runs")
