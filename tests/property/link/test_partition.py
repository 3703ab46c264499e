"""Lanes over random networks: quick links are never cut, loads are even, and planes stay together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.partition import NEAR_S, partition, shortest_s
from emulator.model.network import (
    EndSpec,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)

delays_s = st.sampled_from([0.0, 0.0005, 0.001, 0.02])


class Steps:
    step_s = 1.0
    rates = None

    def __init__(self, substep=None):
        self.substep = substep

    def rows(self, first, count):
        raise AssertionError("the parts are made of the rows that are given")


def row(network, delay_s, peer=None, substep=None):
    ends = 2 * len(network.links)
    if peer is None:
        peer = [node for link in network.links for node in (link.b, link.a)]
    one = np.ones(ends)
    delay_s = np.broadcast_to(np.asarray(delay_s, float), (ends,))
    return ScheduleRow(
        0, delay_s, delay_s, one, one * 0, one > 0, np.array(peer, np.int32),
        np.zeros((0, len(network.nodes)), np.int32), (), substep,
    )  # fmt: skip


@st.composite
def networks(draw):
    """Fixed links with knots of two instants and moving ones without, among up to 30 nodes."""
    satellites = draw(st.integers(2, 24))
    stations = draw(st.integers(0, 6))
    nodes = [NodeSpec(f"s{n}", "satellite", False) for n in range(satellites)]
    nodes += [NodeSpec(f"g{n}", "ground station", True) for n in range(stations)]
    links = []
    among = st.integers(0, len(nodes) - 1)
    for number in range(draw(st.integers(1, 40))):
        a, b = draw(among), draw(among)
        ends = [EndSpec(schedule=PiecewiseSchedule(*(np.array(column) for column in
                ([0.0, 5.0], [draw(delays_s), draw(delays_s)], [1e6, 1e6], [0.0, 0.0], [True, True]))))
                for _ in range(2)]  # fmt: skip
        if a != b:
            links.append(LinkSpec(f"l{number}", a, b, f"a{number}", f"b{number}", *ends))
    for number in range(stations):
        for antenna in range(draw(st.integers(1, 2))):
            far = draw(st.integers(0, satellites - 1))
            links.append(LinkSpec(f"m{number}", satellites + number, far, f"up{antenna}", "down", moving=True))
    return Network(tuple(nodes), tuple(links), Steps())


def groups_of(network):
    """What may not be separated, by plain search."""
    near = {node: {node} for node in range(len(network.nodes))}
    for link in network.links:
        if not link.moving and min(link.forward.schedule.delay_s.min(), link.backward.schedule.delay_s.min()) < NEAR_S:
            together = near[link.a] | near[link.b]
            for node in together:
                near[node] = together
    return near


def weights_of(network):
    weight = np.zeros(len(network.nodes))
    for link in network.links:
        weight[link.a] += 1
        weight[link.b] += not link.moving
    return weight


@given(networks(), st.integers(1, 8), st.booleans())
def test_what_is_near_stays_together_and_loads_are_even(network, lanes, rowed):
    rows = [row(network, 0.01)] if rowed else []
    found = partition(network, lanes, rows)
    assert found.dtype == np.int32
    assert found.shape == (len(network.nodes),)
    assert found.min() >= 0
    assert found.max() < lanes
    groups, weight = groups_of(network), weights_of(network)
    for node, group in groups.items():
        assert {int(found[other]) for other in group} == {int(found[node])}
    heaviest = max(weight[list(group)].sum() for group in groups.values())
    load = np.bincount(found, weight, lanes)
    assert load.max() <= weight.sum() / lanes + heaviest + 1e-9
    assert np.array_equal(partition(network, lanes, rows), found)


@given(networks(), st.integers(1, 8))
def test_satellites_go_in_blocks_of_their_order(network, lanes):
    """Groups without a station of a moving link, by their first node: their lanes never fall."""
    found = partition(network, lanes)
    stations = {link.a for link in network.links if link.moving}
    groups = groups_of(network)
    first = [node for node, group in groups.items() if node == min(group) and not group & stations]
    assert np.all(np.diff(found[first]) >= 0)


def ring_of_planes(planes, per_plane, stations=0):
    """A constellation: rings within planes, rings across, stations with a moving link each."""
    nodes = [NodeSpec(f"s{n}", "satellite", False) for n in range(planes * per_plane)]
    nodes += [NodeSpec(f"g{n}", "ground station", True) for n in range(stations)]
    links = []
    for plane in range(planes):
        for place in range(per_plane):
            here = plane * per_plane + place
            for other in (plane * per_plane + (place + 1) % per_plane, (plane + 1) % planes * per_plane + place):
                links.append(LinkSpec(f"i{len(links)}", here, other, "x", "y"))
    first = len(nodes) - stations
    links += [LinkSpec(f"g{n}:up", first + n, 0, "up", "down", moving=True) for n in range(stations)]
    return Network(tuple(nodes), tuple(links), Steps())


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_planes_are_not_divided(lanes):
    network = ring_of_planes(12, 10)
    by_plane = partition(network, lanes, [row(network, 0.01)]).reshape(12, 10)
    assert np.all(by_plane == by_plane[:, :1])
    assert np.bincount(by_plane[:, 0]).tolist() == [12 // lanes] * lanes


def test_a_station_is_with_its_satellite_where_that_lane_has_room():
    network = ring_of_planes(4, 10, stations=4)
    ends = 2 * len(network.links)
    peer = [node for link in network.links for node in (link.b, link.a)]
    peer[ends - 8 :: 2] = [0, 39, 5, -1]
    found = partition(network, 2, [row(network, 0.01, peer)])
    assert found[:40].tolist() == [0] * 20 + [1] * 20
    assert found[40:].tolist() == [0, 1, 0, 1]
    peer[ends - 8 :: 2] = [0, 1, 2, 3]  # all above the first half: it takes its share, and no more
    assert np.bincount(partition(network, 2, [row(network, 0.01, peer)])[40:]).tolist() == [2, 2]


def test_links_that_follow_rows_are_near_where_a_row_says_so():
    network = ring_of_planes(2, 4)
    far, near = row(network, 0.01), row(network, 0.0004)
    assert len(set(partition(network, 2, [far]).tolist())) == 2
    assert len(set(partition(network, 2, [far, near]).tolist())) == 1
    assert len(set(partition(network, 2).tolist())) == 2  # nothing is known of them


def test_finer_tables_count_and_moving_links_do_not():
    network = ring_of_planes(2, 4, stations=1)
    ends = np.array([0], np.int32)
    substep = SubstepTables(np.array([2], np.int32), np.array([[0.0, 1.0, 0.0]]), np.array([[0.02, 0.0005, 0.0]]),
                      np.ones((1, 3)), np.zeros((1, 3)), np.ones((1, 3), bool))  # fmt: skip
    network = replace(network, timeline=Steps(SubstepSpec(ends, 3)))
    assert shortest_s(network, [row(network, 0.01, substep=substep)])[:2].tolist() == [0.0005, 0.01]
    quick = np.full(2 * len(network.links), 0.01)
    quick[-2:] = 0.0001  # the station's
    assert len(set(partition(network, 2, [row(network, quick)]).tolist())) == 2


def test_there_must_be_a_lane():
    with pytest.raises(ValueError, match="1 lane or more"):
        partition(ring_of_planes(2, 2), 0)
