"""Commands that programs bring to their nodes: executables that call the function that the program names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator.runtime.programs.commands import FOLDER, executables
from emulator.sdk.node import Node


def told(words: Sequence[str]) -> int:
    sys.stdout.write(f"told {list(words)}\n")
    return 7


class Brings(Node):
    commands = {"tell": f"{__name__}:told", "say": f"{__name__}:told"}  # noqa: RUF012 - as every program declares them


class AlsoBrings(Node):
    commands = {"tell": "nowhere:absent"}  # noqa: RUF012


class Plain(Node):
    """It brings none."""


def test_a_command_gets_its_name_and_words_and_gives_its_status_back(tmp_path: Path) -> None:
    found = executables([f"{__name__}:{kind.__name__}" for kind in (Plain, Brings, AlsoBrings)])
    assert [file.path for file in found] == [f"{FOLDER}/tell", f"{FOLDER}/say"]
    script = tmp_path / "tell"
    script.write_text(found[0].content)
    script.chmod(found[0].mode)
    ended = subprocess.run([script, "a b", "$c"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (7, "told ['tell', 'a b', '$c']\n"), ended.stderr


def test_programs_without_commands_have_no_executables() -> None:
    assert executables([f"{__name__}:Plain"]) == []
