"""docs/adding-a-topology.md: its files make a network, and its table names the flags that nodes have."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from emulator.model.errors import ScenarioError
from emulator.model.network import NodeSpec
from emulator.scenario import load
from emulator.scenario.build import build_network
from emulator.schedule.routes import route_delay_s

PAGE = (Path(__file__).parents[3] / "docs" / "adding-a-topology.md").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", PAGE, re.S | re.M):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_files_of_the_page_make_a_network(folder: Path) -> None:
    network = build_network(load(folder / "dumbbell.toml"))
    assert [node.name for node in network.nodes if not node.live] == ["left", "right"]
    assert len(network.live) == 6
    assert network.nodes[network.live[4]].ipv4 == "10.128.0.7", "whom the program pings"
    row = next(iter(network.timeline.rows(0, 1)))
    assert route_delay_s(row, network.live)[0, 4] == pytest.approx(0.022)


def test_its_keys_are_checked(folder: Path) -> None:
    with pytest.raises(ScenarioError, match=r"dumbbell\.hosts"):
        load(folder / "dumbbell.toml", ["dumbbell.hosts=0"])


def test_the_page_tells_every_flag() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert told == {each.name for each in fields(NodeSpec) if each.type == "bool"}
