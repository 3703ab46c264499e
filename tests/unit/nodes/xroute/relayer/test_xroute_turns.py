"""Turns of relayers: one begins, and the next one does what it leaves undone."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.relayer.turns import Turns
from tests.support.xroute_relayed import Net

NAMES = ("relayer-1", "relayer-2")
CHAINS = [ChainIdentity(bytes([number]) * 32) for number in range(12)]


def test_for_each_pair_of_chains_one_relayer_begins_and_the_others_follow_apart() -> None:
    turns = [Turns(name, ["a", "b", "c"], 10) for name in "abc"]
    firsts: Counter[str] = Counter()
    for near, far in permutations(CHAINS, 2):
        waits = [each.wait_ns(near, far) for each in turns]
        assert sorted(waits) == [0, 10, 20]
        firsts["abc"[waits.index(0)]] += 1
    assert min(firsts.values()) > len(CHAINS) * 11 / 3 / 2


def test_without_turns_nobody_waits() -> None:
    assert Turns().wait_ns(*CHAINS[:2]) == 0


def test_what_the_first_leaves_undone_the_second_does_a_turn_later() -> None:
    net = Net((("a", "b"),), NAMES, turn_s=10.0)
    net.until(net.is_ready)
    dead = next(name for name, core in net.cores.items() if not core.settings.turns.wait_ns(*ends(net)))
    net.send("a", "b")
    net.step()
    net.until(net.settled, 10)  # by the relayer whose turn it is
    del net.cores[dead]
    net.send("a", "b")
    for _ in range(9):
        net.step()
    assert net.received("a", "b") == 100
    net.until(lambda: net.received("a", "b") == 200, 5)


def ends(net: Net) -> tuple[ChainIdentity, ChainIdentity]:
    """Of a delivery from a to b: who is shown it, and what holds it."""
    return net.identities["b"], net.identities["a"]
