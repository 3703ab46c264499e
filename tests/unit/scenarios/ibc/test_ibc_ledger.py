"""The audit of chains in memory: what it counts, and that each harm that a chain could do shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodes.ibc.core.denominations import Denomination
from nodes.ibc.relayer.calls import Block, BlockAt
from scenarios.ibc.ledger import Ledger
from scenarios.ibc.load import memo
from tests.support.ibc_chain import address
from tests.support.ibc_relayed import Node, World

Doctor = Callable[[str, Block], Block]
COUNTS = ("stuck", "lost", "duplicated", "wrongly_refunded")


def world(*paths: str) -> World:
    names = dict.fromkeys(name for path in paths for name in path.split()[:2])
    net = World({name: Node(name) for name in names}, paths)
    net.start("relayer-1")
    net.until(net.is_open)
    return net


def audited(net: World, doctor: Doctor = lambda chain, block: block) -> tuple[dict[str, int | float], list[bool]]:
    """Figures and, for each escrow account, whether it holds what it must."""
    ledger = Ledger([opened.ends for opened in net.relayers["relayer-1"].opened.values()])
    for name, node in net.nodes.items():
        for height in range(1, node.chain.height + 1):
            ledger.read(name, doctor(name, node.call(BlockAt(name, height))))
    right = []
    for holding in ledger.holdings():
        held, vouchers = (int(net.nodes[call.chain].call(call).value or 0) for call in holding.amounts(ledger.heights))
        right.append(held == vouchers + holding.in_flight)
    return ledger.figures(ledger.acknowledged), right


@pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])
def test_packets_that_came_back_settled_are_counted_once(path: str) -> None:
    net = world(path)
    here, there = net.ends()
    for _ in range(5):
        net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 600)
        net.nodes["b"].transfer(there, 4, "stake", net.now_ns, 600)
    net.relay_all()
    figures, right = audited(net)
    assert (figures["sent"], figures["received"], figures["acknowledged"]) == (10, 10, 10)
    assert [figures[name] for name in COUNTS] == [0, 0, 0, 0]
    assert right == [True, True]
    assert figures["busy_s"] > figures["sending_s"] >= 0


@pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])
def test_what_is_on_the_way_or_refunded_is_part_of_the_sum(path: str) -> None:
    net = world(path)
    here, _ = net.ends()
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 4)
    net.cut.add("b")
    net.run(3)
    figures, right = audited(net)
    assert (figures["sent"], figures["stuck"], right) == (1, 1, [True])  # committed, and nobody has received it
    net.run(6)
    net.cut.clear()
    net.relay_all()
    figures, right = audited(net)
    assert (figures["timed_out"], figures["stuck"], figures["wrongly_refunded"], right) == (1, 0, 0, [True])


def test_a_forwarded_transfer_that_is_refused_is_refunded_on_each_hop() -> None:
    net = world("a b v1 transfer")
    net.nodes["a"].transfer(net.ends()[0], 3, "stake", net.now_ns, 600, memo=memo([net.ends()[1]], "nobody"))
    net.relay_all()
    figures, right = audited(net)
    assert (figures["failed"], figures["acknowledged"], figures["wrongly_refunded"], right) == (2, 2, 0, [True])


def test_vouchers_that_go_back_release_what_was_kept() -> None:
    net = world("a b")
    here, there = net.ends()
    net.nodes["a"].transfer(here, 9, "stake", net.now_ns, 600, receiver="alice")
    net.relay_all()
    voucher = Denomination("stake").through("transfer", there.client).local
    net.nodes["b"].transfer(there, 4, voucher, net.now_ns, 600)
    net.step()
    assert audited(net)[1] == [True]  # on the way back
    net.relay_all()
    figures, right = audited(net)
    assert (figures["acknowledged"], right) == (2, [True])


def test_a_transfer_that_is_forwarded_is_a_packet_on_each_hop() -> None:
    net = world("a b v1 transfer", "b c v1 transfer")
    (first, _), (second, _) = (opened.ends for opened in net.relayers["relayer-1"].opened.values())
    assert memo([], "bob") == ""
    receiver = address("bob")
    net.nodes["a"].transfer(first, 5, "stake", net.now_ns, 600, memo=memo([second], receiver))
    held = 0
    for _ in range(30):
        net.step()
        figures, right = audited(net)
        assert all(right), right
        held += figures["received"] == 1 and figures["stuck"] == 2
    assert held  # the first hop waits for the second one to be settled
    assert (figures["sent"], figures["acknowledged"], len(right)) == (2, 2, 2)


def without(kind: str) -> Doctor:
    """A chain that keeps an event of the last packet to itself."""
    return _changed(lambda events: [event for event in events if not _is(event, kind)])


def twice(kind: str) -> Doctor:
    return _changed(lambda events: [each for event in events for each in [event] * (1 + _is(event, kind))])


def instead(kind: str, other: str) -> Doctor:
    return _changed(lambda events: [replace(event, type=other) if _is(event, kind) else event for event in events])


def _is(event: Any, kind: str) -> bool:
    return bool(event.type == kind and ("packet_sequence", "2") in event.attributes)


def _changed(change: Callable[[Any], list[Any]]) -> Doctor:
    def doctor(chain: str, block: Block) -> Block:
        results = (replace(result, events=tuple(change(result.events))) for result in block.results)
        return replace(block, results=tuple(results))

    return doctor


@pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])
@pytest.mark.parametrize(
    ("doctor", "counted", "escrow_ok"),
    [
        (without("recv_packet"), "lost", False),
        (without("acknowledge_packet"), "stuck", True),
        (twice("send_packet"), "duplicated", False),
        (twice("recv_packet"), "duplicated", True),
        (twice("acknowledge_packet"), "duplicated", True),
        (instead("acknowledge_packet", "timeout_packet"), "wrongly_refunded", False),
    ],
)
def test_a_doctored_chain_shows(path: str, doctor: Doctor, counted: str, escrow_ok: bool) -> None:
    net = world(path)
    here, _ = net.ends()
    for _ in range(3):
        net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 600)
    net.relay_all()
    figures, right = audited(net, doctor)
    assert figures[counted] == 1
    assert right == [escrow_ok]


def test_vouchers_from_nowhere_show() -> None:
    net = world("a b")
    here, there = net.ends()
    net.nodes["a"].transfer(here, 9, "stake", net.now_ns, 600)
    net.relay_all()
    node = net.nodes["b"].chain
    voucher = Denomination("stake").through("transfer", there.client).local
    context = node.app.context(node.state.stores, node.moment)
    node.app.bank.mint(context, node.app.bank.account(address("bob")), voucher, 1)
    net.step()
    assert audited(net)[1] == [False]
