"""A self-test of the engine on this machine: a link of known rate, delay and loss, in memory.

Invariant: the expected result is computed with Python's arithmetic and random generator, to the last bit; so it detects
a compiler that rounds differently (fused multiply-add) and a library of other sources.
"""

from __future__ import annotations

from ctypes import c_double
from random import Random

import numpy as np

from emulator.link.engine.binding import library
from emulator.link.engine.engine import Delivery, Engine
from emulator.link.engine.tables import memory_ports
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

_RATE_BPS, _LOSS, _SEED, _PACKETS = 1.3e6, 0.3, 7, 60
_DELAY_S = 0.0123, 0.0456  # at the beginning and at the end of _SPAN_S
_SPAN_S = 0.7


def self_test() -> str:
    """Send packets over a link in memory; returns the first unexpected result, "" if none."""
    label = f"{_SEED}/link/a:b/loss".encode()
    drawn = (c_double * 2000)()
    library().engine_random(label, len(label), drawn, len(drawn))
    stream = Random(label.decode())
    for place, number in enumerate(drawn):
        reference = stream.random()
        if number != reference:
            return f"random number {place} of the stream {label.decode()} is {number!r}, expected {reference!r}"
    offered = [(0.001 * place, _packet(place)) for place in range(_PACKETS)]
    with Engine(_network(), memory_ports(_network()), None, _SEED, small_slots=1024, large_slots=16) as engine:
        for t_s, data in offered:
            engine.play(t_s)
            if not engine.offer(0, t_s, data):
                return f"the packet of {t_s} s was not taken"
        engine.play(10.0)
        came = [Delivery(*delivery) for delivery in engine.take()]
    return _difference(came, _expected(offered))


def _network() -> Network:
    delay_s = np.array([*_DELAY_S])
    one = np.ones(2)
    knots = PiecewiseSchedule(np.array([0.0, _SPAN_S]), delay_s, one * _RATE_BPS, one * _LOSS, np.array([True, True]))
    end = EndSpec(schedule=knots)
    nodes = NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2")
    return Network(nodes, (LinkSpec("a:b", 0, 1, "b", "a", end, end),), routing="none")


def _packet(place: int) -> bytes:
    """A UDP packet from a to b of a size that depends on `place`, behind an empty virtio header."""
    size = 28 + 13 * place
    head = bytes([0x45, 0, *size.to_bytes(2, "big"), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    return bytes(10) + head + bytes(size - len(head))


def _expected(offered: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    stream = Random(f"{_SEED}/link/a:b/loss")
    pace = 8.0 / _RATE_BPS
    slope = (_DELAY_S[1] - _DELAY_S[0]) / _SPAN_S
    idle_s = last_s = 0.0
    out = []
    for t_s, data in offered:
        idle_s = max(t_s, idle_s) + (len(data) - 10) * pace
        if stream.random() < _LOSS:
            continue
        last_s = max(last_s, idle_s + (_DELAY_S[0] + slope * idle_s))
        out.append((last_s, data))
    return out


def _difference(came: list[Delivery], expected: list[tuple[float, bytes]]) -> str:
    for place, (delivery, (at_s, data)) in enumerate(zip(came, expected, strict=False)):
        if delivery.at_s != at_s:
            return f"delivery {place} is due at {delivery.at_s!r} s, expected {at_s!r} s"
        if delivery.data != data or delivery.node != 1:
            return f"delivery {place} is another packet than expected, or came to node {delivery.node}, expected 1"
    return "" if len(came) == len(expected) else f"{len(came)} packets came, expected {len(expected)}"
