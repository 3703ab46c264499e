"""Whole networks: the engine, with one lane or several, gives what the model gives; and equal results for any lanes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
from echo_model import echo_reply
from hypothesis import given, settings
from hypothesis import strategies as st
from link_ends import Timeline
from made_packets import UDP, make
from networks import HORIZON_S, STEP_S, Case, EngineNetwork, by_node, case, in_order, script
from oracle.network import NetworkModel
from scripts import Dice, Step, shortened

from emulator.link.engine.tables import _may_forward
from emulator.model.network import Ints, LinkSpec, Network, NodeSpec, ScheduleRow

EXAMPLES = int(os.environ.get("SKYLOOM_EXAMPLES", "40"))
NETWORKS = 4  # of each example
Story = dict[str, Any]


def model_story(made: Case, steps: Sequence[Step], until_s: float = HORIZON_S) -> Story:
    """What the model makes of a script, as `EngineNetwork.tell` tells it."""
    may_forward = [bool(may) for may in _may_forward(made.network)]
    model = NetworkModel(made.network, made.rows, made.seed, may_forward, echo_reply)
    came = []
    for step in (*steps, Step("due", until_s, (0, None))):
        number, what = step.what
        end = model.ends[number]
        if step.kind == "offer":
            end.offer([what])
            continue
        came += model.play(step.t_s)
        if step.kind == "set":
            end.set(step.t_s, **what)
        elif step.kind == "hold":
            end.hold(step.t_s, what)
    for end in model.ends:
        end.advance(until_s)
    log = [(n, t_s, int(cause), data) for n, end in enumerate(model.ends) for t_s, data, cause in end.log]
    arrivals = [(n, p.at_s, p.node, p.dest, p.hops, p.size, p.data) for n, p in came]
    return {"came": by_node(arrivals), "log": in_order(log), "counters": [end.stats() for end in model.ends]}


def engine_story(made: Case, steps: Sequence[Step], lanes: int, threads: bool, apart: Ints | None = None) -> Story:
    return EngineNetwork(made, lanes, threads, apart).tell(steps, HORIZON_S)


def difference(one: Story, other: Story) -> str:
    """The first thing in which two stories differ; "" where none does."""
    for name in one:
        for place, (first, second) in enumerate(zip(one[name], other[name], strict=False)):
            if first != second:
                return f"{name} {place}:\n  {first}\nand\n  {second}"
        if len(one[name]) != len(other[name]):
            return f"{name}: {len(one[name])} and {len(other[name])}"
    return ""


def complain(made: Case, steps: list[Step], compare: Callable[[list[Step]], str]) -> None:
    """Fail with a short script where `compare` finds a difference."""
    if compare(steps):
        steps = shortened(steps, lambda some: bool(compare(some)))
        told = "\n".join(str(step)[:300] for step in steps)
        raise AssertionError(f"{made}\n{told}\n{compare(steps)}")


def lanes_apart(dice: Dice, made: Case, lanes: int) -> Ints:
    """Any sharing out of nodes to lanes, of which links without delay may be cut too."""
    return np.array([dice.randrange(lanes) for _ in made.network.nodes], np.int32)


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**40))
def test_the_engine_does_what_the_model_of_a_network_does(number):
    for dice in (Dice(f"{number}/{place}") for place in range(NETWORKS)):
        made = case(dice)
        lanes = dice.choice([1, 1, 2, 3])
        apart = lanes_apart(dice, made, lanes) if lanes > 1 and dice.chance(0.5) else None
        threads = dice.chance(0.3)
        complain(
            made,
            script(dice, made),
            lambda steps, made=made, lanes=lanes, threads=threads, apart=apart: difference(
                model_story(made, steps), engine_story(made, steps, lanes, threads, apart)
            ),
        )


@settings(max_examples=max(1, EXAMPLES // 4))
@given(st.integers(0, 2**40))
def test_results_are_equal_for_any_number_of_lanes(number):
    dice = Dice(f"{number}/large")
    made = case(dice, nodes=40)
    apart = {lanes: lanes_apart(dice, made, lanes) for lanes in (2, 3)}

    def compare(steps: list[Step]) -> str:
        alone = engine_story(made, steps, 1, False)
        for lanes, threads, places in ((2, False, None), (3, True, apart[3]), (2, True, apart[2])):
            if found := difference(alone, engine_story(made, steps, lanes, threads, places)):
                return f"1 lane and {lanes}, threads {threads}, nodes in {places}: {found}"
        return ""

    complain(made, script(dice, made, steps=400), compare)


def test_packets_that_come_at_one_time_keep_their_order_where_no_delay_lies_between_lanes():
    """Two packets reach node 2 at one time, one of them by node 1 and a link without delay."""
    nodes = tuple(NodeSpec(f"n{n}", "router", n in (0, 3), f"10.0.0.{n + 1}", forwards=True) for n in range(4))
    pairs = ((0, 1), (1, 2), (0, 2), (2, 3))
    links = tuple(LinkSpec(f"n{a}:p{n}", a, b, f"p{n}", f"q{n}") for n, (a, b) in enumerate(pairs))
    delay_s = np.array([0.01, 0.01, 0.0, 0.0, 0.01, 0.01, 0.01, 0.01])
    ends, peer = np.ones(8), np.array([1, 0, 2, 1, 2, 0, 3, 2], np.int32)
    next_end = np.array([[-1, 1, 5, 7], [0, 2, 6, -1]], np.int32)
    rate_bps = np.array([inf, inf, inf, inf, inf, inf, 1e6, inf])
    row = ScheduleRow(0, delay_s, delay_s, rate_bps, ends * 0, ends > 0, peer, next_end)
    made = Case(Network(nodes, links, Timeline(STEP_S)), (row,), 1)
    steps = []
    for end in (4, 0):
        data = make(4, UDP, bytes([end]) * 100, src=bytes((10, 0, 0, 1)), dst=bytes((10, 0, 0, 4))).data
        steps.append(Step("offer", 0.0, (end, (0.0, data, len(data) - 10, -1, 0, -1))))

    def story(lanes: int, threads: bool, *apart: int) -> Story:
        return EngineNetwork(made, lanes, threads, np.array(apart, np.int32)).tell(steps, 0.1)

    alone = story(1, False, 0, 0, 0, 0)
    assert [packet[-1][-1] for packet in alone["came"]] == [0, 4]
    assert difference(model_story(made, steps, 0.1), alone) == ""
    assert difference(alone, story(2, False, 0, 1, 0, 0)) == ""
    assert difference(alone, story(2, True, 1, 1, 0, 0)) == ""


def test_a_queue_that_changes_lanes_leaves_no_wake_behind():
    """A downlink's packets wait for the next step; its sender is another node than the link's own from the first on."""
    nodes = tuple(
        NodeSpec(f"n{n}", "node", True, f"10.0.0.{n + 1}", forwards=n > 0, shared_downlink=n > 0) for n in range(3)
    )
    network = Network(nodes, (LinkSpec("n0:up", 0, 1, "up", "x", moving=True),), Timeline(STEP_S))
    ends, next_end = np.ones(2), np.array([[-1, 1, 1], [0, -1, -1], [0, -1, -1]], np.int32)
    rows = [
        ScheduleRow(
            step, ends * 0.01, ends * 0.01, ends * rate_bps, ends * 0, ends > 0, np.array([2, 0], np.int32), next_end
        )
        for step, rate_bps in enumerate((0.0, 1e5, inf, inf, inf))
    ]
    made = Case(network, tuple(rows), 1)
    data = make(4, UDP, bytes(100), src=bytes((10, 0, 0, 3)), dst=bytes((10, 0, 0, 1))).data
    steps = [Step("offer", 0.0, (1, (0.0, data, len(data) - 10, 0, 64, -1))) for _ in range(3)]
    alone = engine_story(made, steps, 1, False)
    assert len(alone["came"]) == 3
    assert difference(model_story(made, steps), alone) == ""
    assert difference(alone, engine_story(made, steps, 2, False, np.array([0, 0, 1], np.int32))) == ""
