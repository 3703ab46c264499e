"""Routes: parallel links, hosts that do not forward, walks along tables that do not arrive."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.schedule.routes import least_delay, path, path_delay


def arrays(*edges: tuple[int, int, float, int]):
    tail, head, delay, end = zip(*edges, strict=True)
    return np.array(tail, np.int32), np.array(head, np.int32), np.array(delay), np.array(end, np.int32)


def test_of_parallel_links_the_quickest_and_then_the_lowest_end_is_used():
    edges = arrays((0, 1, 0.002, 0), (0, 1, 0.001, 6), (0, 1, 0.001, 4))
    next_end, dist = least_delay(*edges, 2, np.array([1]))
    assert next_end.tolist() == [[4, -1]]
    assert dist.tolist() == [[0.001, 0.0]]


def test_no_path_goes_through_a_station():
    edges = arrays((0, 1, 0.001, 0), (1, 2, 0.001, 2), (0, 3, 0.010, 4), (3, 2, 0.010, 6))
    free, _ = least_delay(*edges, 4, np.array([2]))
    assert path(free, np.array([1, -1, 2, -1, 3, -1, 2]), 0, 2, 0) == [0, 2]
    closed, dist = least_delay(*edges, 4, np.array([2]), np.array([False, True, False, False]))
    assert closed[0].tolist() == [4, 2, -1, 6]  # the station itself still reaches its neighbour
    assert dist[0].tolist() == [0.020, 0.001, 0.0, 0.010]


def test_links_without_delay_are_routed_by_hops():
    edges = arrays((0, 1, 0.0, 0), (1, 2, 0.0, 2), (2, 3, 0.0, 4), (0, 3, 0.0, 6))
    next_end, _ = least_delay(*edges, 4, np.array([3]))
    assert next_end[0, 0] == 6


def test_a_node_without_links_is_unreachable():
    next_end, dist = least_delay(*arrays((0, 1, 0.001, 0)), 3, np.array([2, 1]))
    assert next_end.tolist() == [[-1, -1, -1], [0, -1, -1]]
    assert dist[0].tolist() == [np.inf, np.inf, 0.0]


def test_nothing_to_route():
    none = np.empty(0, np.int32)
    next_end, dist = least_delay(none, none, np.empty(0), none, 2, np.array([1]))
    assert next_end.tolist() == [[-1, -1]]
    assert dist.tolist() == [[np.inf, 0.0]]
    assert least_delay(none, none, np.empty(0), none, 2, none)[0].shape == (0, 2)


@pytest.mark.parametrize("delay", [-1e-9, np.nan])
def test_impossible_delays_are_refused(delay):
    with pytest.raises(ValueError, match="negative or NaN"):
        least_delay(*arrays((0, 1, delay, 0)), 2, np.array([1]))


def test_a_walk_that_ends_early_or_circles_has_no_delay():
    head = np.array([1, 0, 2, -1])
    delay = np.array([1.0, 1.0, 1.0, 1.0])
    circle = np.array([[0, 1, -1]], np.int32)
    assert path_delay(circle, head, delay, np.array([2]), np.array([0, 1, 2])).tolist() == [[np.inf, np.inf, 0.0]]
    assert path(circle, head, 0, 2, 0) == []
    short = np.array([[0, -1, -1]], np.int32)
    assert path_delay(short, head, delay, np.array([2]), np.array([0])).tolist() == [[np.inf]]
    assert path(short, head, 0, 2, 0) == []
