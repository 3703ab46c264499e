"""Faults of links: reasons kept apart, partitions that follow moving links, values given back."""

from __future__ import annotations

import pytest

from emulator.link.overrides import Faults
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule


def network(moving=False):
    """a - b - c in a line; with `moving` the first link hangs on whatever satellite is near."""
    nodes = tuple(NodeSpec(name, "host", True, f"10.0.0.{number}") for number, name in enumerate("abc", 1))
    end = EndSpec(schedule=PiecewiseSchedule.constant())
    links = (
        LinkSpec("a:up", 0, 1, "up", "eth0", end, end, moving=moving),
        LinkSpec("b:eth1", 1, 2, "eth1", "eth0", end, end),
    )
    return Network(nodes, links)


@pytest.fixture
def told():
    return []


@pytest.fixture
def faults(told):
    return Faults(network(), told.append)


def test_names_and_globs_of_ends(faults):
    assert faults.ends(("a:*",)) == [0]
    assert faults.ends(("*:eth*",)) == [1, 2, 3]
    assert faults.ends_of(("c",)) == [2, 3]


def test_switching_takes_both_directions(faults, told):
    faults.switch([0], up=False)
    faults.switch([1], up=True)
    assert told == [{"op": "set", "ends": [0, 1], "up": False}, {"op": "set", "ends": [0, 1], "up": None}]
    assert not faults.altered


def test_healing_leaves_what_was_switched_off(faults, told):
    faults.switch([0], up=False)
    faults.partition([["a"], ["b", "c"]])
    faults.partition(())
    assert told[-1] == {"op": "set", "ends": [0, 1], "up": False}
    faults.switch([0], up=True)
    assert told[-1]["up"] is None


def test_nodes_in_no_group_are_one_more_group(faults, told):
    faults.partition([["c"]])
    assert told == [{"op": "set", "ends": [2, 3], "up": False}]


def test_groups_that_are_none_change_nothing(faults, told):
    faults.partition([["a"]])
    with pytest.raises(TypeError):
        faults.partition([5])
    faults.moved()
    assert told == [{"op": "set", "ends": [0, 1], "up": False}]


def test_partition_follows_a_moving_link(told):
    far = {0: 1}
    faults = Faults(network(moving=True), told.append, lambda end: far[end])
    faults.partition([["a", "b"], ["c"]])
    assert told == [{"op": "set", "ends": [2, 3], "up": False}]
    far[0] = 2
    faults.moved()
    assert told[-1] == {"op": "set", "ends": [0, 1], "up": False}
    far[0] = -1  # out of coverage: nothing to cut
    faults.moved()
    assert told[-1] == {"op": "set", "ends": [0, 1], "up": None}


def test_values_are_set_and_given_back(faults, told):
    faults.set([2], {"rate_bps": 1e6, "loss": 0.1})
    faults.set([2], {"rate_bps": None})
    assert told == [
        {"op": "set", "ends": [2], "rate_bps": 1e6, "loss": 0.1},
        {"op": "set", "ends": [2], "rate_bps": None},
    ]
    assert faults.altered == {2}
    faults.set([2], {"loss": None})
    assert not faults.altered


def test_set_up_false_survives_link_up(faults, told):
    faults.set([0], {"up": False})
    faults.switch([0], up=False)
    faults.switch([0], up=True)
    assert told[-2:] == [{"op": "set", "ends": [0], "up": False}, {"op": "set", "ends": [1], "up": None}]


def test_hold_and_release(faults, told):
    faults.hold([3, 1, 3], held=True)
    faults.hold([1], held=False)
    assert told == [{"op": "hold", "ends": [1, 3]}, {"op": "release", "ends": [1]}]
    assert faults.altered == {3}
