"""`skyloom compare`: two runs side by side."""

import json

import pytest

from emulator.cli.compare import compare
from emulator.model.errors import DataError
from emulator.record.folder import RunFolder
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import conclude


@pytest.fixture
def runs(tmp_path):
    for number, (delay, summary) in enumerate(
        [
            ("10 ms", {"rounds": 4, "win": True, "zero": 0}),
            ("20 ms", {"rounds": 6, "win": True, "zero": 1, "more": "x"}),
        ]
    ):
        folder = RunFolder.create(tmp_path, "small", f"run{number}")
        folder.write_scenario(f'name = "small"\nseed = 1\n[[link]]\na = "a"\ndelay = "{delay}"\n')
        folder.write_verdict(conclude(Verdict("small", 1, summary=summary)).to_json())
    return [str(path) for path in sorted(tmp_path.glob("small/*run?"))]


def test_differences_and_ratios(runs, tmp_path, capsys):
    compare(*runs, runs=tmp_path)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["link.0.delay", "10", "ms", "20", "ms"] in lines
    assert ["rounds", "4", "6", "+2", "1.50"] in lines
    assert ["win", "true", "true", "-", "-"] in lines
    assert ["zero", "0", "1", "+1", "-"] in lines
    assert ["more", "-", "x", "-", "-"] in lines


def test_a_long_value_is_cut_but_in_json(runs, tmp_path, capsys):
    long = "a network of many words, " * 9
    with open(f"{runs[0]}/scenario.toml") as file:
        text = file.read()
    with open(f"{runs[0]}/scenario.toml", "w") as file:
        file.write(f'description = "{long}"\n{text}')
    compare(*runs, runs=tmp_path)
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if "description" in line]
    assert "a network of many words, " in shown
    assert len(shown) < 100
    compare(*runs, runs=tmp_path, json=True)
    assert json.loads(capsys.readouterr().out)["asked"]["description"] == [long, None]


def test_json_and_names(runs, tmp_path, capsys):
    compare(runs[0], "small", runs=tmp_path, json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["b"] == runs[1]
    assert document["figures"]["rounds"] == {"a": 4, "b": 6, "difference": 2, "ratio": 1.5}
    assert document["asked"] == {"link.0.delay": ["10 ms", "20 ms"]}


def test_parameters_stand_for_what_a_recipe_wrote(runs, tmp_path, capsys):
    for run, agents in zip(runs, (8, 16), strict=True):
        with open(f"{run}/scenario.toml", "a") as file:
            file.write(f"[parameters]\nagents = {agents}\n")
    compare(*runs, runs=tmp_path, json=True)
    assert json.loads(capsys.readouterr().out)["asked"] == {"agents": [8, 16]}


def test_a_run_without_a_verdict(runs, tmp_path):
    folder = RunFolder.create(tmp_path, "small", "going")
    (folder.path / "events.spool").touch()
    with pytest.raises(DataError, match="has no verdict"):
        compare(runs[0], str(folder.path), runs=tmp_path)


def test_drawings_of_both_runs(runs, tmp_path, capsys, monkeypatch):
    (tmp_path / "compared_here.py").write_text(
        "from emulator.report import drawing\n"
        "def compare_figures(two):\n"
        "    figure, axes = drawing.new()\n"
        "    axes.plot([run.verdict.summary['rounds'] for run in two])\n"
        "    return [drawing.Drawing('both', 'Both', '', figure)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for run in runs:
        path = f"{run}/scenario.toml"
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(f'analysis = "compared_here"\n{text}')
    compare(*runs, runs=tmp_path, figures=tmp_path / "out")
    assert (tmp_path / "out" / "both.svg").read_text().lstrip().startswith("<?xml")
    assert "compare.html" in capsys.readouterr().err
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<h3>Both</h3>" in page
    assert ">rounds</td>" in page


def test_a_scenario_that_draws_nothing_over_two_runs(runs, tmp_path):
    with pytest.raises(DataError, match="nothing that can be drawn"):
        compare(*runs, runs=tmp_path, figures=tmp_path / "out")
