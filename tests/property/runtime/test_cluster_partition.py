"""Partitions of small random networks over hosts, against all partitions that there are."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import Unfit
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.runtime.cluster.adjacency import adjacency
from emulator.runtime.cluster.demand import Traffic, demand
from emulator.runtime.cluster.partition import EVEN, partition
from emulator.runtime.cluster.units import HEAVIEST, Rules, units_of

delays_s = st.sampled_from([0.0, 0.0005, 0.001, 0.02, 0.05])


@st.composite
def cases(draw, most_nodes=9):
    """A network of fixed links with knots, what its nodes cost, and what passes over its links."""
    nodes = draw(st.integers(2, most_nodes))
    links = []
    for number in range(draw(st.integers(0, 14))):
        a, b = draw(st.lists(st.integers(0, nodes - 1), min_size=2, max_size=2, unique=True))
        knots = PiecewiseSchedule(
            np.array([0.0, 5.0]), np.array([draw(delays_s), draw(delays_s)]),
            np.ones(2), np.zeros(2), np.ones(2, np.bool_),
        )  # fmt: skip
        end = EndSpec(schedule=knots)
        links.append(LinkSpec(f"l{number}", a, b, f"p{number}", f"p{number}", end, end))
    network = Network(tuple(NodeSpec(f"n{node}", "host", True) for node in range(nodes)), tuple(links))
    cores = np.array(draw(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]), min_size=nodes, max_size=nodes)))
    ends = np.arange(2 * len(links), dtype=np.int32)
    packets = np.array(draw(st.lists(st.sampled_from([0.0, 10.0, 1e4]), min_size=len(ends), max_size=len(ends))))
    pairs = [(link.a, link.b) for link in links]
    tail = np.array([node for pair in pairs for node in pair], np.int32)
    head = np.array([node for pair in pairs for node in pair[::-1]], np.int32)
    return network, demand(network, Traffic(ends, tail, head, packets), cores), adjacency(network, [])


def short(network):
    return [
        (link.a, link.b) for link in network.links
        if min(link.forward.schedule.delay_s) < 0.001
    ]  # fmt: skip


@given(cases(), st.integers(2, 4), st.data())
def test_what_must_not_be_cut_is_whole(case, hosts, data):
    network, asked, near = case
    node = st.integers(0, len(network.nodes) - 1)
    group = st.lists(node, min_size=2, max_size=3, unique=True).map(tuple)
    rules = Rules(
        together=tuple(data.draw(st.lists(group, max_size=2))), apart=tuple(data.draw(st.lists(group, max_size=2)))
    )
    try:
        made = partition(network, hosts, asked, near, rules)
    except Unfit:
        return
    again = partition(network, hosts, asked, near, rules)
    assert made.owner.tolist() == again.owner.tolist()
    assert made.owner.dtype == np.uint8
    assert len(made.owner) == len(network.nodes)
    assert sorted(set(made.owner.tolist())) == list(range(hosts)), "every host has a node"
    assert list(dict.fromkeys(made.owner.tolist())) == list(range(hosts)), "hosts are numbered by their first nodes"
    for a, b in short(network):
        assert made.owner[a] == made.owner[b]
    for group in rules.together:
        assert len(set(made.owner[list(group)])) == 1
    for group in rules.apart:
        assert len(set(made.owner[list(group)])) == len(group)


@given(cases(), st.integers(2, 3))
def test_the_load_is_near_the_best_that_there_is(case, hosts):
    network, asked, near = case
    try:
        units = units_of(network, hosts, asked, near, Rules())
    except Unfit:
        return
    made = partition(network, hosts, asked, near)
    load = np.bincount(made.owner, asked.cpu, hosts)
    best = min(
        np.bincount(owner, units.cpu, hosts).max() for owner in product(range(hosts), repeat=len(units.cpu))
    )  # fmt: skip
    assert load.max() <= max(EVEN * load.mean(), (2 - 2 / (hosts + 1)) * best) * (1 + 1e-9)


@given(cases(), st.lists(st.integers(1, 4), min_size=2, max_size=3))
def test_hosts_have_load_as_they_have_cores_or_no_unit_fits_elsewhere_with_less(case, cores):
    network, asked, near = case
    try:
        units = units_of(network, len(cores), asked, near, Rules(), max(cores) / sum(cores))
        made = partition(network, len(cores), asked, near, cores=cores)
    except Unfit:
        return
    share = asked.cpu.sum() * np.array(cores) / sum(cores)
    fullness = np.bincount(made.owner, asked.cpu, len(cores)) / share
    assert sorted(set(made.owner.tolist())) == list(range(len(cores)))
    full = int(fullness.argmax())
    there = set(units.unit[made.owner == full].tolist())
    if fullness[full] > EVEN * (1 + 1e-9) and len(there) > 1:  # a host keeps its last unit
        for unit in there:
            moved = fullness + units.cpu[unit] / share
            assert all(moved[host] >= fullness[full] * (1 - 1e-6) for host in range(len(cores)) if host != full)


@given(cases(), st.integers(2, 4), st.data())
def test_it_refuses_only_what_cannot_be(case, hosts, data):
    """Too few units, a unit of more than 1.5 shares, or names that no partition keeps apart."""
    network, asked, near = case
    node = st.integers(0, len(network.nodes) - 1)
    apart = tuple(data.draw(st.lists(st.lists(node, min_size=2, max_size=4, unique=True).map(tuple), max_size=3)))
    try:
        partition(network, hosts, asked, near, Rules(apart=apart))
        refused = False
    except Unfit:
        refused = True
    unit = list(range(len(network.nodes)))
    for _ in unit:
        for a, b in short(network):
            unit[a] = unit[b] = min(unit[a], unit[b])
    cpu = np.bincount(unit, asked.cpu)
    names = sorted(set(unit))
    fits = len(names) >= hosts and cpu.max() <= HEAVIEST * cpu.sum() / hosts
    pairs = {(unit[a], unit[b]) for group in apart for a, b in combinations(group, 2)}
    separable = fits and any(
        all(owner[names.index(a)] != owner[names.index(b)] for a, b in pairs)
        for owner in product(range(hosts), repeat=len(names))
    )
    assert refused == (not separable)


@pytest.mark.parametrize("hosts", [0, 65])
def test_there_are_hosts_and_no_more_than_packet_engines_know(hosts):
    network = Network((NodeSpec("a", "host", True),), ())
    none = np.empty(0, np.int32)
    with pytest.raises(Unfit, match="1 to 64"):
        partition(
            network, hosts, demand(network, Traffic(none, none, none, np.empty(0)), np.zeros(1)), adjacency(network, [])
        )


def test_many_names_are_kept_apart_without_end_of_the_stack():
    nodes = 3000
    network = Network(tuple(NodeSpec(f"n{node}", "host", True) for node in range(nodes)), ())
    none = np.empty(0, np.int32)
    asked = demand(network, Traffic(none, none, none, np.empty(0)), np.ones(nodes))
    pairs = tuple((node, node + 1) for node in range(0, nodes, 2))
    made = partition(network, 2, asked, adjacency(network, []), Rules(apart=pairs))
    assert all(made.owner[a] != made.owner[b] for a, b in pairs)
