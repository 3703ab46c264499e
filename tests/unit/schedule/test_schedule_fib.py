"""Routing tables of nodes: how far they compress, hubs, wrong addresses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.schedule.fib import SHARED_PORT, FibCompiler, Prefix, RouteDelta, apart, lookup, trie


def line(count: int, live=lambda number: True) -> Network:
    nodes = tuple(NodeSpec(f"n{i}", "host", live(i), f"10.0.0.{i + 1}") for i in range(count))
    return Network(nodes, tuple(LinkSpec(f"l{i}", i, i + 1, "r", "l") for i in range(count - 1)))


def line_routes(count: int) -> np.ndarray:
    goal, node = np.arange(count)[:, None], np.arange(count)
    return np.where(goal > node, 2 * node, np.where(goal < node, 2 * node - 1, -1)).astype(np.int32)


def test_one_way_out_is_one_route():
    changes = FibCompiler(line(8)).update(line_routes(8))
    assert changes[0] == RouteDelta(0, [(0x0A000000, 28, 0)], [])
    assert changes[7] == RouteDelta(7, [(0x0A000000, 28, 13)], [])
    assert max(len(change.add) for change in changes) <= 4


def test_an_end_of_the_line_that_fails_is_taken_back():
    compiler = FibCompiler(line(3))
    compiler.update(line_routes(3))
    cut = line_routes(3)
    cut[2, :2] = cut[:2, 2] = -1
    changes = {change.node: change for change in compiler.update(cut)}
    assert changes[2].delete == [(0x0A000000, 30)]
    assert changes[2].add == []


def test_a_hub_with_many_ports_has_a_route_for_each():
    leaves = 100
    nodes = tuple(NodeSpec(f"n{i}", "host", True, f"10.0.{i}.1") for i in range(leaves + 1))
    network = Network(nodes, tuple(LinkSpec(f"l{i}", 0, i + 1, "d", "u") for i in range(leaves)))
    table = np.full((leaves + 1, leaves + 1), -1, np.int32)
    table[1:, 0] = 2 * np.arange(leaves)
    table[:, 1:] = np.where(np.eye(leaves + 1, dtype=bool)[:, 1:], -1, 2 * np.arange(leaves) + 1)
    changes = FibCompiler(network).update(table)
    assert len(changes[0].add) == leaves
    assert all(len(change.add) == 1 for change in changes[1:])
    for leaf in range(leaves):
        assert lookup(changes[0].add, (10 << 24) + ((leaf + 1) << 8) + 1) == 2 * leaf


def test_only_live_nodes_have_tables():
    network = line(4, live=lambda number: number in (0, 3))
    changes = FibCompiler(network).update(line_routes(4)[[0, 3]])
    assert [change.node for change in changes] == [0, 3]


def test_no_live_nodes_and_no_links():
    assert FibCompiler(line(2, live=lambda number: False)).update(np.empty((0, 2), np.int32)) == []
    alone = Network((NodeSpec("a", "host", True, "10.0.0.1"),), ())
    assert FibCompiler(alone).update(np.full((1, 1), -1, np.int32)) == []


def test_the_trie_has_every_branch_once():
    built = trie([0b1000, 0b0001, 0b1001], 4)
    assert built.prefixes[3:] == [Prefix(0b1000, 3), Prefix(0, 0)]
    assert built.children == [(0, 2), (1, 3)]


def test_two_nodes_with_one_address_are_refused():
    nodes = tuple(NodeSpec(f"n{i}", "host", True, "10.0.0.1") for i in range(2))
    with pytest.raises(ValueError, match=r"two destinations have the address 10\.0\.0\.1"):
        FibCompiler(Network(nodes, ()))


def test_routes_to_neighbours_are_for_their_addresses_alone():
    network = replace(line(3), routing="neighbours")
    next_end = np.array([[-1, 1, -1], [0, -1, 3], [-1, 2, -1]], np.int32)
    changes = FibCompiler(network).update(next_end)
    assert [change.add for change in changes] == [
        [(0x0A000002, 32, 0)],
        [(0x0A000001, 32, 1), (0x0A000003, 32, 2)],
        [(0x0A000002, 32, 3)],
    ]


def test_transit_nodes_are_behind_few_prefixes():
    assert apart([0b1000, 0b1011], [0b0001, 0b0111, 0b1001, 0b1010], 4) == [
        Prefix(0b1010, 4), Prefix(0b1001, 4), Prefix(0b0000, 1),
    ]  # fmt: skip
    assert apart([5], [], 4) == []
    assert apart([], [5], 4) == [Prefix(5, 4)]


def test_a_live_satellite_sends_to_transit_nodes_by_its_shared_downlink():
    nodes = tuple(
        NodeSpec(f"n{i}", "node", i in (0, 1), f"10.{i}.0.1", f"fd00::{i + 1:x}", forwards=i > 0, shared_downlink=i > 0)
        for i in range(200)
    )
    links = [LinkSpec("gs:up", 0, 1, "up", "down", moving=True)]
    links += [LinkSpec(f"s{i}", i, i + 1, "isl0", "isl1") for i in range(1, 199)]
    network = Network(nodes, tuple(links))
    table = np.full((2, 200), -1, np.int32)
    table[0, 1], table[1, 0] = 1, 0
    changes = {change.node: change.add for change in FibCompiler(network).update(table)}
    assert {lookup(changes[1], (10 << 24) + (node << 16) + 1) for node in range(2, 200)} == {SHARED_PORT}
    assert len(changes[1]) < 10
    static = replace(network, routing="static")
    assert not [change for change in FibCompiler(static).update(table) if len(change.add) > 1]
