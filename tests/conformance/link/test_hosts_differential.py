"""A network split over hosts gives what one engine gives, bit for bit, whatever the trunks do to datagrams."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from host_networks import HostsNetwork
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import HORIZON_S, Case, case, script
from scripts import Dice, Step
from test_network_differential import complain, difference, lanes_apart, model_story

from emulator.link.stats import EndStats

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


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**40))
def test_hosts_do_together_what_one_engine_does(number):
    for place in range(SCRIPTS):
        dice = Dice(f"{number}/hosts/{place}")
        dice.least_s = LEAST_S
        made = case(dice)
        hosts = lanes_apart(dice, made, dice.choice([2, 2, 3]))
        lanes, trouble = dice.choice([1, 1, 2]), dice.choice(["", f"{number}/trouble"])
        complain(
            made,
            script(dice, made),
            lambda steps, made=made, hosts=hosts, lanes=lanes, trouble=trouble: compare_split(
                made, steps, hosts, lanes, trouble
            ),
        )
