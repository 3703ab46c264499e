"""`skyloom verify`: its plug-ins, and that the exit code is theirs."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from emulator.cli import verify
from emulator.model.errors import UsageError

SHIPPED = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]["entry-points"]


def holds(word: str) -> int:
    """Holds where the word is yes."""
    return 0 if word == "yes" else 1


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("word", f"{__name__}:holds", verify.GROUP),
        EntryPoint("broken", f"{__name__}:absent", verify.GROUP),
    ]
    monkeypatch.setattr(verify, "plugins", lambda: {point.name: point for point in points})


@pytest.mark.parametrize("name", SHIPPED[verify.GROUP])
def test_what_is_shipped_is_a_function_with_words(name: str) -> None:
    function = EntryPoint(name, SHIPPED[verify.GROUP][name], verify.GROUP).load()
    assert callable(function)
    assert function.__doc__


@pytest.mark.usefixtures("installed")
def test_all_are_listed_and_broken_ones_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    verify.verify()
    said = capsys.readouterr().out
    assert "Holds where the word is yes." in said
    assert "broken: verification broken" in said


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("word", "code"), [("yes", 0), ("no", 1)])
def test_the_exit_code_is_that_of_the_verification(word: str, code: int) -> None:
    with pytest.raises(typer.Exit) as ended:
        verify.verify("word", [word])
    assert ended.value.exit_code == code


@pytest.mark.usefixtures("installed")
def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(UsageError, match="no such verification; expected one of: word, broken"):
        verify.verify("nothing")
