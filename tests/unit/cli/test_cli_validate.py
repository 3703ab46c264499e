"""`skyloom validate`: its plug-ins, those that are amiss, and that the exit code is theirs."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
import typer

from emulator.cli import validate
from emulator.model.errors import PlatformError, UsageError

SEEN: list[float] = []


def passing(limit: float = 1.0) -> int:
    """Holds nothing against nothing.

    More words."""
    SEEN.append(limit)
    return 0


def past() -> None:
    """Is always past its tolerances."""
    raise typer.Exit(1)


NOTHING = 5


@pytest.fixture
def installed(monkeypatch):
    here = __name__
    points = [
        EntryPoint("good", f"{here}:passing", validate.GROUP),
        EntryPoint("bad", f"{here}:past", validate.GROUP),
        EntryPoint("broken", f"{here}:absent", validate.GROUP),
        EntryPoint("number", f"{here}:NOTHING", validate.GROUP),
    ]
    monkeypatch.setattr(validate, "plugins", lambda: {point.name: point for point in points})


def test_the_access_model_s_validation_is_installed():
    assert validate.plugins()["leo-access"].value == "scenarios.leo_access.validate:leo_access"


@pytest.mark.usefixtures("installed")
def test_all_are_listed_and_broken_ones_say_so(capsys):
    validate.validate()
    said = capsys.readouterr().out
    assert "Holds nothing against nothing." in said
    assert "More words" not in said
    assert "broken: validation broken" in said
    assert "is no function; expected one with typer's options" in said


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "words", "code"), [("good", ["--limit", "2.5"], 0), ("bad", None, 1)])
def test_the_exit_code_is_that_of_the_validation(name, words, code):
    with pytest.raises(typer.Exit) as ended:
        validate.validate(name, words)
    assert ended.value.exit_code == code
    if words:
        assert SEEN[-1] == 2.5


@pytest.mark.usefixtures("installed")
def test_what_is_not_there_is_told_with_what_is():
    with pytest.raises(UsageError, match="no such validation; expected one of: good, bad, broken, number"):
        validate.validate("nothing")
    with pytest.raises(PlatformError, match="cannot be loaded: AttributeError"):
        validate.validate("broken")
