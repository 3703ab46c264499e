"""README.md: its scenario loads with its program and builds a network. Checked here: all that needs no run."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from emulator.scenario import load
from emulator.scenario.build import build_network

README = (Path(__file__).parents[3] / "README.md").read_text()


def test_the_scenario_and_the_program_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    blocks = dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", README, re.S | re.M))
    assert set(blocks) == {"two.toml", "hello.py", "etcd.toml"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    scenario = load(str(tmp_path / "two.toml"))
    network = build_network(scenario)
    assert {network.nodes[number].name for number in network.live} == {"gs-tokyo", "gs-paris"}
    assert [program.run for program in scenario.programs] == ["hello:Hello", "nodes.traffic.probe:Probe"]
    sys.modules.pop("hello", None)
    build_network(load(str(tmp_path / "etcd.toml")))


def test_lines_fit() -> None:
    assert max(map(len, README.splitlines())) <= 120
