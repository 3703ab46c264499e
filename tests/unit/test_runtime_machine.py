"""The machine without a kernel: names, and what is decided before anything is built."""

from __future__ import annotations

import pytest

from emulator.errors import EXIT_USAGE, UsageError
from emulator.network import EndSpec, Knots, LinkSpec, Network, NodeSpec
from emulator.runtime.machine import FULL_IPV6, Machine, with_routed_ipv6
from emulator.scenario.models import Action


def network():
    nodes = (
        NodeSpec("gs-tokyo", "ground station", True, "10.0.0.1"),
        NodeSpec("sat-0101", "satellite", False, "10.0.0.2"),
    )
    end = EndSpec(knots=Knots.constant(rate_bps=1e9))
    return Network(nodes, (LinkSpec("gs-tokyo:up", 0, 1, "up", "down", end, end),))


def test_unknown_and_transit_nodes_are_the_users_mistake():
    machine = Machine(network(), 1, 10.0)
    with pytest.raises(UsageError, match="did you mean 'gs-tokyo'") as caught:
        machine.netns("gs-tokio")
    assert caught.value.exit_code == EXIT_USAGE
    with pytest.raises(UsageError, match="sat-0101 is a transit node"):
        machine.netns("sat-0101")


@pytest.mark.parametrize(
    ("actions", "merges"),
    [
        ([], True),
        ([{"at": "1 s", "do": "link-down", "links": ["*"]}], True),
        ([{"at": "1 s", "do": "set", "links": ["*"], "loss": "1 %"}], False),
    ],
)
def test_segments_stay_single_where_an_action_will_set_a_loss(monkeypatch, actions, merges):
    from emulator.fabric import build

    monkeypatch.setattr(build.Fabric, "build", lambda self, progress: [])
    machine = Machine(network(), 1, 10.0, [Action.model_validate(action) for action in actions])
    machine.build(lambda done, total: None)
    assert (machine.fabric.merge > 0) is merges


@pytest.mark.parametrize(("satellites", "addressed"), [(FULL_IPV6 - 1, FULL_IPV6), (FULL_IPV6, 1)])
def test_many_live_satellites_have_no_routed_ipv6(satellites, addressed):
    nodes = [NodeSpec(f"sat-{n}", "satellite", True, f"10.0.0.{n}", f"fd00::{n}") for n in range(satellites)]
    nodes.append(NodeSpec("gs-tokyo", "ground station", True, "10.1.0.1", "fd00::1:1"))
    routed = with_routed_ipv6(Network(tuple(nodes), ()))
    assert sum(bool(node.ipv6) for node in routed.nodes) == addressed
    assert routed.nodes[-1].ipv6
    assert all(node.ipv4 for node in routed.nodes)
