"""Topo to Network: what options mean, and that what cannot be done is refused by name."""

import math
from types import SimpleNamespace

import pytest
from mininet.link import TCLink
from mininet.node import CPULimitedHost, Host, Node, OVSBridge
from mininet.topo import LinearTopo, SingleSwitchTopo, Topo

from emulator.fabric import network_from
from emulator.fabric.mininet.convert import refuse_duplicates
from emulator.model.errors import DataError
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule


def built(build, timeline=None):
    class Described(Topo):
        pass

    Described.build = lambda self: build(self)
    topo = Described()
    if timeline:
        topo.timeline = timeline
    return topo


def two(**options):
    """h1 - h2 of plain Mininet, by a link with these options."""
    return built(lambda topo: topo.addLink(topo.addHost("h1"), topo.addHost("h2"), **options))


def test_a_single_switch_is_what_mininet_makes():
    network = network_from(SingleSwitchTopo(k=3))
    assert [(node.name, node.role, node.live, node.ipv4) for node in network.nodes] == [
        ("s1", "switch", True, ""), ("h1", "host", True, "10.0.0.1"), ("h2", "host", True, "10.0.0.2"),
        ("h3", "host", True, "10.0.0.3"),
    ]  # fmt: skip
    first = network.links[0]
    assert (first.name, first.a_port, first.b_port) == ("h1:h1-eth0", "h1-eth0", "s1-eth1")
    assert (first.a_address, first.b_address, first.ethernet) == ("10.0.0.1/8", "", True)
    assert network.timeline is None
    assert network.end_spec(0).schedule.rate_bps[0] == math.inf


def test_addresses_count_hosts_in_natural_order_as_mininet_does():
    topo = built(lambda topo: [topo.addHost(name) for name in ("h10", "h2", "h1")])
    assert {node.name: node.ipv4 for node in network_from(topo).nodes} == {
        "h1": "10.0.0.1", "h2": "10.0.0.2", "h10": "10.0.0.3",
    }  # fmt: skip


def test_parallel_links_are_kept_apart():
    def build(topo):
        a, b = topo.addHost("a"), topo.addHost("b")
        topo.addLink(a, b, delay="1ms")
        topo.addLink(a, b, delay="2ms")

    links = network_from(built(build)).links
    assert [(link.a_port, link.b_port) for link in links] == [("a-eth0", "b-eth0"), ("a-eth1", "b-eth1")]
    assert [link.forward.schedule.delay_s[0] for link in links] == [0.001, 0.002]


def test_shaping_options():
    network = network_from(two(bw=10, delay="5ms", jitter="1ms", loss=2.5, max_queue_size=50, cls=TCLink, use_htb=True))
    end = network.links[0].forward
    assert end.effects == Effects(queue_packets=50, jitter_s=0.001)
    assert end.schedule.rate_bps[0] == 10e6
    assert end.schedule.delay_s[0] == pytest.approx(0.004), "uniform over 5 ms ± 1 ms is 4 ms and 0 to 2 ms"
    assert end.schedule.loss[0] == pytest.approx(0.025)
    assert network.links[0].backward.effects == end.effects


