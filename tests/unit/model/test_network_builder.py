"""The builder of networks: numbers by order of addition, and what it refuses, by the name of the node or the link."""

from __future__ import annotations

import subprocess
import sys
from math import inf
from types import SimpleNamespace

import pytest

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import DataError
from emulator.model.network import BuildOptions, Effects, EndSpec, PiecewiseSchedule

END = EndSpec(schedule=PiecewiseSchedule.constant(0.01))


def builder(*names: str, **options) -> NetworkBuilder:
    made = NetworkBuilder(BuildOptions(**options))
    for name in names:
        made.add_node(name, live=True)
    return made


def test_numbers_are_the_order_of_addition() -> None:
    made = builder("c", "a", "b")
    assert made.add_node("d", "router", forwards=True) == 3
    assert [made.add_link(3, node, END) for node in (2, 0)] == [0, 1]
    network = made.network()
    assert [node.name for node in network.nodes] == ["c", "a", "b", "d"]
    assert [(link.name, link.a, link.b, link.b_port) for link in network.links] == [
        ("d:eth0", 3, 2, "eth0"), ("d:eth1", 3, 0, "eth0"),
    ]  # fmt: skip
    assert network.live == made.live == [0, 1, 2]


def test_addresses_come_by_number_unless_they_are_given() -> None:
    made = builder("a")
    made.add_node("b", ipv4="10.3.12.1")
    made.add_node("c", ipv4="10.3.12.2", ipv6="fd00:0::7")
    made.add_node("d", ipv4="", bridge=True)
    made.add_node("e", ipv4="10.3.12.3", ipv6="")
    assert [(node.ipv4, node.ipv6) for node in made.network().nodes] == [
        ("10.128.0.1", "fd53:6b79::a80:1"), ("10.3.12.1", "fd53:6b79::a03:c01"), ("10.3.12.2", "fd00::7"), ("", ""),
        ("10.3.12.3", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("materialise", "live"), [("ends", [0]), ("all", [0, 1, 2]), (("r2", "x"), [0, 2])])
def test_what_the_scenario_materialises_is_live(materialise, live) -> None:
    made = builder("a", materialise=materialise)
    for name in ("r1", "r2"):
        made.add_node(name, "router", forwards=True)
    assert made.network().live == live


def test_one_end_serves_both_directions_unless_there_are_two() -> None:
    made = builder("a", "b")
    made.add_link(0, 1, END)
    made.add_link(0, 1, END, EndSpec(Effects(queue_bytes=9.0), PiecewiseSchedule.constant(0.02)))
    both, two = made.network().links
    assert both.forward is both.backward is END
    assert two.backward.effects.queue_bytes == 9.0


def test_without_a_timeline_every_end_has_knots() -> None:
    made = builder("a", "b")
    made.add_link(0, 1, EndSpec(Effects(queue_s=0.5)))
    link = made.network().links[0]
    assert link.forward.effects.queue_s == 0.5
    assert [float(end.schedule.rate_bps[0]) for end in (link.forward, link.backward)] == [inf, inf]
    made.timeline = SimpleNamespace(step_s=1.0)
    assert made.network().links[0].forward.schedule is None, "the timeline says what it does"


def test_moving_links_arrive_by_one_port() -> None:
    made = builder("gs-a", "gs-b")
    satellite = made.add_node("sat", "satellite", forwards=True, shared_downlink=True)
    for station in (0, 1):
        made.add_link(station, satellite, END, a_port="up", moving=True)
    assert [link.b_port for link in made.network().links] == ["gsl", "gsl"]
    made.add_link(0, satellite, END, b_port="gsl")
    with pytest.raises(
        DataError, match=r"node sat: two interfaces are named 'gsl' \(its downlink and link gs-a:eth1\)"
    ):
        made.network()


def test_the_order_of_mininet_can_be_asked_for() -> None:
    made = builder("n0", "n10", "n2")
    for a, b in ((2, 1), (0, 2), (1, 2), (0, 1)):
        made.add_link(a, b, END)
    made.number_links_by_node()
    assert [(link.a, link.b, link.name) for link in made.network().links] == [
        (2, 1, "n2:eth0"), (1, 2, "n10:eth1"), (0, 2, "n0:eth0"), (0, 1, "n0:eth1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a", {}, "node a: two nodes have this name"),
        ("b 1", {}, "node 'b 1': a name is letters"),
        ("", {}, "a name is letters"),
        ("b", {"ipv4": "10.0.0.1/8"}, "node b: .*address without prefix"),
        ("b", {"ipv4": "10.0.0.1", "ipv6": "fd00::g"}, "node b: "),
    ],
)
def test_nodes_that_cannot_be_are_named(name, options, words) -> None:
    with pytest.raises(DataError, match=words):
        builder("a").add_node(name, **options)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"b": 0}, "link a - a: a link needs two nodes"),
        ({"a_port": "an-interface-of-17"}, "node a: interface name 'an-interface-of-17' .* 15 characters"),
        ({"b_port": "x/y"}, "node b: interface name 'x/y' cannot be used"),
        ({"b_port": "ééééééééé"}, "node b: interface name"),
        ({"a_port": "lo"}, "node a: interface name 'lo'"),
    ],
)
def test_links_that_cannot_be_are_named(link, words) -> None:
    with pytest.raises(DataError, match=words):
        builder("a", "b").add_link(**{"a": 0, "b": 1, "forward": END, **link})


