"""The fabric as the kernel holds it: interfaces, addresses, routes as they change, bridges, counters."""

import json
import os
import resource
import subprocess
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest
from fabric_sandbox import Wire, in_sandbox, needs_sandbox

from emulator.fabric.build import Fabric
from emulator.fabric.kernel import netlink, syscalls
from emulator.model.errors import EmulationError, PlatformError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.schedule.fib import SHARED_PORT, UNREACHABLE, FibCompiler, RouteDelta

pytestmark = [pytest.mark.netns, needs_sandbox]
END = EndSpec(schedule=PiecewiseSchedule.constant(0.001, 1e9))


def node(name, role, last, live=True):
    flags = {"forwards": True, "shared_downlink": role == "satellite"}
    return NodeSpec(name, role, live, f"10.1.0.{last}", f"fd53:6b79::{last:x}", **flags)


def link(nodes, a, b, a_port, b_port, **options):
    return LinkSpec(f"{nodes[a].name}:{a_port}", a, b, a_port, b_port, END, END, **options)


def chain():
    """gs-a - sat-1 - sat-2 - gs-b, all live."""
    nodes = (
        node("gs-a", "ground station", 1),
        node("sat-1", "satellite", 2),
        node("sat-2", "satellite", 3),
        node("gs-b", "ground station", 4),
    )
    links = (
        link(nodes, 0, 1, "up", "eth0"),
        link(nodes, 1, 2, "eth1", "eth0"),
        link(nodes, 2, 3, "eth1", "up"),
    )
    return Network(nodes, links)


def chain_routes():
    """For each destination, the end on which each node sends."""
    return np.array([[-1, 1, 3, 5], [0, -1, 3, 5], [0, 2, -1, 5], [0, 2, 4, -1]], np.int32)


def shown(fabric, number, *command):
    with syscalls.inside(fabric.netns(number)):
        return json.loads(subprocess.check_output(["ip", "-json", *command]))


def ping(fabric, number, address, *options):
    with syscalls.inside(fabric.netns(number)):
        return subprocess.run(
            ["ping", "-n", "-c", "1", "-W", "5", *options, address], capture_output=True, text=True, timeout=30
        )


def test_ports_addresses_and_settings():
    def body():
        fabric = Fabric(chain())
        steps = []
        ports = fabric.build(lambda done, total: steps.append((done, total)))
        assert [(port.node, port.end, port.name, port.ethernet) for port in ports] == [
            (0, 0, "up", False), (1, 1, "eth0", False), (1, 2, "eth1", False), (2, 3, "eth0", False),
            (2, 4, "eth1", False), (3, 5, "up", False),
        ]  # fmt: skip
        assert steps[-1] == (4, 4)
        links = {entry["ifname"]: entry for entry in shown(fabric, 1, "-d", "addr")}
        assert {"lo", "eth0", "eth1"} <= set(links)
        loopback = [(entry["local"], entry["prefixlen"]) for entry in links["lo"]["addr_info"]]
        assert {("10.1.0.2", 32), ("fd53:6b79::2", 128)} <= set(loopback)
        eth0 = links["eth0"]
        assert not eth0["addr_info"], "an unnumbered link has no address, not even of the kernel's making"
        assert "UP" in eth0["flags"]
        assert eth0["linkinfo"]["info_kind"] == "tun"
        assert eth0["linkinfo"]["info_data"]["persist"]
        assert eth0["linkinfo"]["info_data"]["vnet_hdr"]
        assert eth0["txqlen"] == 5000
        assert eth0["qdisc"] == "noqueue"
        assert eth0["gso_max_size"] == 65536, (
            "every port merges TCP segments; the engine cuts them where a link asks for it"
        )
        settings = []
        for number in (0, 1):
            with syscalls.inside(fabric.netns(number)):
                names = ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/rp_filter")
                settings.append([Path(f"/proc/sys/net/{name}").read_text().strip() for name in names])
        assert settings == [["0", "0", "0"], ["1", "1", "0"]]
        assert [route["dev"] for route in shown(fabric, 0, "route", "show", "default")] == ["up"]
        assert [route["dev"] for route in shown(fabric, 0, "-6", "route", "show", "default")] == ["up"]
        fabric.close()

    in_sandbox(body)


