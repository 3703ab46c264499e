"""Equal decisions on 1, 2 and 3 hosts where trunks take time: queues and streams on their way while more is offered,
orders are given, and the next handover comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
import scripts
from hypothesis import given, settings
from hypothesis import strategies as st
from latent_hosts import LatentHosts
from link_ends import Timeline
from made_packets import TCP, UDP, make
from networks import HORIZON_S, Case, EngineNetwork, case, script
from oracle.packet_bytes import ETHERNET, VIRTIO, wire_size
from scripts import Dice, Step, shortened
from test_hosts_differential import rounded
from test_network_differential import difference

from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, ScheduleRow

EXAMPLES = int(os.environ.get("SKYLOOM_EXAMPLES", "40"))
LEAST_S = 0.03  # of delays
LATENCY_S = 4e-4, 6e-4  # so that what is lost is asked for more than once before a trunk gives up


class TooLate(Exception):
    """A trunk did not keep up, so times may differ."""


def compare(made: Case, steps: list[Step], hosts: list[int], lanes: int, name: str, until_s: float) -> str:
    dice = Dice(name)
    troubles = dice.choice([(0.0, 0.0), (0.1, 0.0), (0.0, 0.3), (0.15, 0.15)])
    least_s = dice.choice([0.0, LATENCY_S[0], LATENCY_S[1]])
    split = LatentHosts(made, np.array(hosts, np.int32), lanes, dice, (least_s, LATENCY_S[1]), *troubles)
    told = split.tell(steps, until_s)
    if split.late:
        raise TooLate
    return difference(rounded(EngineNetwork(made, 1).tell(steps, until_s)), rounded(told))


def any_network(name: str) -> Callable[..., str]:
    dice = Dice(name)
    dice.least_s = LEAST_S
    made = case(dice)
    hosts = [dice.randrange(dice.choice([2, 3])) for _ in made.network.nodes]
    lanes, steps = dice.choice([1, 1, 2]), script(dice, made)
    return lambda some=steps: compare(made, some, hosts, lanes, f"{name}/trunks", HORIZON_S)


def chain(name: str) -> Callable[..., str]:
    """Stations that change their satellites, each of another host, every few steps of 20 ms: queues go from host to
    host and back while packets of all kinds are offered to them, and their ends are set and held."""
    dice = Dice(name)
    stations, step_s, rows, length_s = dice.choice([1, 2]), 0.02, [], 0.6
    satellites = list(range(stations, stations + dice.choice([2, 3, 3, 5])))
    nodes = tuple(
        NodeSpec(f"n{n}", "host" if n < stations else "satellite", True, f"10.0.0.{n + 1}", forwards=n >= stations,
                 shared_downlink=n >= stations)
        for n in range(satellites[-1] + 1)
    )  # fmt: skip
    ethernet = dice.chance(0.2)
    links = tuple(
        LinkSpec(f"n{n}:up", n, satellites[0], "up", "x", EndSpec(), EndSpec(scripts.effects(dice)), True, ethernet)
        for n in range(stations)
    )
    network = Network(nodes, links, Timeline(step_s))
    ends, peers = 2 * stations, [dice.choice(satellites) for _ in range(stations)]
    for step in range(round(length_s / step_s)):
        peers = [dice.choice(satellites) if dice.chance(0.4) else peer for peer in peers]
        delays_s = np.array([dice.choice([LEAST_S, dice.uniform(LEAST_S, 0.08)]) for _ in range(ends)])
        rates = np.array([inf if n % 2 == 0 else dice.choice([3e4, 1e5, 1e6, inf, 0.0]) for n in range(ends)])
        peer = np.array([each for near, far in enumerate(peers) for each in (far, near)], np.int32)
        next_end = np.full((len(nodes), len(nodes)), -1, np.int32)
        for station, far in enumerate(peers):
            next_end[station, far] = 2 * station + 1
            next_end[satellites, station] = 2 * station
        loss, up = np.array([0.0, dice.choice([0.0, 0.3])] * stations), np.array([True, dice.chance(0.9)] * stations)
        rows.append(ScheduleRow(step, delays_s, delays_s, rates, loss, up, peer, next_end))
    made = Case(network, tuple(rows), dice.randint(0, 9))
    hosts = [dice.randrange(3) for _ in range(stations)] + [n % 3 for n in range(len(satellites))]
    lanes, steps = dice.choice([1, 1, 2]), list(_steps(dice, stations, ethernet, length_s))
    return lambda some=steps: compare(made, some, hosts, lanes, f"{name}/trunks", length_s - 1e-6)


def _steps(dice: Dice, stations: int, ethernet: bool, length_s: float) -> Any:
    t_s, ip = 0.0, VIRTIO + (ETHERNET if ethernet else 0)
    for number in range(80):
        t_s = dice.choice([t_s, t_s + 0.001, t_s + dice.uniform(0, 0.02), (t_s // 0.02 + 1) * 0.02])
        if t_s >= length_s - 1e-3:
            return
        station = dice.randrange(stations)
        end = 2 * station + 1
        kind = dice.choice(["offer"] * 12 + ["set", "hold"])
        what: Any
        if kind == "offer":
            letter, more = bytes([number]), {"src": b"\x0a\0\0\x63", "dst": bytes([10, 0, 0, station + 1])}
            if dice.chance(0.2):
                payload = letter * dice.randint(1001, 4000)
                data = make(4, dice.choice([TCP, UDP]), payload, segment=1000, ethernet=ethernet, **more).data
            else:
                data = make(4, UDP, letter * dice.choice([1, 300, 900]), ethernet=ethernet, **more).data
            what = t_s, data, wire_size(data, ip), station, 64, -1
        elif kind == "set":
            what = {"rate_bps": dice.choice([None, 5e4, 2e5, 0.0]), "loss": dice.choice([None, 0.0, 0.5])}
            what |= {"up": dice.choice([None, None, True, False]), "delay_s": dice.choice([None, 0.05])}
        else:
            what = dice.chance(0.3)
        yield Step(kind, t_s, (end, what))


@pytest.mark.parametrize("kind", [any_network, chain])
@settings(max_examples=EXAMPLES)
@given(number=st.integers(0, 2**40))
def test_hosts_decide_what_one_engine_decides_whatever_is_under_way(kind, number):
    play = kind(f"{number}/latent")
    try:
        found = play()
    except TooLate:
        return
    if found:
        steps = shortened(play.__defaults__[0], lambda some: bool(play(some)))
        told = "\n".join(str(step)[:300] for step in steps)
        raise AssertionError(f"{told}\n{play(steps)}\nat first {found}")
