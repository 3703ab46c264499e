"""The exact claims about exploration: ring adversary, static graphs, worst rings; and the means over block trees."""

from __future__ import annotations

import random
import statistics
from functools import cache
from itertools import combinations

import pytest

from nodes.explorer.adversary import RingAdversary
from nodes.explorer.core import KT0, KT1, VISIBILITIES, WALK, Agent
from nodes.explorer.engine import Play, play
from nodes.explorer.interval import largest_finite
from nodes.explorer.schedules import Footprint, block_trees, ring_edges, ring_gap, spanning_tree, static
from nodes.explorer.worst import worst_ring


def ring(nodes: int) -> Footprint:
    return Footprint(nodes, ring_edges(nodes))


def complete(nodes: int) -> Footprint:
    return Footprint.of(nodes, combinations(range(nodes), 2))


def grid(side: int) -> Footprint:
    across = [(row * side + at, row * side + at + 1) for row in range(side) for at in range(side - 1)]
    down = [(row * side + at, row * side + at + side) for row in range(side - 1) for at in range(side)]
    return Footprint.of(side * side, across + down)


@pytest.mark.parametrize("nodes", range(5, 17))
@pytest.mark.parametrize("visibility", [KT0, KT1])
def test_adversary_shows_exactly_t_plus_1_nodes_up_to_the_sharp_threshold(nodes: int, visibility: str) -> None:
    for interval in range(1, nodes + 3):
        start = interval % nodes
        adversary = RingAdversary(nodes, interval, start)
        played = play(ring(nodes), adversary, Agent(visibility), start, 6 * nodes)
        if interval <= nodes - 2:
            assert played.seen == interval + 1 == adversary.sees
            assert not played.covered
            assert played.measured == interval  # it is T-interval connected, and no more
        else:
            assert played.covered
            assert played.steps == nodes - 1
            assert played.measured == played.steps


@pytest.mark.parametrize("nodes", range(5, 17))
def test_adversary_holds_any_walk(nodes: int) -> None:
    for interval in range(1, nodes - 1):
        for seed in range(3):
            played = play(ring(nodes), RingAdversary(nodes, interval), Agent(WALK, seed), 0, 12 * nodes)
            assert played.seen <= interval + 1
            assert played.measured >= interval


@pytest.mark.parametrize(("nodes", "kt0_steps"), [(4, 4), (8, 12), (16, 28), (32, 60)])
def test_complete_graphs(nodes: int, kt0_steps: int) -> None:
    footprint = complete(nodes)
    assert play(footprint, static(footprint), Agent(KT1), 0, 500).steps == nodes - 1
    assert play(footprint, static(footprint), Agent(KT0), 0, 500).steps == kt0_steps


def test_grid() -> None:
    footprint = grid(6)
    assert play(footprint, static(footprint), Agent(KT1), 0, 500).steps == 35
    assert play(footprint, static(footprint), Agent(KT0), 0, 500).steps == 70


def worst(nodes: int, interval: int) -> int:
    """What `worst_ring` finds, after a check that its schedule keeps the interval."""
    steps, gaps = worst_ring(nodes, interval)
    assert len(gaps) == steps - 1
    assert largest_finite(nodes, ring_gap(nodes, gaps).snapshots) >= min(interval, len(gaps))
    return steps


