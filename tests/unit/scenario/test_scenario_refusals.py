"""What a run refuses before anything is built: names that match nothing, and nodes that overwrite each other."""

from __future__ import annotations

import pytest

from emulator.model.errors import DataError, ScenarioError
from emulator.scenario import from_topo_file, load
from emulator.scenario.build import build_network

SCENARIO = """
name = "small"
topology = "small_topo.py"
duration = "10 s"
[[program]]
name = "late"
nodes = ["NODES"]
command = ["true"]
"""
TOPOLOGY = """
from mininet.topo import Topo
from pydantic import BaseModel

class Config(BaseModel):
    pass

def build(config, options):
    topo = Topo()
    topo.addHost("gs-tokyo", role="ground station", live=True)
    topo.addHost("sat-0101", role="satellite", live=options.is_live("sat-0101", False))
    topo.addLink("gs-tokyo", "sat-0101", intfName1="up", intfName2="down")
    return topo
"""


def small(folder, nodes, *overrides):
    (folder / "small_topo.py").write_text(TOPOLOGY)
    (folder / "small.toml").write_text(SCENARIO.replace("NODES", nodes))
    return load(folder / "small.toml", overrides)


def test_a_program_needs_a_live_node(tmp_path):
    assert len(build_network(small(tmp_path, "*")).live) == 1
    with pytest.raises(ScenarioError, match=r"small.toml:7.*\n.*'sat-\*', which matches nothing\n.*a live node"):
        build_network(small(tmp_path, "sat-*"))
    assert len(build_network(small(tmp_path, "sat-*", 'materialise="all"')).live) == 2


def test_nodes_of_one_name_are_refused(tmp_path):
    file = tmp_path / "twins_topo.py"
    file.write_text(
        "from mininet.topo import Topo\n"
        "class Twins(Topo):\n"
        "    def build(self):\n"
        "        self.addLink(self.addHost('h1'), self.addHost('h2'))\n"
        "        self.addHost('h1', ip='10.0.0.9')\n"
    )
    with pytest.raises(DataError, match="node h1: two nodes have this name"):
        build_network(from_topo_file(str(file)))
