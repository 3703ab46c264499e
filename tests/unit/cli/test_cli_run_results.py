"""`skyloom run` with --junit, --summary and --repeat, with runs that are only pretended."""

import json
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import typer
from pretended_runs import SCENARIO, Pretended

from emulator.cli import play as playing
from emulator.cli.run import run
from emulator.model.errors import EmulationError, ScenarioError, UsageError
from emulator.record.sweep import load_sweep


@pytest.fixture
def pretended(monkeypatch):
    made = Pretended()
    monkeypatch.setattr(playing, "play", made)
    monkeypatch.setattr(sys, "argv", ["skyloom", "run", "small.toml"])
    ended = SimpleNamespace(follow=lambda handle: False)
    monkeypatch.setattr("emulator.ui.LiveScreen", lambda **_: ended)
    return made


@pytest.fixture
def files(tmp_path):
    return {"junit": tmp_path / "out.xml", "summary": tmp_path / "out.md"}


def ended(tmp_path, **options):
    """The exit code of a command."""
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO)
    with pytest.raises(typer.Exit) as exit:
        run(str(path), runs=tmp_path / "runs", **options)
    return exit.value.exit_code


def test_one_run_is_a_suite_and_a_section(tmp_path, pretended, files):
    assert ended(tmp_path, **files) == 0
    (suite,) = ElementTree.parse(files["junit"]).getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        "small",
        "2",
        "0",
        "0",
    )
    assert [case.get("name") for case in suite.iter("testcase")] == ["run", "summary.win equals True"]
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["seed"] == "5"
    assert properties["run_folder"].startswith(str(tmp_path / "runs" / "small"))
    assert "### ✅ PASS small, seed 5" in files["summary"].read_text()


def test_a_summary_is_appended_and_a_junit_file_replaced(tmp_path, pretended, files):
    ended(tmp_path, **files)
    pretended.ends = {1: 1}
    assert ended(tmp_path, **files) == 1
    assert files["summary"].read_text().count("###") == 2
    (suite,) = ElementTree.parse(files["junit"]).getroot()
    assert suite.get("failures") == "1"


def test_a_run_that_is_cut_short_leaves_no_results_of_an_earlier_one(tmp_path, pretended, files):
    ended(tmp_path, **files)

    def interrupt(number):
        raise KeyboardInterrupt

    pretended.before_end = interrupt
    path = tmp_path / "small.toml"
    with pytest.raises(KeyboardInterrupt):
        run(str(path), runs=tmp_path / "runs", **files)
    assert files["junit"].read_bytes() == b""
    assert files["summary"].read_text().count("###") == 1


def test_a_refused_scenario_is_told_in_the_files(tmp_path, pretended, files):
    with pytest.raises(ScenarioError):
        ended(tmp_path, overrides=["seed=none"], **files)
    (suite,) = ElementTree.parse(files["junit"]).getroot()
    assert suite.get("errors") == "1"
    assert suite.find("testcase/error").get("type") == "exit 65"
    assert "exit 65" in files["summary"].read_text()


def test_a_file_that_cannot_be_written_is_told_before_the_run(tmp_path, pretended):
    with pytest.raises(UsageError, match=r"--junit .*none"):
        ended(tmp_path, junit=tmp_path / "none" / "out.xml")
    assert pretended.played == []


def test_repeated_runs_have_a_table_and_the_worst_exit_code(tmp_path, pretended, files, capsys):
    pretended.ends = {1: 1, 2: EmulationError("the supervisor was killed")}
    assert ended(tmp_path, repeat=4, **files) == 70
    assert [seed for _, seed in pretended.played] == [5, 6, 7, 8]
    out = capsys.readouterr().out
    assert "2 of 4 runs passed" in out
    line = next(line for line in out.splitlines() if line.startswith("rounds"))
    assert line.split() == ["rounds", "3", "7.33", "±", "3.8", "6.00", "9.00"]  # t(0.975, 2) = 4.303, times 0.882
    suites = list(ElementTree.parse(files["junit"]).getroot())
    assert [(suite.get("failures"), suite.get("errors")) for suite in suites] == [
        ("0", "0"),
        ("1", "0"),
        ("0", "1"),
        ("0", "0"),
    ]
    text = files["summary"].read_text()
    assert "## small: 2 of 4 runs passed" in text
    assert "| rounds | 3 | 7.33 | ± 3.8 | 6.00 | 9.00 |" in text
    (folder,) = (tmp_path / "runs" / "small").glob("sweep-*")
    assert load_sweep(folder).complete


def test_a_prompt_is_a_key_of_the_scenario(tmp_path, pretended):
    with pytest.raises(ScenarioError, match="prompt"):  # which this one has not
        ended(tmp_path, prompt='The "atmosphere" of Mars')


def test_repeated_runs_as_json(tmp_path, pretended, capsys):
    assert ended(tmp_path, repeat=2, json=True, overrides=["seed=11"]) == 0
    assert [row["seed"] for row in json.loads(capsys.readouterr().out)["rows"]] == [11, 12]


def test_repeated_runs_are_spread_as_one_is(tmp_path, pretended):
    assert ended(tmp_path, repeat=2, cluster="ray://head:10001") == 0
    assert pretended.spread == [(None, "ray://head:10001")] * 2
    with pytest.raises(UsageError, match="--hosts 3: "):
        ended(tmp_path, repeat=2, hosts=3, cluster="head:6379")


def test_repeated_runs_have_no_screen(tmp_path, pretended):
    with pytest.raises(UsageError, match="--repeat"):
        ended(tmp_path, repeat=2, tui=True)


def test_a_run_that_is_interrupted_before_it_begins_says_so_and_leaves_no_folder(tmp_path, monkeypatch, capsys):
    def launch(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("emulator.client.launch", launch)
    scenario = SimpleNamespace(name="small")
    with pytest.raises(KeyboardInterrupt):
        playing.play(scenario, tmp_path, SimpleNamespace())
    assert capsys.readouterr().err == "interrupted before the run began\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink() or path.name == "logs"]