def test_packets_cross_satellites_that_live_and_the_counters_count_them():
    def body():
        network = chain()
        fabric = Fabric(network)
        wire = Wire(fabric.build())
        for version in (4, 6):
            assert fabric.apply_routes(FibCompiler(network, version).update(chain_routes())) == []
        for address in ("10.1.0.4", "fd53:6b79::4"):
            answer = ping(fabric, 0, address)
            assert " 0% packet loss" in answer.stdout, answer.stdout + answer.stderr
        expired = ping(fabric, 0, "10.1.0.4", "-t", "1").stdout
        assert "From 10.1.0.2" in expired, "the first satellite answers with its own address"
        counters = fabric.counters()
        assert set(counters) == {"gs-a:up", "sat-1:eth0", "sat-1:eth1", "sat-2:eth0", "sat-2:eth1", "gs-b:up"}
        assert counters["gs-a:up"].tx_packets >= 3
        assert counters["gs-b:up"].rx_packets >= 2
        assert counters["gs-a:up"].tx_dropped == 0
        wire.stop()
        fabric.close()

    in_sandbox(body)


def test_a_full_port_drops_and_says_so():
    def body():
        import socket

        fabric = Fabric(chain())
        fabric.build()
        with syscalls.inside(fabric.netns(0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(5500):
                sender.sendto(b"x", ("10.1.0.4", 9))
        counters = fabric.counters()["gs-a:up"]
        assert counters.tx_dropped >= 400
        fabric.close()

    in_sandbox(body)


def test_routes_follow_their_deltas():
    def body():
        fabric = Fabric(chain())
        fabric.build()

        def routes():
            table = shown(fabric, 1, "route", "show") + shown(fabric, 1, "-6", "route", "show", "table", "main")
            return {(route["dst"], route.get("type", "unicast"), route.get("dev", "")) for route in table}

        four = int(ip_address("10.1.0.4"))
        wide = int(ip_address("10.1.0.0"))
        six = int(ip_address("fd53:6b79::4"))
        before = routes()
        assert fabric.apply_routes([RouteDelta(1, [(four, 32, 2), (wide, 24, 1)])]) == []
        assert routes() - before == {("10.1.0.4", "unicast", "eth1"), ("10.1.0.0/24", "unicast", "eth0")}
        assert fabric.apply_routes([RouteDelta(1, [(four, 32, 1)], [(wide, 24)])]) == []
        assert routes() - before == {("10.1.0.4", "unicast", "eth0")}
        assert fabric.apply_routes([RouteDelta(1, [(four, 32, UNREACHABLE)])]) == []
        assert routes() - before == {("10.1.0.4", "unreachable", "")}
        assert fabric.apply_routes([RouteDelta(1, [(four, 32, 2)])]) == []
        assert routes() - before == {("10.1.0.4", "unicast", "eth1")}
        assert fabric.apply_routes([RouteDelta(1, [(six, 128, UNREACHABLE)], version=6)]) == []
        assert fabric.apply_routes([RouteDelta(1, [(six, 128, 1)], version=6)]) == []
        assert ("fd53:6b79::4", "unicast", "eth0") in routes()
        assert fabric.apply_routes([RouteDelta(1, [(0, 0, 1)]), RouteDelta(1, [(0, 0, 2)], version=6)]) == []
        assert {("default", "unicast", "eth0"), ("default", "unicast", "eth1")} <= routes()
        gone = [RouteDelta(1, [], [(four, 32), (0, 0)]), RouteDelta(1, [], [(six, 128), (0, 0)], version=6)]
        assert fabric.apply_routes(gone) == []
        assert routes() == before
        assert fabric.apply_routes(gone) == [], "what is gone already is no error"
        with syscalls.inside(fabric.netns(1)):
            subprocess.check_call(["ip", "link", "set", "eth0", "down"])
        (refused,) = fabric.apply_routes([RouteDelta(1, [(four, 32, 1)])])
        assert refused.startswith("sat-1: route 10.1.0.4/32 by device 100: ")
        fabric.close()

    in_sandbox(body)


def test_a_live_satellite_has_one_downlink_for_all_stations():
    def body():
        nodes = (node("sat-1", "satellite", 1), node("sat-2", "satellite", 2, live=False),
                 node("gs-a", "ground station", 3), node("gs-b", "ground station", 4))  # fmt: skip
        links = (
            link(nodes, 0, 1, "isl0", "isl1"),
            link(nodes, 2, 0, "up", "down", moving=True),
            link(nodes, 3, 1, "up", "down", moving=True),
        )
        fabric = Fabric(Network(nodes, links))
        ports = fabric.build()
        assert [(port.node, port.end, port.name) for port in ports] == [
            (0, 0, "isl0"), (0, SHARED_PORT, "down"), (2, 2, "up"), (3, 4, "up"),
        ]  # fmt: skip
        # Both the downlink's own number and that of the moving link's far end name it.
        both = [(int(ip_address("10.1.0.3")), 32, SHARED_PORT), (int(ip_address("10.1.0.4")), 32, 5)]
        assert fabric.apply_routes([RouteDelta(0, both)]) == []
        assert [route["dev"] for route in shown(fabric, 0, "route")] == ["down", "down"]
        with pytest.raises(EmulationError, match="transit node"):
            fabric.netns(1)
        fabric.close()

    in_sandbox(body)


def test_a_station_with_several_access_links_has_one_interface():
    def body():
        station = NodeSpec("gs-a", "ground station", True, "10.1.0.3", "fd53:6b79::3", shared_uplink=True)
        nodes = (node("sat-1", "satellite", 1, live=False), node("sat-2", "satellite", 2, live=False), station)
        links = tuple(
            LinkSpec(f"gs-a:up{number}", 2, number, "up", "down", END, END, moving=True) for number in range(2)
        )
        fabric = Fabric(Network(nodes, links))
        assert [(port.node, port.end, port.name) for port in fabric.build()] == [(2, SHARED_PORT, "up")]
        assert [(route["dst"], route["dev"]) for route in shown(fabric, 2, "route")] == [("default", "up")]
        fabric.close()

    in_sandbox(body)


def test_ethernet_between_routers_needs_no_address_resolution():
    def body():
        nodes = (node("r-a", "router", 1), node("r-b", "router", 2))
        network = Network(nodes, (link(nodes, 0, 1, "eth0", "eth0", ethernet=True),))
        fabric = Fabric(network)
        wire = Wire(fabric.build())
        assert shown(fabric, 0, "neigh")[0]["state"] == ["PERMANENT"]
        for address in ("10.1.0.2", "fd53:6b79::2"):
            assert " 0% packet loss" in ping(fabric, 0, address).stdout
        wire.stop()
        fabric.close()

    in_sandbox(body)


def test_routing_none_leaves_the_tables_to_a_daemon():
    def body():
        network = Network(chain().nodes, chain().links, routing="none")
        fabric = Fabric(network)
        fabric.build()
        assert shown(fabric, 0, "route") == []
        fabric.close()

    in_sandbox(body)


def test_too_few_descriptors_are_told_before_anything_is_built():
    def body():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        os.setuid(65534)  # without the right to raise it again
        with pytest.raises(PlatformError, match=r"the hard limit is 64; raise it"):
            Fabric(chain()).build()

    in_sandbox(body)


def test_a_refused_message_is_named():
    def body():
        route_socket = netlink.Socket()
        with pytest.raises(
            EmulationError, match=r"gs-a: the kernel refused address 10\.0\.0\.1 on device 77: .*No such"
        ):
            route_socket.send([netlink.set_link(1, up=True), netlink.add_address(77, "10.0.0.1", 32)], "gs-a")
        refused = route_socket.try_send([netlink.add_address(77, "10.0.0.1", 32)] * 3000)
        assert refused, "more failures than the socket can hold are still failures"

    in_sandbox(body)
