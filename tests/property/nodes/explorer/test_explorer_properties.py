"""Properties of exploration: checker against brute force, codec round trips, agents that travel encoded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import combinations
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.explorer import files
from nodes.explorer.core import KT0, KT1, VISIBILITIES, Agent, View
from nodes.explorer.engine import play
from nodes.explorer.interval import Snapshot, largest_finite, largest_periodic
from nodes.explorer.schedules import Footprint, Schedule, block_trees
from nodes.explorer.wire import HEADER, MOST_BYTES, Header, decode, encode, frame


def joined(nodes: int, edges: frozenset[tuple[int, int]]) -> bool:
    reached = {0}
    while fresh := {b for a, b in [*edges, *((b, a) for a, b in edges)] if a in reached} - reached:
        reached |= fresh
    return len(reached) == nodes


def brute_finite(nodes: int, steps: list[Snapshot]) -> int:
    best = 0
    for length in range(1, len(steps) + 1):
        windows = [steps[at : at + length] for at in range(len(steps) - length + 1)]
        if not all(joined(nodes, frozenset.intersection(*window)) for window in windows):
            break
        best = length
    return best


def brute_periodic(nodes: int, steps: list[Snapshot], period: int) -> float:
    if joined(nodes, frozenset.intersection(*steps)):
        return inf
    best = 0
    for length in range(1, len(steps) + 1):
        for begin in range(len(steps)):
            at = [begin + more for more in range(length)]
            head = len(steps) - period
            window = [steps[each if each < len(steps) else head + (each - head) % period] for each in at]
            if not joined(nodes, frozenset.intersection(*window)):
                return best
        best = length
    return best


@st.composite
def sequences(draw: st.DrawFn) -> tuple[int, list[Snapshot]]:
    """Few nodes, and edges that are more often there than not: windows of all lengths occur."""
    nodes = draw(st.integers(2, 5))
    pairs = list(combinations(range(nodes), 2))
    most = st.sets(st.sampled_from(pairs), max_size=2).map(lambda gone: frozenset(pairs) - gone)
    any_edges = st.frozensets(st.sampled_from(pairs))
    return nodes, draw(st.lists(most | most | any_edges, min_size=1, max_size=10))


@given(sequences())
def test_largest_finite_is_that_of_brute_force(case: tuple[int, list[Snapshot]]) -> None:
    assert largest_finite(*case) == brute_finite(*case)


@given(sequences(), st.data())
def test_largest_periodic_is_that_of_brute_force(case: tuple[int, list[Snapshot]], data: st.DataObject) -> None:
    nodes, steps = case
    period = data.draw(st.integers(1, len(steps)))
    assert largest_periodic(nodes, steps, period) == brute_periodic(nodes, steps, period)
    assert largest_periodic(nodes, steps) == brute_periodic(nodes, steps, len(steps))


@given(sequences(), st.data())
def test_files_give_back_what_was_written(case: tuple[int, list[Snapshot]], data: st.DataObject) -> None:
    nodes, steps = case
    schedule = Schedule(nodes, tuple(steps), data.draw(st.integers(0, len(steps))))
    assert files.parse(json.loads(files.write(schedule))) == schedule


def refusal(read: Callable[[Any], object], given: object) -> str:
    """What the ValueError says; empty where there is none."""
    try:
        read(given)
    except ValueError as error:
        return str(error)
    return ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["nodes", "snapshots", "edges", "steps", "events", "period", "step"]), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_nonsense_files_are_refused_with_a_place(document: object) -> None:
    if said := refusal(files.parse, document):
        assert said.startswith("$")
        assert "; expected" in said


@st.composite
def footprints(draw: st.DrawFn) -> Footprint:
    """A random tree and some more edges."""
    nodes = draw(st.integers(2, 8))
    tree = [(draw(st.integers(0, node - 1)), node) for node in range(1, nodes)]
    more = draw(st.lists(st.sampled_from(list(combinations(range(nodes), 2))), max_size=8))
    return Footprint.of(nodes, tree + more)


@given(footprints(), st.sampled_from(VISIBILITIES), st.integers(1, 12), st.integers(0, 2**32))
@settings(max_examples=60)
def test_an_agent_that_travels_encoded_takes_the_same_doors(
    footprint: Footprint, visibility: str, interval: int, seed: int
) -> None:
    """Decoded and encoded again after every step, it is the agent that stayed in memory; and its bytes are the same."""

    class Travelling(Agent):
        __slots__ = ()

        def step(self, view: View) -> int | None:
            there = decode(encode(self))
            assert encode(there) == encode(self)
            door = Agent.step(self, view)
            assert there.step(view) == door
            assert encode(there) == encode(self)
            return door

    trees = block_trees(footprint, interval, random.Random(seed))
    played = play(footprint, trees, Travelling(visibility, seed), 0, 60)
    assert played == play(footprint, trees, Agent(visibility, seed), 0, 60)
    assert played.measured >= min(interval, played.steps)
    assert played.moves + played.waits == played.steps


@given(footprints(), st.sampled_from([KT0, KT1]), st.integers(0, 2**32))
@settings(max_examples=60)
def test_agents_cover_every_static_graph_without_a_wait(footprint: Footprint, visibility: str, start: int) -> None:
    schedule = Schedule(footprint.nodes, (footprint.edges,))
    played = play(footprint, schedule, Agent(visibility), start % footprint.nodes, 500)
    assert played.covered
    assert played.waits == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_an_agent_or_a_value_error(data: bytes) -> None:
    try:
        agent = decode(data)
    except ValueError:
        return
    assert encode(agent) == data


@given(footprints(), st.sampled_from([KT0, KT1]), st.data())
@settings(max_examples=60)
def test_damaged_agents_are_refused_or_canonical(footprint: Footprint, visibility: str, data: st.DataObject) -> None:
    agent = Agent(visibility)
    play(footprint, Schedule(footprint.nodes, (footprint.edges,)), agent, 0, 6)
    body = bytearray(encode(agent))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    if said := refusal(decode, bytes(body)):
        assert said.startswith("agent: ")
    else:
        assert encode(decode(bytes(body))) == bytes(body)


@given(st.binary(max_size=16))
def test_headers_are_refused_or_round_trip(data: bytes) -> None:
    try:
        header = Header.decode(data)
    except ValueError:
        return
    assert header.encode() == data
    assert header.body_bytes <= MOST_BYTES


def test_golden_frame() -> None:
    agent = Agent(KT1, seed=3)
    assert agent.step(View(2, (1, 4))) == 1
    assert frame(9, agent).hex() == (
        "536b7958000000090000005f"  # SkyX, step 9, 95 bytes
        "010000000000000003000000010000000100000000000000000000000000000001000200000001000200000004"
        "0001000201000200010100020004010004000201000000020001000200020001000200040004000201000200010100020001"
    )
    assert HEADER.size == 12