@pytest.mark.parametrize("nodes", range(3, 9))
def test_worst_ring_from_t_2_on(nodes: int) -> None:
    for interval in range(2, 2 * nodes):
        assert worst(nodes, interval) == max(2 * nodes - interval - 1, 3 * (nodes - 1) // 2)


@pytest.mark.parametrize("nodes", [3, 4, 5, 6, pytest.param(7, marks=pytest.mark.slow)])
def test_worst_ring_of_t_1(nodes: int) -> None:
    assert worst(nodes, 1) == 2 * nodes - 3


def test_worst_ring_delays_our_agents_too() -> None:
    steps, gaps = worst_ring(6, 2)
    for visibility in (KT0, KT1):
        assert play(ring(6), ring_gap(6, gaps), Agent(visibility), 0, 100).steps >= steps


@cache
def plays(visibility: str, interval: int, runs: int = 24) -> list[Play]:
    """Runs on the complete graph with 32 nodes, of which only the trees of a block and of the one before are there."""
    footprint = complete(32)
    found = []
    for seed in range(runs):
        trees = block_trees(footprint, interval, random.Random(f"{seed}/{interval}"))
        found.append(play(footprint, trees, Agent(visibility, seed), 0, 1200))
    assert all(each.measured >= min(interval, each.steps) for each in found)
    return found


def mean(visibility: str, interval: int) -> float:
    return statistics.mean(each.steps for each in plays(visibility, interval))


@pytest.mark.slow
@pytest.mark.parametrize(("interval", "steps"), [(1, 51), (32, 50), (64, 59)])
def test_kt1_on_block_trees(interval: int, steps: int) -> None:
    assert mean(KT1, interval) == pytest.approx(steps, rel=0.12)


@pytest.mark.slow
def test_kt1_is_worst_in_the_middle() -> None:
    """The mean at T = 16 (116 in the specification) hangs on a few long runs, so only its place is held."""
    assert mean(KT1, 16) > 1.3 * max(mean(KT1, 1), mean(KT1, 32), mean(KT1, 64))
    assert max(each.steps for each in plays(KT1, 16)) > 200


@pytest.mark.slow
def test_kt0_gets_faster_with_stability() -> None:
    means = [mean(KT0, interval) for interval in (1, 16, 32, 64)]
    assert means == sorted(means, reverse=True)


@pytest.mark.slow
def test_walk_gets_slower_with_stability() -> None:
    assert mean(WALK, 1) == pytest.approx(141, rel=0.15)
    assert mean(WALK, 128) == pytest.approx(292, rel=0.2)


def test_visibility_makes_no_difference_within_one_tree() -> None:
    footprint = complete(32)
    for seed in range(5):
        trees = block_trees(footprint, 64, random.Random(seed))
        kt0, kt1 = (play(footprint, trees, Agent(visibility), 0, 128) for visibility in (KT0, KT1))
        assert kt0.path == kt1.path
        assert kt0.steps < 64


def test_spanning_trees_are_uniform() -> None:
    rng = random.Random(7)
    counts: dict[frozenset[tuple[int, int]], int] = {}
    for _ in range(3200):
        tree = spanning_tree(complete(4), rng)
        counts[tree] = counts.get(tree, 0) + 1
    assert len(counts) == 16  # Cayley: 4^2 labelled trees
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 37.7  # chi square, 15 degrees, 0.1 %


def test_same_seed_same_schedule() -> None:
    schedules = [block_trees(grid(4), 3, random.Random(seed), extra=0.2) for seed in (5, 5, 6)]
    first, again, other = ([each.present(step) for step in range(20)] for each in schedules)
    assert first == again != other


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RingAdversary(2, 1), "ring of 2 nodes; expected at least 3"),
        (lambda: RingAdversary(5, 0), "interval 0; expected at least 1"),
        (lambda: RingAdversary(5, 2, 5), "start 5; expected a node of 0 … 4"),
        (lambda: worst_ring(2, 1), "ring of 2 nodes; expected at least 3"),
        (lambda: worst_ring(3, 0), "interval 0; expected at least 1"),
        (lambda: block_trees(ring(4), 0, random.Random(0)), "interval 0; expected at least 1"),
        (lambda: Agent("kt2"), "visibility 'kt2'; expected one of kt0, kt1, walk"),
    ],
)
def test_what_cannot_be_is_refused(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(ValueError, match=message):
        build()


def test_start_of_the_adversary_may_be_anywhere() -> None:
    for start in range(7):
        for visibility in VISIBILITIES[:2]:
            assert play(ring(7), RingAdversary(7, 3, start), Agent(visibility), start, 30).seen == 4
