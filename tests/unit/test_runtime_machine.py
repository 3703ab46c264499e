"""The machine without a kernel: names, and what is decided before anything is built."""

from __future__ import annotations

import pytest

from emulator.errors import EXIT_USAGE, UsageError
from emulator.network import EndSpec, Knots, LinkSpec, Network, NodeSpec
from emulator.runtime.machine import Machine


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