def test_an_address_and_an_interface_belong_to_one() -> None:
    made = builder("a", "b")
    with pytest.raises(DataError, match=r"node c: address 10\.128\.0\.1 is also that of a"):
        made.add_node("c", ipv4="10.128.0.1", ipv6="")
    made.add_link(0, 1, END, a_port="up", b_port="down")
    with pytest.raises(DataError, match=r"node b: two interfaces are named 'down' \(link a:over and link a:up\)"):
        made.add_link(0, 1, END, a_port="over", b_port="down")
    switch = made.add_node("s1", "switch", live=True, ipv4="", bridge=True)
    with pytest.raises(DataError, match=r"node s1: two interfaces are named 's1' \(link a:eth2 and its bridge\)"):
        made.add_link(0, switch, END, b_port="s1")


def test_frames_need_a_namespace_at_both_ends() -> None:
    made = builder()
    for name, live in (("a", True), ("b", True), ("transit", False)):
        made.add_node(name, live=live)
    made.add_link(0, 1, END, ethernet=True)
    assert made.network().links[0].ethernet
    made.add_link(1, 2, END, ethernet=True)
    with pytest.raises(DataError, match=r"link b:eth1 is Ethernet, and transit is a transit node.*materialise"):
        made.network()


def test_moving_ethernet_links_may_reach_any_satellite() -> None:
    made = builder()
    made.add_node("gs", live=True)
    made.add_node("sat-1", live=True, shared_downlink=True)
    made.add_node("sat-2", shared_downlink=True)
    made.add_link(0, 1, END, moving=True, ethernet=True)
    with pytest.raises(DataError, match="link gs:eth0 is Ethernet, and sat-2 is a transit node"):
        made.network()
    made.add_link(0, 1, END, moving=True)
    with pytest.raises(DataError, match="some of the moving links are Ethernet; expected all of them or none"):
        made.network()


def test_moving_links_name_one_port() -> None:
    made = builder("gs-a", "gs-b", "sat")
    for station in (0, 1):
        made.add_link(station, 2, END, b_port=f"down{station}", moving=True)
    with pytest.raises(DataError, match="moving links name their far port down0, down1; expected one name"):
        made.network()


def test_topologies_of_ours_do_without_mininet() -> None:
    words = (
        "import sys\n"
        "from emulator.scenario import bundled, load\n"
        "from emulator.scenario.build import build\n"
        "for entry in bundled():\n"
        "    build(load(entry.name))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'mininet']\n"
    )
    subprocess.run([sys.executable, "-c", words], check=True)
