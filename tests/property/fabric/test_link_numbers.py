"""Links are numbered by node as Mininet lists them: what topologies of ours number so is what a Topo of them is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mininet.topo import Topo

from emulator.fabric.mininet.convert import TopoBuilder
from emulator.model.builder import NetworkBuilder
from emulator.model.network import BuildOptions

NAMES = st.lists(st.from_regex(r"[a-c][0-9]{1,2}", fullmatch=True), min_size=2, max_size=8, unique=True)


@given(NAMES, st.data())
def test_numbers_by_node_are_those_of_mininet(names: list[str], data: st.DataObject) -> None:
    node = st.integers(0, len(names) - 1)
    pairs = data.draw(st.lists(st.tuples(node, node).filter(lambda pair: pair[0] != pair[1]), max_size=20))
    builder, topo = NetworkBuilder(BuildOptions()), Topo()
    for name in names:
        builder.add_node(name, "router", live=True, forwards=True)
        topo.addHost(name, role="router", live=True)
    for a, b in pairs:
        builder.add_link(a, b)
        topo.addLink(names[a], names[b])
    builder.number_links_by_node()
    ours, theirs = builder.network(), TopoBuilder(topo, BuildOptions()).network()
    assert ours.nodes == theirs.nodes
    assert [(link.name, link.a, link.b, link.b_port) for link in ours.links] == [
        (link.name, link.a, link.b, link.b_port) for link in theirs.links
    ]
