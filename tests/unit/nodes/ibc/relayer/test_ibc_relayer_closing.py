"""A relayer over ordered channels, and over channels that close: order is kept, and what cannot arrive is refunded."""

from __future__ import annotations

import pytest

from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.core import paths
from nodes.ibc.proto import channel
from nodes.ibc.relayer import clearing, control, core, lanes
from nodes.ibc.relayer.calls import Flow, Wait
from nodes.ibc.relayer.events import ChannelClosed, read
from nodes.ibc.relayer.packets import End
from tests.support.ibc_chain import address
from tests.support.ibc_lenient import Lenience
from tests.support.ibc_relayed import Node, World

ORDERED = "a b v1 transfer ordered"


def lenient(path: str) -> World:
    """Chains whose transfers take every kind of channel, and a relayer that has opened one."""
    net = World({name: Node(name, extensions=(Lenience(),)) for name in "ab"}, (path,))
    net.start("relayer-1")
    net.until(net.is_open)
    return net


def received(node: Node) -> list[int]:
    """Sequences of the packets that a chain has received, in the order in which it did."""
    results = (result for result in node.results if not result.code)
    events = (event for result in results for event in result.events if event.type == "recv_packet")
    return [int(event["packet_sequence"]) for event in events]


def closed(net: World, end: End) -> bool:
    """Whether a chain holds a channel end as closed."""
    held = net.nodes[end.chain].chain.state.stores["ibc"].get(paths.channel_end(end.port, end.channel))
    assert held is not None
    return channel.Channel.decode(held).state is channel.State.CLOSED


def test_an_ordered_channel_keeps_the_order_of_many_packets_for_two_relayers_with_two_keys() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "MOST_PACKETS", 8)
        net = lenient(ORDERED)
        net.keys["relayer-1"] = ("relayer-1", "relayer-1b")
        for name in ("relayer-1", "relayer-2"):
            net.start(name)
        net.until(net.is_open)
        for number in range(60):
            net.nodes["a"].transfer(net.ends()[0], 1, "stake", net.now_ns, 3600)
            if number == 40:
                net.step()
        net.relay_all()
    assert received(net.nodes["b"]) == list(range(1, 61))
    assert all(result.code == 0 for node in net.nodes.values() for result in node.results)
    net.check_escrow(net.ends())


def test_packets_of_an_ordered_channel_are_taken_up_in_their_order_after_a_restart() -> None:
    net = lenient(ORDERED)
    net.cut.add("b")
    for _ in range(30):
        net.nodes["a"].transfer(net.ends()[0], 1, "stake", net.now_ns, 3600)
    net.step()
    net.cut.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "MOST_PACKETS", 8)
        net.start("relayer-1")  # it finds them on its disk in the order of their names: 1, 10, 11, …
        net.relay_all(60)
    assert received(net.nodes["b"]) == list(range(1, 31))
    assert all(result.code == 0 for result in net.nodes["b"].results)


def test_a_timeout_closes_an_ordered_channel_at_both_ends_and_all_the_rest_is_refunded() -> None:
    """Of what was sent from a the first comes through, the second is late, the third is behind it. Of what was sent
    from b while a's end was closing nothing comes through."""
    net = lenient(ORDERED)
    here, there = net.ends()
    before = {name: node.balance(AccountKey.named("alice").address, "stake") for name, node in net.nodes.items()}
    net.nodes["a"].transfer(here, 5, "stake", net.now_ns, 3600)
    net.relay_all()
    net.cut.add("b")
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 4)
    net.nodes["a"].transfer(here, 9, "stake", net.now_ns, 36_000)
    net.nodes["b"].transfer(there, 11, "stake", net.now_ns, 36_000)
    net.run(8)
    net.cut.clear()
    net.until(lambda: closed(net, here) or not net.committed())
    if not closed(net, there):
        net.nodes["b"].transfer(there, 13, "stake", net.now_ns, 36_000)
    net.relay_all()
    assert closed(net, here)
    assert closed(net, there)
    assert received(net.nodes["b"]) == [1]
    spent = {name: amount - net.nodes[name].balance(AccountKey.named("alice").address, "stake")
             for name, amount in before.items()}  # fmt: skip
    assert spent == {"a": 5, "b": 11 * len(received(net.nodes["a"]))}
    net.check_escrow(net.ends())
    assert not net.relayers["relayer-1"].book.packets
    assert f"closed: {here.name} and {there.name}" in control.answer(net.relayers["relayer-1"], ["status"])[1]


