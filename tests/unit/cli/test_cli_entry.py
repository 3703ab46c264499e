"""The command line's door: quick to answer, one exit code for each kind of error."""

from __future__ import annotations

import subprocess
import sys

import pytest
from skyloom_command import skyloom

from emulator.cli import COMMANDS, HIDDEN


def test_help_names_every_command() -> None:
    done = skyloom("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert (f" {command} " in done.stdout) != (command in HIDDEN)


def test_help_loads_nothing_heavy() -> None:
    """Start-up time as a property that a noisy machine cannot change: what is imported."""
    probe = (
        "import sys; sys.argv = ['skyloom', '--help']\n"
        "from emulator.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pydantic', 'polars', 'mininet', 'sgp4', 'uvloop'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_while_modules_are_imported_is_quiet() -> None:
    probe = (
        "import sys; sys.argv = ['skyloom', 'list']\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from emulator.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str) -> None:
    done = skyloom(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_unknown_scenario_is_a_usage_error() -> None:
    done = skyloom("run", "no-such-scenario")
    assert done.returncode == 64, done.stderr
    assert "no-such-scenario" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_option_is_a_usage_error() -> None:
    done = skyloom("run", "leo", "--no-such-option")
    assert done.returncode == 64
