"""`skyloom algo`: plug-ins that work, that have subcommands, that are broken."""

from importlib.metadata import EntryPoint
from typing import Annotated

import pytest
import typer

from emulator.cli import algo
from emulator.model.errors import PlatformError, UsageError


def decide(file: str, steps: Annotated[int, typer.Option()] = 3) -> None:
    """Whether flooding terminates.

    More of it.
    """
    print(f"decide {file} {steps}")


def widest(file: str) -> None:
    """Largest T."""
    print(f"widest {file}")
    raise typer.Exit(7)


SEVERAL = {"decide": decide, "widest": widest}
SINGLE = {"": widest}
NOT_A_DICT = 3
MIXED = {"": widest, "decide": decide}


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    names = {"several": "SEVERAL", "single": "SINGLE", "gone": "NO_SUCH", "odd": "NOT_A_DICT", "mixed": "MIXED"}
    points = {name: EntryPoint(name, f"{__name__}:{value}", algo.GROUP) for name, value in names.items()}
    monkeypatch.setattr(algo, "plugins", lambda: points)


def ask(*words):
    """Exit code of `skyloom algo WORDS`."""
    with pytest.raises(typer.Exit) as ended:
        algo.algo(words[0], list(words[1:]))
    return ended.value.exit_code


def test_subcommand(capsys):
    assert ask("several", "decide", "x.json", "--steps", "5") == 0
    assert capsys.readouterr().out == "decide x.json 5\n"


def test_single_command_and_its_exit_code(capsys):
    assert ask("single", "x.json") == 7
    assert capsys.readouterr().out == "widest x.json\n"


def test_help_of_a_plugin(capsys):
    assert ask("several", "--help") == 0
    out = capsys.readouterr().out
    assert "Usage: skyloom algo several" in out
    assert "Whether flooding terminates." in out


def test_listing_has_every_command_and_says_what_is_broken(capsys):
    algo.algo(None, None)
    lines = capsys.readouterr().out.splitlines()
    assert "several decide  Whether flooding terminates." in lines
    assert "single          Largest T." in lines
    assert sum("broken: " in line for line in lines) == 3


@pytest.mark.parametrize(
    ("name", "said"), [("gone", "cannot be loaded"), ("odd", "expected a dict"), ("mixed", "alone")]
)
def test_broken_plugins_are_a_clear_error(name, said):
    with pytest.raises(PlatformError, match=said):
        algo.algo(name, [])


def test_unknown_algorithm():
    with pytest.raises(UsageError, match="expected one of: several, single"):
        algo.algo("nothing", [])


def test_wrong_options_are_usage_errors():
    with pytest.raises(typer.BadParameter.mro()[2]):
        algo.algo("several", ["decide"])
    with pytest.raises(typer.BadParameter.mro()[2]):
        algo.algo("several", ["nothing"])
