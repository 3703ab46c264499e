"""The machine without a kernel: names, and what is decided before anything is built."""

from __future__ import annotations

import pytest

from emulator.model.errors import EXIT_USAGE, UsageError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.runtime.control.channel import Channel
from emulator.runtime.data_plane import FULL_IPV6, ROUTE_BATCH, DataPlane, with_routed_ipv6
from emulator.runtime.planning import PLANNER_BATCH
from emulator.schedule.fib import RouteDelta
from emulator.schedule.planner import parts


def network():
    nodes = (
        NodeSpec("gs-tokyo", "ground station", True, "10.0.0.1"),
        NodeSpec("sat-0101", "satellite", False, "10.0.0.2"),
    )
    end = EndSpec(schedule=PiecewiseSchedule.constant(rate_bps=1e9))
    return Network(nodes, (LinkSpec("gs-tokyo:up", 0, 1, "up", "down", end, end),))


def test_unknown_and_transit_nodes_are_the_users_mistake():
    data_plane = DataPlane(network(), 1, 10.0)
    with pytest.raises(UsageError, match="did you mean 'gs-tokyo'") as caught:
        data_plane.netns("gs-tokio")
    assert caught.value.exit_code == EXIT_USAGE
    with pytest.raises(UsageError, match="sat-0101 is a transit node"):
        data_plane.netns("sat-0101")


@pytest.mark.parametrize(("satellites", "addressed"), [(FULL_IPV6 - 1, FULL_IPV6), (FULL_IPV6, 1)])
def test_many_live_satellites_have_no_routed_ipv6(satellites, addressed):
    nodes = [
        NodeSpec(f"sat-{n}", "satellite", True, f"10.0.0.{n}", f"fd00::{n}", shared_downlink=True)
        for n in range(satellites)
    ]
    nodes.append(NodeSpec("gs-tokyo", "ground station", True, "10.1.0.1", "fd00::1:1"))
    routed = with_routed_ipv6(Network(tuple(nodes), ()))
    assert sum(bool(node.ipv6) for node in routed.nodes) == addressed
    assert routed.nodes[-1].ipv6
    assert all(node.ipv4 for node in routed.nodes)


def test_routes_are_switched_in_turns_late_ones_first():
    count = ROUTE_BATCH + 1
    nodes = tuple(NodeSpec(f"n{number}", "host", True, f"10.0.0.{number}") for number in range(count))
    ring = tuple(LinkSpec(f"n{number}:r", number, (number + 1) % count, "r", "l") for number in range(count))
    data_plane = DataPlane(Network(nodes, ring), 1, 10.0)
    applied = []

    class Kernel:
        def apply_routes(self, deltas):
            applied.append([(delta.node, delta.add[0][2]) for delta in deltas])
            return []

    data_plane.fabric = Kernel()
    for step, end in ((1, 7), (2, 8), (3, 9)):
        deltas = [RouteDelta(node, [(0, 0, end)]) for node in range(len(nodes) if step == 1 else 1)]
        for part in parts(deltas):
            data_plane._routes[step] += part
    assert list(data_plane.switch_routes(2)) == [ROUTE_BATCH, 1, 1]
    assert [batch[0] for batch in applied] == [(0, 7), (ROUTE_BATCH, 7), (0, 8)]
    assert list(data_plane.switch_routes(2)) == []
    assert list(data_plane.switch_routes(3)) == [1]


def test_the_planner_gets_a_few_messages_a_turn():
    data_plane = DataPlane(network(), 1, 10.0)
    data_plane.planner_channel, theirs = Channel.pair()
    for step in range(PLANNER_BATCH + 1):
        theirs.send({"op": "row", "step": step, "late_s": 0.0, "digest": "0"})
    assert data_plane.hear_planner()
    assert data_plane._rows == PLANNER_BATCH
    assert data_plane.hear_planner()
    assert data_plane._rows == PLANNER_BATCH + 1
    theirs.close()
    assert not data_plane.hear_planner()
    data_plane.planner_channel.close()
