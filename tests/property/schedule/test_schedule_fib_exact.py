"""Compressed routing tables: the longest prefix always gives the row's next hop, also after any chain of deltas."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.schedule import fib
from emulator.schedule.fib import SHARED_PORT, UNREACHABLE, FibCompiler, lookup, shared_ports


@st.composite
def networks(draw: st.DrawFn) -> Network:
    count = draw(st.integers(1, 12))
    suffixes = draw(st.lists(st.integers(1, 300), min_size=count, max_size=count, unique=True))
    nodes = []
    for number, suffix in enumerate(suffixes):
        ipv4 = str(IPv4Address("10.0.0.0") + suffix) if draw(st.integers(0, 9)) else ""
        ipv6 = str(IPv6Address("fd00::") + suffix * 2**60)
        satellite = draw(st.booleans())
        live = draw(st.integers(0, 4)) > 0
        nodes.append(NodeSpec(f"n{number}", "node", live, ipv4, ipv6, forwards=satellite, shared_downlink=satellite))
    node = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(node, node, st.booleans()), max_size=30))
    links = tuple(LinkSpec(f"l{i}", a, b, "a", "b", moving=moving) for i, (a, b, moving) in enumerate(pairs))
    return Network(tuple(nodes), links)


@st.composite
def tables(draw: st.DrawFn, network: Network):
    """Any next hops, sensible or not: the compression must not care."""
    shared = [2 * i + 1 for i, link in enumerate(network.links) if link.moving]
    table = np.full((len(network.live), len(network.nodes)), -1, np.int32)
    for node in range(len(network.nodes)):
        own = [2 * i for i, link in enumerate(network.links) if link.a == node]
        own += [2 * i + 1 for i, link in enumerate(network.links) if link.b == node and not link.moving]
        choices = st.sampled_from([-1, *own, *shared])
        table[:, node] = draw(st.lists(choices, min_size=len(table), max_size=len(table)))
    table[np.arange(len(table)), network.live] = -1
    return table


@given(st.data(), networks(), st.sampled_from([4, 6]))
def test_prefixes_give_the_next_hop_of_every_destination(data, network, version):
    compiler = FibCompiler(network, version)
    bits = 32 if version == 4 else 128
    kernel: dict[int, dict[tuple[int, int], int]] = {node: {} for node in network.live}
    for _ in range(3):
        table = data.draw(tables(network))
        for change in compiler.update(table):
            assert change.version == version
            routes = kernel[change.node]
            for prefix in change.delete:
                del routes[prefix]  # what is deleted was there
            routes.update({(address, length): end for address, length, end in change.add})
        for node in network.live:
            routes = [(address, length, end) for (address, length), end in kernel[node].items()]
            assert len(routes) <= 2 * len(network.nodes)
            for index, destination in enumerate(network.live):
                text = network.nodes[destination].ipv4 if version == 4 else network.nodes[destination].ipv6
                if not text or destination == node:
                    continue
                end = int(table[index, node])
                moving_down = end >= 0 and end % 2 and network.links[end // 2].moving
                expected = UNREACHABLE if end < 0 else SHARED_PORT if moving_down else end
                address = int(IPv4Address(text)) if version == 4 else int(IPv6Address(text))
                assert lookup(routes, address, bits) == expected
            for other in network.nodes if shared_ports(network)[node] else ():
                text = other.ipv4 if version == 4 else other.ipv6
                if text and not other.live:
                    address = int(IPv4Address(text)) if version == 4 else int(IPv6Address(text))
                    assert lookup(routes, address, bits) == SHARED_PORT, "the engine knows the way to transit nodes"


@given(st.data(), networks())
def test_nothing_changes_when_the_routes_stay(data, network):
    compiler = FibCompiler(network)
    table = data.draw(tables(network))
    compiler.update(table)
    assert compiler.update(table) == []


@given(st.data(), networks())
def test_nodes_compiled_in_parts_have_the_same_changes(data, network):
    table = data.draw(tables(network))
    whole = FibCompiler(network).update(table)
    before, fib._AT_ONCE = fib._AT_ONCE, 2
    try:
        assert FibCompiler(network).update(table) == whole
    finally:
        fib._AT_ONCE = before
