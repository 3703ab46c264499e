"""docs/adding-a-protocol.md: its blocks are files that work. Checked here: all that needs no run."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.observe.panels import Panels
from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.record.lua import lua
from emulator.scenario import Scenario, build_topology, load
from emulator.scenario.toml.writer import scenario_toml
from emulator.sdk.protocol import load as load_object

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-protocol.md"


def blocks() -> dict[str, str]:
    """The files of the page, by name."""
    found = re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    return dict(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the page in a folder; its package can be imported."""
    folder = tmp_path_factory.mktemp("rumour")
    (folder / "rumour").mkdir()
    (folder / "rumour" / "__init__.py").touch()
    for name, text in blocks().items():
        (folder / name).write_text(text)
    before = list(sys.path)
    sys.path.append(str(folder))
    yield folder
    sys.path[:] = before
    for name in [name for name in sys.modules if name.partition(".")[0] == "rumour"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def scenario(folder: Path) -> Scenario:
    return load(str(folder / "rumour.toml"))


def test_the_page_lists_its_files() -> None:
    listed = re.search(r"```\n(rumour.toml .*?)```", PAGE.read_text(), re.S)
    assert listed is not None
    names = {line.split()[0] for line in listed[1].splitlines()}
    assert names == {*blocks(), "rumour/__init__.py"}


def test_the_rule_reaches_everybody(folder: Path) -> None:
    core = importlib.import_module("rumour.core")
    names = [f"n{number}" for number in range(12)]
    nodes = {
        name: core.Gossip([other for other in names if other != name], Random(name), 1.0, knows=name == "n0")
        for name in names
    }
    now_s = 0.0
    while any(node.hops is None for node in nodes.values()):
        now_s = min(node.next_deadline_s() for node in nodes.values())
        assert now_s < 100
        for node in nodes.values():
            node.tick(now_s)
        for name, hops in [tell for node in nodes.values() for tell in node.take()]:
            nodes[name].hear(hops)
    assert [name for name, node in nodes.items() if node.hops == 0] == ["n0"]
    assert 1 <= max(node.hops for node in nodes.values()) <= 11


def test_the_message(folder: Path) -> None:
    wire = importlib.import_module("rumour.wire")
    assert wire.encode(3) == b"RmrT\x03"
    for hops in (1, 255):
        assert wire.decode(wire.encode(hops)) == hops
    for hops in (0, 256):
        with pytest.raises(ValueError, match="expected 1 to 255"):
            wire.encode(hops)

    @given(st.one_of(st.binary(max_size=8), st.binary(max_size=3).map(lambda rest: b"RmrT" + rest)))
    def refused_or_true(data: bytes) -> None:
        try:
            hops = wire.decode(data)
        except ValueError:
            return
        assert wire.encode(hops) == data

    refused_or_true()


def test_the_scenario_is_sound(scenario: Scenario) -> None:
    network = build_topology(scenario).network()
    assert len(network.live) == 12
    assert scenario.programs[0].config_values["interval_s"] == pytest.approx(0.2)


def test_the_panel_shows_who_knows(scenario: Scenario) -> None:
    network = build_topology(scenario).network()
    panels = Panels.of(scenario, network)
    news = panels.event(1.0, "n3", "gossip", "heard", {"by": "n0", "hops": 1})
    panels.event(1.5, "n4", "gossip", "heard", {"by": "n3", "hops": 2})
    assert not news
    assert panels.event(6.0, "n0", "gossip", "told", {"count": 30, "refused": 0})  # quiet
    (view,) = panels.views(2.0)
    facts, chart, bars = view["widgets"]
    assert view["title"] == "Push gossip"
    assert facts == {
        "kind": "facts", "rows": [["know the rumour", "3 of 12"], ["last to hear", "n4, from n3 at 1.500 s"]],
    }  # fmt: skip
    assert chart["kind"] == "chart"
    assert [value for value in chart["series"][0]["values"] if value] == [2.0, 3.0]
    assert bars["kind"] == "bars"
    assert [words for _, _, words in bars["rows"]] == ["1"] * 3


def test_the_report_and_the_verdict(folder: Path, scenario: Scenario, tmp_path: Path) -> None:
    run_folder = RunFolder.create(tmp_path, "rumour")
    run_folder.write_scenario(scenario_toml(scenario))
    events, samples, links = EventLog(run_folder), SampleLog(run_folder), LinkLog(run_folder, ["n0:n1"])
    for number in range(1, 12):
        events.append(number / 10, f"n{number}", "gossip", "heard", {"by": "n0", "hops": 1})
    for spool in (events, samples, links):
        spool.finish()
    run = load_run(run_folder.path)
    assert load_object("rumour.analysis:summarise")(run) == {"informed": 12, "last_heard_s": 1.1}
    (drawing,) = load_object(load_object("rumour.protocol:PROTOCOL").figures)(run)
    assert drawing.caption == "12 nodes, the last after 1.10 s."


def test_wireshark_gets_its_message(folder: Path) -> None:
    protocol: Any = load_object("rumour.protocol:PROTOCOL")
    script = lua(load_object(protocol.dissectors)())
    assert "Push gossip" in script
    assert "how many have passed the rumour on" in script
