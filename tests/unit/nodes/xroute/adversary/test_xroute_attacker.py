"""The relayer that forges, against chains in memory: each forgery is refused by its check."""

from __future__ import annotations

import asyncio

import pytest
from sdk_net import context

from emulator.model.errors import Unfit
from nodes.xroute.adversary.attacker import Attacker, Played, Target
from nodes.xroute.adversary.forgeries import FORGERIES
from nodes.xroute.adversary.process import Attacker as Program
from tests.support.xroute_relayed import Net

RING = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "a"))
ATTACKER = "relayer-1b"


def test_each_forgery_is_refused_by_its_check_and_the_message_arrives_all_the_same() -> None:
    net = Net(RING, changes={"e": {"powers": (1000, 1, 1, 1)}})
    net.until(net.is_ready)
    target = Target("a", "d", fresh_s=40.0, timeout_s=25)
    attacker = Attacker(net.settings(ATTACKER), net.now_ns, target)
    net.cores[ATTACKER] = attacker
    played: list[Played] = []

    def over() -> bool:
        played.extend(attacker.played)
        attacker.played.clear()
        return attacker.done

    net.until(over, 150)
    assert [(each.name, each.expected, each.found) for each in played if not each.is_right] == []
    assert {each.name for each in played} >= set(FORGERIES)
    assert len(played) == len(FORGERIES) + 9
    net.until(net.settled, 30)
    assert net.core.jobs.settled == 2


@pytest.mark.parametrize("ends", [{}, {"source": "b", "destination": "d"}, {"fork": "f"}])
def test_it_attacks_chains_that_it_knows(ends: dict[str, str]) -> None:
    config = Program.Config(chains=("b", "c"), **({"source": "b", "destination": "c"} | ends if ends else {}))
    with pytest.raises(Unfit, match="some of b, c"):
        asyncio.run(Program(config, context("a")).setup())
