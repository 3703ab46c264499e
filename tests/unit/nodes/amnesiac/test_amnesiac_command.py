"""`skyloom algo rdaf decide` and `generate`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from skyloom_command import skyloom
from typer.testing import CliRunner

from emulator.model.errors import DataError, SkyloomError, UsageError
from nodes.amnesiac.adversary import from_json
from nodes.amnesiac.command import commands

APP = typer.Typer()
for _name, _function in commands.items():
    APP.command(_name)(_function)


def said(*arguments: str | Path) -> str:
    result = CliRunner().invoke(APP, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str | Path) -> SkyloomError:
    with pytest.raises(SkyloomError) as caught:
        CliRunner().invoke(APP, [str(argument) for argument in arguments], catch_exceptions=False)
    return caught.value


def test_decide_by_names() -> None:
    assert said("decide", "--graph", "petersen") == "terminates at round 5, 30 messages\n"
    endless = "never terminates: cycle of length 6 from round 2\n"
    assert said("decide", "-g", "cycle:6", "-a", "late") == endless
    assert said("decide", "-g", "cycle:6", "-a", "late", "--brent") == endless
    assert said("decide", "-g", "cycle:6", "--sources", "0,1") == "terminates at round 3, 12 messages\n"
    assert said("decide", "-g", "cycle:3", "-a", "program:collatz=27", "--limit", "9").startswith(
        "undecided after 9 rounds"
    )


def test_trace_marks_the_late_the_lost_and_the_cycle() -> None:
    assert said("decide", "-g", "cycle:3", "-a", "guard", "--trace").splitlines() == [
        "     1  0>1 0>2",
        "     2* 1>2 2>1+1",
        "     3* 2>0",
        "     4* 0>1+1 1>0",
        "     5* 0>2",
        "never terminates: cycle of length 4 from round 1",
    ]
    assert "0>1(lost)" in said("decide", "-g", "cycle:6", "-a", "loss", "--trace")


def test_json() -> None:
    document = json.loads(said("decide", "-g", "cycle:4", "-a", "late", "--json", "--trace"))
    assert document["terminates"] is False
    assert (document["first_seen"], document["cycle"], document["messages_per_cycle"]) == (2, 4, 8)
    assert document["sends"]["1"] == [[0, 1], [0, 3]]
    assert len(document["trace"]) == 16
    assert json.loads(said("decide", "-g", "cycle:4", "--json"))["terminates"] is True


def test_generate_makes_what_decide_reads(tmp_path: Path) -> None:
    file = tmp_path / "endless.json"
    file.write_text(said("generate", "endless", "--graph", "petersen", "--sources", "3"))
    assert from_json(file.read_text()).sources == (3,)
    assert said("decide", file) == said("decide", "-g", "petersen", "-a", "endless", "--sources", "3")
    guard = json.loads(said("generate", "guard", "-g", "cycle:3"))
    file.write_text(json.dumps({**guard, "graph": "cycle:3"}))
    assert said("decide", file) == "never terminates: cycle of length 4 from round 1\n"
    del guard["graph"]
    file.write_text(json.dumps(guard))
    assert said("decide", file, "--graph", "cycle:3") == "never terminates: cycle of length 4 from round 1\n"


def test_what_cannot_be_decided(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    guard = json.loads(said("generate", "guard", "-g", "cycle:3"))
    cases = {
        "period is 0": {**guard, "period": 0},
        "events[0].delay is -1": {**guard, "events": [{"round": 1, "edge": [0, 1], "delay": -1}]},
        "graph is missing": {key: value for key, value in guard.items() if key != "graph"},
        "sources[0] is 9": {**guard, "sources": [9]},
        "nonsense": {**guard, "graph": "nonsense"},
    }
    for found, document in cases.items():
        file.write_text(json.dumps(document))
        error = refused("decide", file)
        assert isinstance(error, DataError)
        assert str(error).startswith(str(file))
        assert found in str(error)
        assert "; expected " in str(error)
    assert "No such file" in str(refused("decide", tmp_path / "none.json"))
    assert isinstance(refused("decide"), UsageError)
    assert isinstance(refused("decide", file, "-a", "late"), UsageError)
    assert isinstance(refused("decide", "-g", "cycle:3", "--sources", "a"), UsageError)
    assert isinstance(refused("decide", "-g", "cycle:3", "-a", "late:delay=x"), DataError)
    assert isinstance(refused("generate", "late"), UsageError)


def test_as_a_plug_in(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text("{}")
    decide = "algo", "rdaf", "decide"
    done = skyloom(*decide, "--graph", "cycle:3")
    assert (done.returncode, done.stdout) == (0, "terminates at round 3, 6 messages\n")
    done = skyloom(*decide, file)
    assert done.returncode == 65
    assert "format is None; expected 'skyloom-adversary/1'" in done.stderr
    assert "Traceback" not in done.stderr
