"""Relayers and accounts that work side by side: each packet is relayed once, and one pays for it."""

from __future__ import annotations

import pytest

from tests.support.ibc_relayed import Node, World

BOTH = pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])


def opened(path: str = "a b", **changes: object) -> World:
    net = World({name: Node(name) for name in "ab"}, (path,), **changes)  # type: ignore[arg-type]
    net.start("relayer-1")
    net.until(net.is_open)
    return net


DEEDS = {"send_packet", "recv_packet", "acknowledge_packet"}


@BOTH
def test_two_relayers_race_and_each_packet_is_relayed_once(path: str) -> None:
    net = opened(path)
    net.start("relayer-2")
    net.until(net.is_open)
    for node in net.nodes.values():
        node.results.clear()
    here, _ = net.ends()
    for _ in range(5):
        for _ in range(20):
            net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
        net.step()
    net.relay_all()
    net.check_escrow(net.ends())
    assert set(net.nodes["b"].events.values()) == {1}
    assert not any(relayer.book.packets for relayer in net.relayers.values())
    for node in net.nodes.values():  # one pays: each transaction in a block did something
        assert all({event.type for event in result.events} & DEEDS for result in node.results)


def test_two_keys_have_two_rounds_under_way_and_no_packet_is_in_both() -> None:
    net = opened(keys={"relayer-1": ("relayer-1", "relayer-1b")})
    here, _ = net.ends()
    for _ in range(4):
        for _ in range(40):
            net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
        net.tick()
        net.block("a")  # and none of b, so that rounds wait there
        net.settle()
    net.relay_all()
    relayer = net.relayers["relayer-1"]
    assert all(account.spent for account in relayer.signers["b"].accounts)
    assert all(result.code == 0 for node in net.nodes.values() for result in node.results)
    assert set(net.nodes["b"].events.values()) == {1}
