"""`skyloom exec` reads its words: node, run and command, wherever `--run` stands."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from emulator.cli import _app


@pytest.mark.parametrize(
    "words",
    [
        ["--run", "a1", "v0", "--", "ls", "-l"],
        ["v0", "--run", "a1", "--", "ls", "-l"],
        ["--run", "a1", "v0", "ls", "-l"],
    ],
)
def test_the_run_may_stand_before_or_behind_the_node(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run_there(node: str, command: list[str], run: str | None) -> int:
        assert (node, command, run) == ("v0", ["ls", "-l"], "a1")
        return 7

    monkeypatch.setattr("emulator.client.exec.execute", run_there)
    assert CliRunner().invoke(_app("exec"), ["exec", *words]).exit_code == 7