def test_each_side_may_have_options_of_its_own():
    link = network_from(two(bw=10, params1={"bw": 1, "ip": "10.9.0.1/24"}, params2={"delay": "3 ms"})).links[0]
    assert [spec.schedule.rate_bps[0] for spec in (link.forward, link.backward)] == [1e6, 10e6]
    assert [spec.schedule.delay_s[0] for spec in (link.forward, link.backward)] == [0.0, 0.003]
    assert (link.a_address, link.b_address) == ("10.9.0.1/24", "10.0.0.2/8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bw": 0}, "bw is 0"),
        ({"bw": -1}, "bw is -1"),
        ({"bw": "fast"}, "bw is 'fast'"),
        ({"bw": math.nan}, "bw is nan"),
        ({"delay": 5}, "expected a time with its unit"),
        ({"delay": "5"}, "expected a time with its unit"),
        ({"delay": "5 parsec"}, "expected a time with its unit"),
        ({"delay": "-5ms"}, "0 or more"),
        ({"delay": "1ms", "jitter": "2ms"}, "more than the delay"),
        ({"loss": 101}, "loss is 101"),
        ({"max_queue_size": 0}, "max_queue_size is 0"),
        ({"max_queue_sise": 9}, "did you mean 'max_queue_size'"),
        ({"enable_red": True}, "option 'enable_red' is not supported"),
        ({"params1": {"colour": "red"}}, "params1: option 'colour'"),
        ({"params1": {"ip": "10.0.0"}}, "params1: ip"),
        ({"addr1": "not a mac"}, "mac 'not a mac'"),
        ({"intfName1": "an-interface-of-17"}, "15 characters"),
        ({"intfName1": "a/b"}, "cannot be used"),
        ({"intfName1": "lo"}, "cannot be used"),
        ({"forward": 3}, "expected an EndSpec"),
    ],
)
def test_bad_link_options_are_named(options, words):
    with pytest.raises(DataError) as caught:
        network_from(two(**options))
    assert words in str(caught.value)
    assert "h1" in str(caught.value) or "h2" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("h1", {"cores": 2}, "option 'cores' is not supported"),
        ("h1", {"cls": CPULimitedHost}, "CPULimitedHost is not supported"),
        ("h1", {"inNamespace": False}, "drop it"),
        ("h1", {"ip": "10.0.0.300"}, "node h1: ip"),
        ("h1", {"defaultRoute": "dev h1-eth0"}, "expected 'via'"),
        ("h 1", {}, "a name is letters"),
        ("", {}, "a name is letters"),
        ("h1:up", {}, "a name is letters"),
        ("gs", {"role": "host", "ip": "10.0.0.1"}, "did you mean 'ipv"),
        ("gs", {"role": "host", "ipv4": "10.0.0.1/8"}, "address without prefix"),
        ("gs", {"role": "host", "ipv6": "fd00::g"}, "node gs"),
    ],
)
def test_bad_node_options_are_named(name, options, words):
    with pytest.raises(DataError) as caught:
        network_from(built(lambda topo: topo.addHost(name, **options)))
    assert words in str(caught.value)


def test_known_classes_are_taken():
    class Router(Node):
        pass

    def build(topo):
        topo.addHost("h1", cls=Host)
        topo.addHost("r1", cls=Router)
        topo.addSwitch("s1", cls=OVSBridge, stp=True, dpid="1", failMode="standalone")

    nodes = network_from(built(build)).nodes
    assert [node.role for node in nodes] == ["host", "router", "switch"]
    assert [(node.forwards, node.bridge) for node in nodes] == [(False, False), (True, False), (True, True)]


def test_long_names_make_interfaces_too_long():
    with pytest.raises(DataError, match=r"a-very-long-name-eth0'.*15 characters.*intfName1"):
        network_from(built(lambda topo: topo.addLink(topo.addHost("a-very-long-name"), topo.addHost("h2"))))


def test_two_interfaces_of_one_name_are_refused():
    def build(topo):
        a, b, c = (topo.addHost(name, role="router") for name in "abc")
        topo.addLink(a, b, intfName1="eth7")
        topo.addLink(a, c, intfName1="eth7")

    with pytest.raises(DataError, match="node a: two interfaces are named 'eth7'"):
        network_from(built(build))


def test_a_link_to_itself_is_refused():
    with pytest.raises(DataError, match="a link needs two nodes"):
        network_from(built(lambda topo: topo.addLink(topo.addHost("a"), "a")))


def test_two_nodes_of_one_address_are_refused():
    def build(topo):
        topo.addHost("a", role="host", ipv4="10.1.1.1")
        topo.addHost("b", role="host", ipv4="10.1.1.1")

    with pytest.raises(DataError, match=r"node b: address 10\.1\.1\.1 is also that of a"):
        network_from(built(build))


def test_a_lost_number_means_two_nodes_of_one_name():
    def build(topo):
        topo.addHost("a", role="host", number=0)
        topo.addHost("b", role="host", number=1)
        topo.addHost("b", role="host", number=2)

    with pytest.raises(DataError, match="two nodes have one name"):
        network_from(built(build))


def test_duplicates_are_refused_while_topos_are_built():
    def build(topo):
        topo.addHost("a")
        topo.addHost("a")

    with refuse_duplicates(), pytest.raises(DataError, match="node a: two nodes have this name"):
        built(build)
    built(build)  # and Mininet is as it was


