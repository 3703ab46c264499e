"""Transactions of one account, against a mempool that refuses, drops and forgets some of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.ibc.proto.cosmos import MsgSend
from nodes.ibc.proto.ibc import MsgUpdateClient
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Admission, Broadcast
from nodes.ibc.relayer.submission import REDUNDANT, Submission
from tests.support.ibc_relayed import Node, World

FIRST = 7  # the sequence of the account
FULL = Admission(-1, "rpc", "Internal error: mempool is full: number of txs 2 (max: 2)")


def group(number: int) -> list[Message]:
    """One message, that names the group."""
    return [MsgSend(to_address=str(number))]


def sign(messages: Sequence[Message], sequence: int) -> bytes:
    return b" ".join([str(sequence).encode(), *(message.encode() for message in messages)])


class Mempool:
    """That of a chain, with one account. Transactions of `redundant` groups are refused."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.redundant: set[bytes] = set()  # messages
        self.waiting: list[bytes] = []
        self.blocks: list[bytes] = []

    def hand_over(self, data: bytes) -> Admission:
        sequence, message = data.split(b" ")
        expected = FIRST + len(self.blocks) + len(self.waiting)
        if data in self.waiting or data in self.blocks:
            return Admission(-1, "rpc", "Internal error: tx already exists in cache")
        if len(self.waiting) >= self.room:
            return FULL
        if int(sequence) != expected:
            return Admission(32, "sdk", f"account sequence mismatch, expected {expected}, got {int(sequence)}: …")
        if message in self.redundant:
            return Admission(REDUNDANT[1], REDUNDANT[0], "packet messages are redundant")
        self.waiting.append(data)
        return Admission(0, "", "")

    def block(self, most: int) -> None:
        """A block with the first ones; of the others those go that it made useless, and all behind them."""
        self.blocks += self.waiting[:most]
        left, self.waiting = self.waiting[most:], []
        for data in left:
            self.hand_over(data)


@given(st.data())
def test_each_group_that_is_not_redundant_comes_into_a_block_once_and_in_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    mempool = Mempool(data.draw(st.integers(1, 7)))
    batch = Submission(map(group, range(count)), FIRST, sign)
    message = {place: group(place)[0].encode() for place in range(count)}
    confirmed: list[int] = []
    for _ in range(60):
        has_room = True
        while has_room and batch.unsent:
            mempool.redundant |= {message[each] for each in data.draw(st.sets(st.sampled_from(range(count))))}
            has_room = batch.handed_over([mempool.hand_over(each.data) for each in batch.unsent], 1)
        mempool.redundant |= {message[each] for each in data.draw(st.sets(st.sampled_from(range(count))))}
        mempool.block(data.draw(st.integers(1, 3)))
        confirmed += [each.place for each in batch.confirmed(range(FIRST, FIRST + len(mempool.blocks)))]
        if batch.is_over:
            break
        batch.doubt()
    assert batch.is_over
    assert [each.split(b" ")[1] for each in mempool.blocks] == [message[each] for each in confirmed]
    assert sorted([*confirmed, *batch.outcomes]) == list(range(count))
    assert all((each.codespace, each.code) == REDUNDANT for each in batch.outcomes.values())
    assert {message[each] for each in batch.outcomes} <= mempool.redundant
    assert batch.sequence == FIRST + len(confirmed)


def test_updates_of_a_redundant_transaction_go_on_with_the_next_one() -> None:
    update = MsgUpdateClient("07-tendermint-0")
    batch = Submission([[update, *group(0)], group(1)], FIRST, sign)
    batch.handed_over([Admission(22, "channel", "redundant"), Admission(32, "sdk", "expected 7, got 8")], 1)
    (sent,) = batch.unsent
    assert (sent.sequence, sent.group) == (FIRST, [update, *group(1)])


@pytest.mark.parametrize("expected", ["expected 7", "expected 9", "no number"])
def test_nothing_is_put_behind_transactions_of_before_that_still_wait(expected: str) -> None:
    """A mempool that is slow to empty would get the same messages again and again."""
    log = f"account sequence mismatch, {expected}, got 7: …"
    batch = Submission(map(group, range(2)), FIRST, sign)
    batch.handed_over([Admission(32, "sdk", log)] * 2, 1)
    assert batch.is_over
    assert batch.sequence is None
    assert all(outcome.lost for outcome in batch.outcomes.values())


def opened(*names: str) -> World:
    net = World({name: Node(name) for name in "ab"})
    for name in names:
        net.start(name)
    net.until(net.is_open)
    here, _ = net.ends()
    net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.relay_all()  # so that relayers know what gas is used
    return net


def sent(net: World, packets: int) -> None:
    """Packets of the newest block of a, known to the relayers, which have made no calls yet."""
    here, _ = net.ends()
    for _ in range(packets):
        net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.block("a")
    net.tick()
    net.block("a")


def broadcasts(net: World, name: str) -> int:
    """Where among the open calls a relayer's transactions are, after all calls before them."""
    for _ in range(1000):
        for place, (each, _, calls) in enumerate(net.open):
            is_broadcast = isinstance(calls[0], Broadcast)
            if is_broadcast and each == name:
                return place
            if not is_broadcast:
                net.serve(place)
                break
    raise AssertionError("no transaction")


def test_a_redundant_transaction_takes_none_of_those_behind_it_along() -> None:
    net = opened("relayer-1", "relayer-2")
    sent(net, 60)  # two transactions
    _, ticket, calls = net.open.pop(broadcasts(net, "relayer-2"))
    assert len(calls) == 2
    net.relayers["relayer-2"].answer(ticket, [net.nodes["b"].call(calls[0]), FULL])  # it was faster with one
    net.serve(broadcasts(net, "relayer-1"))
    net.serve(broadcasts(net, "relayer-1"))
    net.block("b")
    received = [kind for kind in net.nodes["b"].events if kind.startswith("recv_packet")]
    assert len(received) == 61
    assert not any(result.code for result in net.nodes["b"].results)


def test_a_transaction_that_a_mempool_has_forgotten_is_handed_over_again_after_two_blocks() -> None:
    net = opened("relayer-1")
    sent(net, 3)
    net.serve(broadcasts(net, "relayer-1"))
    net.nodes["b"].kill()
    assert net.relay_all() <= 8