def test_what_can_still_come_through_does_before_a_late_packet_closes_an_ordered_channel() -> None:
    net = lenient(ORDERED)
    here, _ = net.ends()
    net.cut.add("b")
    net.nodes["a"].transfer(here, 5, "stake", net.now_ns, 36_000)
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 4)
    net.run(8)
    net.cut.clear()
    net.relay_all()
    assert received(net.nodes["b"]) == [1]
    assert any(name.startswith("acknowledge_packet") for name in net.nodes["a"].events)
    assert closed(net, here)
    net.check_escrow(net.ends())


def test_a_relayer_that_is_killed_once_an_end_is_closed_brings_nothing_from_there_to_the_other() -> None:
    net = lenient(ORDERED)
    here, _ = net.ends()
    net.cut.add("b")
    net.nodes["a"].transfer(here, 5, "stake", net.now_ns, 4)
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 36_000)
    net.run(8)
    net.cut.clear()
    net.until(lambda: closed(net, here))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clearing, "_is_closed", no_answer)  # it has been told, before it was killed
        net.start("relayer-1")
        net.relay_all()
    assert received(net.nodes["b"]) == []


def no_answer(end: End) -> Flow[bool]:
    """Nothing is learned by asking."""
    yield Wait(lambda: True)
    return False


@pytest.mark.parametrize("path", ["a b v1 transfer", ORDERED])
def test_an_end_gets_its_acknowledgements_before_it_is_closed_because_the_other_one_is(path: str) -> None:
    net = lenient(path)
    here, there = net.ends()
    for _ in range(40):
        net.nodes["b"].transfer(there, 1, "stake", net.now_ns, 36_000)
    net.until(lambda: len(net.nodes["a"].chain.mempool) > 0)  # all of them
    net.nodes["a"].send(channel.MsgChannelCloseInit(here.port, here.channel, address("bob")), name="bob")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "MOST_PACKETS", 8)  # acknowledgements take some rounds
        net.relay_all()
    net.until(lambda: closed(net, there))
    assert received(net.nodes["a"]) == list(range(1, 41))
    assert sum(name.startswith("acknowledge_packet") for name in net.nodes["b"].events) == 40


def test_an_end_whose_closing_was_not_seen_is_found_by_asking() -> None:
    net = lenient("a b v1 transfer")
    here, there = net.ends()
    alice = AccountKey.named("alice").address
    before = net.nodes["a"].balance(alice, "stake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "read", lambda block: (each for each in read(block) if not isinstance(each, ChannelClosed)))
        net.nodes["b"].send(channel.MsgChannelCloseInit(there.port, there.channel, address("bob")), name="bob")
        net.step()
        net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 36_000)
        net.relay_all()
    assert net.nodes["a"].balance(alice, "stake") == before


@pytest.mark.parametrize("path", ["a b v1 transfer", ORDERED])
@pytest.mark.parametrize("restarted", [False, True])
def test_packets_to_a_channel_end_that_somebody_closed_are_refunded_before_their_time(
    path: str, restarted: bool
) -> None:
    net = lenient(path)
    here, there = net.ends()
    alice = AccountKey.named("alice").address
    before = [net.nodes[name].balance(alice, "stake") for name in "ab"]
    net.cut.add("b")
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 36_000)
    net.nodes["a"].transfer(here, 8, "stake", net.now_ns, 36_000)
    net.nodes["b"].transfer(there, 9, "stake", net.now_ns, 36_000)
    net.nodes["b"].send(channel.MsgChannelCloseInit(there.port, there.channel, address("bob")), name="bob")
    net.run(3)
    net.cut.clear()
    if restarted:
        net.start("relayer-1")
    net.relay_all(60)
    assert [net.nodes[name].balance(alice, "stake") for name in "ab"] == before
    net.until(lambda: closed(net, here))
    net.check_escrow(net.ends())
    assert sum(name.startswith("timeout_packet") for name in net.nodes["a"].events) == 2