def orbital(materialise="ends"):
    def build(topo):
        topo.addHost("sat-1", number=0, role="satellite")
        topo.addHost("sat-2", number=1, role="satellite")
        topo.addHost("gs-a", number=2, role="ground station", ipv4="10.9.0.1", ipv6="fd00::1", position=(35.7, 139.7))
        end = EndSpec(Effects(queue_bytes=1e6))
        topo.addLink("gs-a", "sat-2", number=1, intfName1="up", forward=end, backward=end, moving=True)
        topo.addLink("sat-1", "sat-2", number=0, forward=end, backward=end)

    return network_from(built(build, SimpleNamespace(step_s=1.0)), materialise)


def test_skyloom_nodes_are_unnumbered_and_get_addresses():
    network = orbital()
    assert [(node.name, node.live, node.ipv4, node.ipv6) for node in network.nodes] == [
        ("sat-1", False, "10.128.0.1", "fd53:6b79::a80:1"), ("sat-2", False, "10.128.0.2", "fd53:6b79::a80:2"),
        ("gs-a", True, "10.9.0.1", "fd00::1"),
    ]  # fmt: skip
    isl, gsl = network.links
    assert (isl.name, isl.a_port, isl.b_port, isl.ethernet, isl.moving) == ("sat-1:eth0", "eth0", "eth1", False, False)
    assert (gsl.name, gsl.a, gsl.b_port, gsl.moving, gsl.a_address) == ("gs-a:up", 2, "gsl", True, "")
    assert isl.forward.schedule is None, "it follows the timeline"
    assert [(node.forwards, node.shared_downlink) for node in network.nodes] == [(True, True)] * 2 + [(False, False)]
    assert network.nodes[2].position == (35.7, 139.7)
    assert network.end_name(3) == "gs-a:up~down"


@pytest.mark.parametrize(("materialise", "live"), [("all", [0, 1, 2]), (("sat-2",), [1, 2]), (("s*1",), [0, 2])])
def test_materialise_adds_live_nodes(materialise, live):
    assert orbital(materialise).live == live


def test_moving_links_share_one_name_for_the_downlink():
    def build(topo):
        topo.addHost("sat-1", role="satellite")
        for name in "ab":
            topo.addLink(topo.addHost(name, role="host"), "sat-1", moving=True, intfName2="down-" + name)

    with pytest.raises(DataError, match="expected one name"):
        network_from(built(build))


def test_without_timeline_every_end_gets_knots():
    def build(topo):
        topo.addLink(topo.addHost("a", role="router"), topo.addHost("b", role="router"), delay="7ms")

    (link,) = network_from(built(build)).links
    assert link.forward.schedule.delay_s[0] == 0.007
    assert not link.ethernet


def test_knots_given_win_over_everything():
    knots = PiecewiseSchedule.constant(0.25)
    (link,) = network_from(two(forward=EndSpec(schedule=knots), bw=10)).links
    assert link.forward.schedule is knots
    assert link.backward.schedule.rate_bps[0] == 10e6


def test_gateways_and_hardware_addresses_go_along():
    def build(topo):
        topo.addHost("h1", defaultRoute="via 10.0.0.254", mac="00:00:00:00:00:11")
        topo.addLink("h1", topo.addHost("h2"), addr2="00:00:00:00:00:22")

    extra = network_from(built(build)).extra
    assert extra["default_routes"] == {"h1": "10.0.0.254"}
    assert extra["macs"] == {"h1:h1-eth0": "00:00:00:00:00:11", "h2:h2-eth0": "00:00:00:00:00:22"}


def test_a_linear_topo_links_its_switches():
    network = network_from(LinearTopo(k=4))
    assert sum(node.bridge for node in network.nodes) == 4
    assert len(network.links) == 7


def test_carrier_is_for_links_that_ask_for_it():
    topo = Topo()
    for name in ("a", "b"):
        topo.addHost(name, role="host")
    topo.addLink("a", "b", carrier=True)
    topo.addLink("a", "b")
    assert [link.carrier for link in network_from(topo).links] == [True, False]


def test_routing_by_neighbours_is_passed_on():
    assert network_from(Topo(), routing="neighbours").routing == "neighbours"
