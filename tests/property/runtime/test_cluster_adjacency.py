"""Who is joined to whom, and what passes between them, against plain loops over rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.network import LinkSpec, Network, NodeSpec, ScheduleRow
from emulator.runtime.cluster.adjacency import adjacency
from emulator.runtime.cluster.demand import PAIR_PACKETS_PER_S, expected_traffic, mean_traffic
from emulator.schedule.routes import least_delay_ends, path

delays_s = st.floats(0.0, 0.1)


@st.composite
def moving_networks(draw):
    """Satellites in a line, stations with moving links, and rows in which these have any satellite or none."""
    satellites, stations = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    nodes = [NodeSpec(f"s{n}", "satellite", False, forwards=True, shared_downlink=True) for n in range(satellites)]
    nodes += [NodeSpec(f"g{n}", "ground station", True) for n in range(stations)]
    links = [LinkSpec(f"isl{n}", n, n + 1, "east", "west") for n in range(satellites - 1)]
    links += [LinkSpec(f"up{n}", satellites + n, 0, "up", "down", moving=True) for n in range(stations)]
    network = Network(tuple(nodes), tuple(links))
    rows = []
    for step in range(draw(st.integers(1, 4))):
        peer, up = [], []
        for link in links:
            far = draw(st.integers(-1, satellites - 1)) if link.moving else link.b
            peer += [far, link.a if far >= 0 else -1]
            up += [draw(st.booleans()) and far >= 0] * 2
        ends = len(peer)
        delay_s = np.array(draw(st.lists(delays_s, min_size=2 * ends, max_size=2 * ends))).reshape(2, ends)
        heads, usable = np.array(peer, np.int32), np.flatnonzero(up).astype(np.int32)
        closed = np.array([not node.forwards for node in nodes])
        tails = heads.reshape(-1, 2)[:, ::-1].reshape(-1)
        routes = least_delay_ends(
            tails[usable], heads[usable], delay_s[0][usable], usable, len(nodes), np.array(network.live), closed
        )
        rows.append(ScheduleRow(step, *delay_s, np.ones(ends), np.zeros(ends), np.array(up), heads, routes))
    return network, rows


@given(moving_networks(), st.data())
def test_the_shortest_delay_of_each_pair_that_is_ever_joined(case, data):
    network, rows = case
    set_s = data.draw(st.dictionaries(st.integers(0, 2 * len(network.links) - 1), delays_s, max_size=2))
    expected = {}
    for number, link in enumerate(network.links):
        if not link.moving:
            expected[number, link.b] = np.inf
    for row in rows:
        for end in range(2 * len(network.links)):
            number, far = end // 2, int(row.peer[end & ~1])
            if far >= 0:
                shortest = min(row.delay_start_s[end], row.delay_end_s[end]) if row.up[end] else np.inf
                shortest = min(shortest, set_s.get(2 * number, np.inf), set_s.get(2 * number + 1, np.inf))
                expected[number, far] = min(expected.get((number, far), np.inf), shortest)
    near = adjacency(network, rows, set_s)
    found = dict(zip(zip(near.link.tolist(), near.b.tolist(), strict=True), near.shortest_s.tolist(), strict=True))
    assert found == expected
    assert near.a.tolist() == [network.links[number].a for number in near.link]


@given(moving_networks())
def test_packets_follow_the_routes_of_all_pairs(case):
    network, rows = case
    expected = defaultdict(float)
    for row in rows:
        for place, goal in enumerate(network.live):
            for start in network.end_points:
                if start != goal:
                    for end in path(row.next_end, row.peer, place, goal, start):
                        key = (end, int(row.peer[end ^ 1]), int(row.peer[end]))
                        expected[key] += PAIR_PACKETS_PER_S / len(rows)
    traffic = expected_traffic(network, rows)
    keys = zip(traffic.end.tolist(), traffic.tail.tolist(), traffic.head.tolist(), strict=True)
    assert dict(zip(keys, traffic.packets_per_s.tolist(), strict=True)) == pytest.approx(expected)


def test_no_instants_give_no_traffic():
    assert [len(column) for column in mean_traffic(3, [])] == [0, 0, 0, 0]
