"""Least-delay routes against an independent oracle: Bellman-Ford in plain Python, over random graphs."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.schedule import routes
from emulator.schedule.routes import HOP_FLOOR_S, least_delay, least_delay_ends, path, path_delay

Edge = tuple[int, int, float]


def oracle(edges: list[Edge], nodes: int, goal: int, closed: list[bool]) -> list[float]:
    """Least delay to `goal` with closed nodes only at the two ends of a path."""
    dist = [inf] * nodes
    dist[goal] = 0.0
    for _ in range(nodes):
        for tail, head, delay in edges:
            if head == goal or not closed[head]:
                dist[tail] = min(dist[tail], max(delay, HOP_FLOOR_S) + dist[head])
    return dist


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge], list[bool]]:
    nodes = draw(st.integers(1, 9))
    node = st.integers(0, nodes - 1)
    delay = st.one_of(st.sampled_from([0.0, 0.001, 0.002, inf]), st.floats(0, 10))
    edges = draw(st.lists(st.tuples(node, node, delay), max_size=40))
    closed = draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))
    return nodes, edges, closed


def solve(nodes: int, edges: list[Edge], goals: list[int], closed: list[bool] | None):
    tail = np.array([e[0] for e in edges], np.int32)
    head = np.array([e[1] for e in edges], np.int32)
    delay = np.array([e[2] for e in edges], float)
    end = np.arange(len(edges), dtype=np.int32)[::-1].copy()  # any numbering will do
    by_end = np.argsort(end)
    shut = None if closed is None else np.array(closed)
    next_end, dist = least_delay(tail, head, delay, end, nodes, np.array(goals, np.int32), shut)
    assert np.array_equal(least_delay_ends(tail, head, delay, end, nodes, np.array(goals, np.int32), shut), next_end)
    return next_end, dist, head[by_end], delay[by_end], tail[by_end]


@given(graphs(), st.booleans(), st.data())
def test_routes_are_the_least_delay_paths(graph, limited, data):
    nodes, edges, closed = graph
    goals = data.draw(st.lists(st.integers(0, nodes - 1), min_size=1, max_size=nodes, unique=True))
    next_end, dist, head, delay, tail = solve(nodes, edges, goals, closed if limited else None)
    if not limited:
        closed = [False] * nodes
    assert next_end.shape == dist.shape == (len(goals), nodes)
    along = path_delay(next_end, head, np.maximum(delay, HOP_FLOOR_S), goals, range(nodes))
    for index, goal in enumerate(goals):
        expected = oracle(edges, nodes, goal, closed)
        assert dist[index] == pytest.approx(expected, rel=1e-12)
        assert along[index] == pytest.approx(expected, rel=1e-12)
        for source in range(nodes):
            ends = path(next_end, head, index, goal, source)
            assert bool(ends) == (source != goal and expected[source] < inf)
            at = source
            for end in ends:
                assert tail[end] == at
                assert at == source or not closed[at]
                at = head[end]
            assert not ends or at == goal


def test_parts_make_a_whole(monkeypatch):
    rng = np.random.default_rng(5)
    nodes, edges = 30, 120
    tail, head = rng.integers(0, nodes, (2, edges)).astype(np.int32)
    graph = tail, head, rng.random(edges), np.arange(edges, dtype=np.int32), nodes, np.arange(nodes, dtype=np.int32)
    whole = least_delay(*graph)
    monkeypatch.setattr(routes, "_AT_ONCE", 7)
    for one, other in zip(least_delay(*graph), whole, strict=True):
        assert np.array_equal(one, other)


@given(graphs())
def test_the_answer_depends_on_the_arguments_alone(graph):
    nodes, edges, closed = graph
    first, again = (solve(nodes, edges, list(range(nodes)), closed)[0] for _ in range(2))
    assert np.array_equal(first, again)
