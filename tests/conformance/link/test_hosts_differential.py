"""A network split over hosts gives what one engine gives, bit for bit, whatever the trunks do to datagrams."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import pytest
from host_networks import HostsNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from link_ends import Timeline
from made_packets import UDP, make
from networks import HORIZON_S, STEP_S, STEPS, Case, case, delay_s, script
from oracle.packet_bytes import VIRTIO
from scripts import Dice, Step, shortened
from test_network_differential import difference, lanes_apart, model_story

from emulator.link.stats import EndStats
from emulator.model.network import Effects, EndSpec, GilbertElliott, LinkSpec, Network, NodeSpec, ScheduleRow

EXAMPLES = int(os.environ.get("SKYLOOM_EXAMPLES", "40"))
LEAST_S = 0.004  # of delays, so that everything arrives before it is due
WINDOW_S = 0.9 * LEAST_S
SCRIPTS = 4  # of each example
Story = dict[str, Any]


def rounded(story: Story) -> Story:
    """Sums of delays are summed host by host, in another order than in one engine."""
    for cells in story["counters"]:
        cells[EndStats.ASKED_DELAY_SUM_S] = round(cells[EndStats.ASKED_DELAY_SUM_S], 9)
    return story


def compare_split(made: Case, steps: list[Step], hosts: Any, lanes: int, trouble: str) -> str:
    dice = Dice(trouble) if trouble else None
    split = HostsNetwork(made, np.array(hosts, np.int32), lanes, dice).tell(steps, HORIZON_S, WINDOW_S)
    return difference(rounded(model_story(made, steps)), rounded(split))


def random_split(name: str) -> Callable[..., str]:
    """A network, its split over hosts, and a script; the function compares them for other scripts, too."""
    dice = Dice(name)
    dice.least_s = LEAST_S
    made = case(dice)
    hosts = lanes_apart(dice, made, dice.choice([2, 2, 3]))
    lanes, trouble = dice.choice([1, 1, 2]), dice.choice(["", f"{name}/trouble"])
    steps = script(dice, made)

    def compare(some: list[Step] = steps) -> str:
        return compare_split(made, some, hosts, lanes, trouble)

    return compare


def handovers(name: str) -> Callable[..., str]:
    """One station whose satellite changes nearly every step, each satellite of another host, with a slow and lossy
    downlink: queues, random streams and last times go from host to host."""
    dice = Dice(name)
    dice.least_s = LEAST_S
    dice.even = dice.chance(0.3)
    satellites = [1, 2, 3]
    nodes = tuple(
        NodeSpec(f"n{n}", "satellite" if n else "host", True, f"10.0.0.{n + 1}", forwards=n > 0, shared_downlink=n > 0)
        for n in range(4)
    )
    down = Effects(
        queue_bytes=dice.choice([inf, 3000.0]),
        queue_s=dice.choice([inf, 0.1]),
        jitter_s=dice.choice([0.0, 0.02]),
        duplicate=dice.choice([0.0, 0.1]),
        burst_loss=dice.choice([None, GilbertElliott(0.2, 0.3, 0.1, 0.9)]),
        hold_when_down=dice.chance(0.5),
    )
    link = LinkSpec("n0:up", 0, 1, "up", "x", EndSpec(), EndSpec(down), moving=True)
    network = Network(nodes, (link,), Timeline(STEP_S))
    rows = []
    for step in range(STEPS):
        delays_s = np.array([[delay_s(dice), delay_s(dice)] for _ in range(2)])
        rate = dice.choice([1e5, 1e5, 3e4, inf, 0.0])
        peer = np.array([dice.choice(satellites), 0], np.int32)
        next_end = np.full((4, 4), -1, np.int32)
        next_end[0, peer[0]], next_end[1:, 0] = 1, 0
        loss, up = np.array([0.0, dice.choice([0.0, 0.3])]), np.array([True, dice.chance(0.9)])
        rows.append(ScheduleRow(step, delays_s[0], delays_s[1], np.array([inf, rate]), loss, up, peer, next_end))
    made = Case(network, tuple(rows), dice.randint(0, 9))
    steps, t_s = [], 0.0
    for number in range(60):
        next_step_s = (t_s // STEP_S + 1) * STEP_S
        t_s = min(dice.choice([t_s, t_s + 0.005, t_s + dice.uniform(0, 0.04), next_step_s]), HORIZON_S)
        data = make(4, UDP, bytes([number]) * dice.choice([1, 300, 900]), src=b"\x0a\0\0\2", dst=b"\x0a\0\0\1").data
        steps.append(Step("offer", t_s, (1, (t_s, data, len(data) - VIRTIO, 0, 64, -1))))
    trouble = dice.choice(["", f"{name}/trouble"])
    hosts = [dice.randrange(3), 0, 1, 2]

    def compare(some: list[Step] = steps) -> str:
        return compare_split(made, some, hosts, 1, trouble)

    return compare


@pytest.mark.parametrize("kind", [random_split, handovers])
@settings(max_examples=EXAMPLES)
@given(number=st.integers(0, 2**40))
def test_hosts_do_together_what_one_engine_does(kind, number):
    for place in range(SCRIPTS):
        compare = kind(f"{number}/hosts/{place}")
        if found := compare():
            steps = shortened(compare.__defaults__[0], lambda some, compare=compare: bool(compare(some)))
            told = "\n".join(str(step)[:300] for step in steps)
            raise AssertionError(f"{told}\n{compare(steps)}\nat first {found}")


def test_a_packet_that_comes_late_waits_for_the_last_departure_before_its_end_changed_hosts():
    """The old host should have sent it on, 10 ms before the step, when it was still sending another one."""
    nodes = tuple(
        NodeSpec(f"n{n}", "satellite" if n else "host", True, f"10.0.0.{n + 1}", forwards=n > 0, shared_downlink=n > 0)
        for n in range(3)
    )
    network = Network(nodes, (LinkSpec("n0:up", 0, 1, "up", "x", moving=True),), Timeline(STEP_S))
    delay_s, ends = np.full(2, 0.05), np.ones(2)
    rows = []
    for step in range(STEPS):
        peer = np.array([2 if step else 1, 0], np.int32)
        next_end = np.full((3, 3), -1, np.int32)
        next_end[1:, 0], next_end[0, 1:] = 0, 1
        rows.append(ScheduleRow(step, delay_s, delay_s, ends * 1e5, ends * 0, ends > 0, peer, next_end))
    made = Case(network, tuple(rows), 1)
    data = [make(4, UDP, bytes([n]) * 300, src=b"\x0a\0\0\2", dst=b"\x0a\0\0\1").data for n in range(2)]

    def came(hosts: list[int]) -> list[float]:
        split = HostsNetwork(made, np.array(hosts, np.int32))
        for number, now_s, offered_s in ((0, STEP_S - 0.03, STEP_S - 0.03), (1, STEP_S, STEP_S - 0.01)):
            assert split.play(now_s, WINDOW_S) == []
            size = len(data[number]) - VIRTIO
            assert sum(one.offer(1, offered_s, data[number], size, 0, 64) for one in split.engines) == 1
        return [one.at_s for one in split.play(HORIZON_S, WINDOW_S)]

    size_s = 8 * (len(data[0]) - VIRTIO) / 1e5
    first_s = STEP_S - 0.03 + size_s
    assert STEP_S - 0.01 < first_s < STEP_S
    assert came([0, 0, 1]) == came([0, 0, 0]) == pytest.approx([first_s + 0.05, first_s + size_s + 0.05])
