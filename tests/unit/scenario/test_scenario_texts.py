"""Commands with placeholders: refused with line and key where they do not fill, on load or against the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.model.errors import Problem, ScenarioError
from emulator.scenario import load
from emulator.scenario.build import build_network

FILE = """topology = "topologies.wan"
[wan]
hosts = 2
[[program]]
name = "one"
nodes = "v*"
command = ["serve", "{x}"]
environment = { PEERS = "{y}" }
"""


def problems(tmp_path: Path, x: str, y: str = "") -> dict[str, Problem]:
    """The problems of a program with two texts, by key."""
    file = tmp_path / "lab.toml"
    file.write_text(FILE.replace("{x}", x).replace("{y}", y))
    with pytest.raises(ScenarioError) as caught:
        build_network(load(file))
    return {problem.key: problem for problem in caught.value.problems}


def test_what_is_no_placeholder_is_refused_on_load(tmp_path: Path) -> None:
    found = problems(tmp_path, "{nod}", "{peers}")
    assert set(found) == {"program.one.command.1", "program.one.environment.PEERS"}
    assert found["program.one.command.1"].where.endswith("lab.toml:7")
    assert found["program.one.environment.PEERS"].where.endswith("lab.toml:8")
    assert found["program.one.command.1"].expected.startswith("{node}")


def test_names_are_checked_against_the_network(tmp_path: Path) -> None:
    found = problems(tmp_path, "{address:v7}", "{nodes:w*}")
    assert "no node 'v7'" in found["program.one.command.1"].found
    assert "matches nothing" in found["program.one.environment.PEERS"].found


def test_a_command_of_one_text_is_split_as_a_shell_does(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(
        FILE.replace('["serve", "{x}"]', "\"serve --name '{node} x' {nodes:*|{node}=1}\"").replace("{y}", "")
    )
    assert load(file).programs[0].command == ("serve", "--name", "{node} x", "{nodes:*|{node}=1}")
    file.write_text(FILE.replace('["serve", "{x}"]', '"serve \'x"').replace("{y}", ""))
    with pytest.raises(ScenarioError, match="no closing quotation"):
        load(file)
