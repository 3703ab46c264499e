"""When segments may be merged: never where a packet's own fate, or a slow link, would show it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from emulator.fabric.offload import WHOLE, merged_bytes
from emulator.network import Effects, EndSpec, GilbertElliott, Knots, LinkSpec, Network, NodeSpec

NODES = (NodeSpec("a", "host", True), NodeSpec("b", "host", True))


def network(forward, backward=None):
    plain = EndSpec(knots=Knots.constant(0.001, 1e9))
    return Network(NODES, (LinkSpec("a:eth0", 0, 1, "eth0", "eth0", forward, backward or plain),))


def end(rate_bps=1e9, loss=0.0, **effects):
    return EndSpec(Effects(**effects), Knots.constant(0.001, rate_bps, loss))


@pytest.mark.parametrize(
    ("rate_bps", "size"), [(float("inf"), WHOLE), (1e9, WHOLE), (1e8, 12500), (50e6, 6250), (10e6, 0), (0.0, WHOLE)]
)
def test_a_piece_takes_a_millisecond_of_the_slowest_link(rate_bps, size):
    assert merged_bytes(network(end(rate_bps))) == size
    assert merged_bytes(network(end(), end(rate_bps))) == size


@pytest.mark.parametrize(
    "spoilt",
    [
        end(jitter_s=1e-3), end(duplicate=0.1), end(corrupt=0.1), end(burst_loss=GilbertElliott(0.1, 0.5)),
        end(loss=0.01), end(queue_packets=100), end(queue_bytes=10_000), end(queue_s=1e-5),
    ],
)  # fmt: skip
def test_single_packets_stay_single(spoilt):
    assert merged_bytes(network(spoilt)) == 0
    assert merged_bytes(network(end(), spoilt)) == 0


def test_a_queue_has_room_for_several_pieces():
    assert merged_bytes(network(end(queue_bytes=80_000))) == 10_000
    assert merged_bytes(network(end(1e9, queue_s=1e-3))) == 15_625


def test_ends_without_knots_follow_the_first_row():
    silent = EndSpec()
    both = network(silent, silent)
    row = SimpleNamespace(rate_bps=np.array([1e9, 1e8]), loss=np.zeros(2))
    assert merged_bytes(both) == 0
    assert merged_bytes(both, row) == 12500
    row.loss[1] = 0.01
    assert merged_bytes(both, row) == 0


def test_the_slowest_knot_counts():
    table = Knots(np.arange(3.0), np.zeros(3), np.array([1e9, 5e7, 0.0]), np.zeros(3), np.ones(3, bool))
    assert merged_bytes(network(replace(end(), knots=table))) == 6250


def test_what_actions_will_set_counts_too():
    assert merged_bytes(network(end()), losses=[0.0, 0.01]) == 0
    assert merged_bytes(network(end()), losses=[0.0]) == WHOLE
    assert merged_bytes(network(end()), rates_bps=[0.0, 1e8, float("inf")]) == 12500
