"""Packet forwarding over three chains: one answer for the whole way, and refunds from every hop that fails."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from ibc_world import (
    SECOND_NS,
    Link,
    World,
    answer,
    packet_in,
    refused,
    sent,
    transfer,
)

from nodes.ibc.core.denominations import Denomination, Hop
from nodes.ibc.core.forward import DEFAULT_TIMEOUT_NS, Instructions, InvalidMemo, forwarding_account, held_packets
from nodes.ibc.core.router import Outcome
from nodes.ibc.core.transfer import escrow_account
from nodes.ibc.proto import channel as ch

OK = b'{"result":"AQ=="}'


@dataclass
class Line:
    """a, b, c and d in a line; channels are numbered from the left on each chain."""

    world: World
    ab: Link
    bc: Link
    cd: Link

    @classmethod
    def make(cls) -> Line:
        world = World()
        a, b, c, d = (world.add(name) for name in "abcd")
        links = [world.open_channel(world.connect(*pair)) for pair in ((a, b), (b, c), (c, d))]
        a.fund("stake", 100)
        return cls(world, *links)

    def send(self, memo: object, amount: int = 40) -> ch.Packet:
        return sent(transfer(self.ab.a, "stake", amount, "pfm", memo=json.dumps(memo)))

    def balances(self) -> tuple[int, int, int, int]:
        """Stake on a; its vouchers on b, c and d."""
        b = Denomination("stake", (Hop("transfer", "channel-0"),))
        c = b.through("transfer", "channel-0")
        d = c.through("transfer", "channel-0")
        chains = (self.ab.a.chain, self.ab.b.chain, self.bc.b.chain, self.cd.b.chain)
        stake, *vouchers = ("stake", b.local, c.local, d.local)
        return (
            chains[0].balance(stake),
            *(chain.supply(name) for chain, name in zip(chains[1:], vouchers, strict=True)),
        )  # type: ignore[return-value]

    def escrows(self) -> tuple[int, int, int]:
        """Of a towards b, b towards c, c towards d."""
        b = Denomination("stake", (Hop("transfer", "channel-0"),))
        c = b.through("transfer", "channel-0")
        return (
            self.ab.a.chain.balance("stake", escrow_account("transfer", "channel-0")),
            self.bc.a.chain.balance(b.local, escrow_account("transfer", "channel-1")),
            self.cd.a.chain.balance(c.local, escrow_account("transfer", "channel-1")),
        )


def to_c(receiver: str = "c1" + b"user".hex(), **more: object) -> dict[str, object]:
    return {"forward": {"receiver": receiver, "port": "transfer", "channel": "channel-1", **more}}


def to_d(receiver: str = "d1" + b"user".hex(), **more: object) -> dict[str, object]:
    return to_c("pfm", next=to_c(receiver, **more))


def onward(outcome: Outcome) -> ch.Packet:
    assert "write_acknowledgement" not in [each.type for each in outcome.events]
    return sent(outcome)


def test_two_forwards_and_one_answer() -> None:
    line = Line.make()
    first = line.send(to_d())
    second = onward(line.world.receive(line.ab, first))
    third = onward(line.world.receive(line.bc, second))
    assert json.loads(second.data)["memo"] == json.dumps(to_c("d1" + b"user".hex()), separators=(",", ":"))
    assert "memo" not in json.loads(third.data)
    received = line.world.receive(line.cd, third)
    assert answer(received) == OK
    assert line.balances() == (60, 40, 40, 40)
    at_c = line.world.acknowledge(line.cd, third, OK)
    at_b = line.world.acknowledge(line.bc, second, answer(at_c))
    assert answer(at_b) == OK
    done = line.world.acknowledge(line.ab, first, answer(at_b))
    assert done.response == ch.MsgAcknowledgementResponse(ch.ResponseResultType.SUCCESS)
    assert line.balances() == (60, 40, 40, 40)
    assert line.escrows() == (40, 40, 40)
    for chain in line.world.chains.values():
        assert held_packets(chain.stores["packetfowardmiddleware"]) == {}


def test_nobody_else_can_have_the_tokens_on_the_way() -> None:
    line = Line.make()
    first = line.send(to_c())
    onward(line.world.receive(line.ab, first))
    b = line.ab.b.chain
    holder = forwarding_account("channel-0", line.ab.a.chain.user())
    assert forwarding_account("channel-1", line.ab.a.chain.user()) != holder
    voucher = Denomination("stake", (Hop("transfer", "channel-0"),)).local
    assert b.balance(voucher, holder) == 0
    assert list(held_packets(b.stores["packetfowardmiddleware"])) == ["channel-1/transfer/1"]


def test_failure_at_the_last_hop_refunds_all_the_way() -> None:
    line = Line.make()
    first = line.send(to_d(receiver="nobody"))
    second = onward(line.world.receive(line.ab, first))
    third = onward(line.world.receive(line.bc, second))
    received = line.world.receive(line.cd, third)
    assert answer(received).startswith(b'{"error":')
    at_c = line.world.acknowledge(line.cd, third, answer(received))
    assert line.balances() == (60, 40, 0, 0)
    at_b = line.world.acknowledge(line.bc, second, answer(at_c))
    assert line.balances() == (60, 0, 0, 0)
    line.world.acknowledge(line.ab, first, answer(at_b))
    assert line.balances() == (100, 0, 0, 0)
    assert line.escrows() == (0, 0, 0)


def test_failure_at_the_middle_hop_refunds() -> None:
    line = Line.make()
    wrong = {"forward": {"receiver": "x", "port": "transfer", "channel": "channel-9"}}
    first = line.send(to_c("pfm", next=wrong))
    second = onward(line.world.receive(line.ab, first))
    received = line.world.receive(line.bc, second)
    assert answer(received).startswith(b'{"error":"packet-forward-middleware error: error forwarding packet')
    at_b = line.world.acknowledge(line.bc, second, answer(received))
    line.world.acknowledge(line.ab, first, answer(at_b))
    assert line.balances() == (100, 0, 0, 0)
    assert line.escrows() == (0, 0, 0)


@pytest.mark.parametrize("memo", [
    {"forward": 1}, {"forward": {}}, {"forward": {"receiver": "", "port": "transfer", "channel": "channel-1"}},
    {"forward": {"receiver": "r", "port": "transfer", "channel": "x"}}, to_c(retries=256), to_c(retries=-1),
    to_c(retries=True), to_c(timeout="soon"), to_c(timeout=-1), to_c(timeout=1.5), to_c(next=5),
    to_c(receiver="\ud800"), to_c(next={"\ud800": 1}), to_c(timeout=2**63), to_c(timeout="9999999999h"),
])  # fmt: skip
def test_memo_that_asks_wrongly_is_answered_with_an_error(memo: object) -> None:
    line = Line.make()
    first = line.send(memo)
    received = line.world.receive(line.ab, first)
    assert answer(received).startswith(b'{"error":"packet-forward-middleware error: ')
    line.world.acknowledge(line.ab, first, answer(received))
    assert line.balances() == (100, 0, 0, 0)


def test_receiver_that_is_too_long_is_answered_with_an_error() -> None:
    line = Line.make()
    first = line.send(to_c(receiver="x" * 2049))
    assert answer(line.world.receive(line.ab, first)).startswith(
        b'{"error":"packet-forward-middleware error: error forw'
    )


def test_memo_that_asks_for_nothing_is_a_transfer() -> None:
    line = Line.make()
    b = line.ab.b.chain
    for memo in (
        "",
        "hi",
        "{",
        "[]",
        "null",
        '{"wasm":{}}',
        '{"forward":null}',
        '{"forward":{},"forward":{}}',
        "1" * 5000,
    ):
        packet = sent(transfer(line.ab.a, "stake", 1, b.user(), memo=memo))
        assert answer(line.world.receive(line.ab, packet)) == OK


def test_timeout_without_retries_refunds() -> None:
    line = Line.make()
    first = line.send(to_c(timeout="30s"))
    second = onward(line.world.receive(line.ab, first))
    line.bc.b.chain.commit(seconds=100)
    timed_out = line.world.timeout(line.bc, second)
    told = answer(timed_out)
    assert told == (
        b'{"error":"packet-forward-middleware error: giving up on packet on channel (channel-1) port (transfer) '
        b'after max retries"}'
    )
    line.world.acknowledge(line.ab, first, told)
    assert line.balances() == (100, 0, 0, 0)
    assert line.escrows() == (0, 0, 0)


def test_timeout_is_retried_and_then_given_up() -> None:
    line = Line.make()
    first = line.send(to_c(timeout=30 * SECOND_NS, retries=1))
    second = onward(line.world.receive(line.ab, first))
    for chain in line.world.chains.values():
        chain.commit(seconds=100)
    again = onward(line.world.timeout(line.bc, second))
    assert again.sequence == 2
    assert again.timeout_timestamp == line.bc.a.chain.time_ns + 30 * SECOND_NS
    assert line.escrows() == (40, 40, 0)
    for chain in line.world.chains.values():
        chain.commit(seconds=1000)
    line.world.acknowledge(line.ab, first, answer(line.world.timeout(line.bc, again)))
    assert line.balances() == (100, 0, 0, 0)
    assert line.escrows() == (0, 0, 0)


def test_timeout_is_retried_and_succeeds() -> None:
    line = Line.make()
    first = line.send(to_c(timeout=30 * SECOND_NS, retries=2))
    second = onward(line.world.receive(line.ab, first))
    for chain in line.world.chains.values():
        chain.commit(seconds=100)
    again = onward(line.world.timeout(line.bc, second))
    received = line.world.receive(line.bc, again)
    at_b = line.world.acknowledge(line.bc, again, answer(received))
    assert answer(at_b) == OK
    line.world.acknowledge(line.ab, first, OK)
    assert line.balances() == (60, 40, 40, 0)


def test_retry_that_succeeds_leaves_nothing_behind() -> None:
    line = Line.make()
    first = line.send(to_c(timeout=30 * SECOND_NS, retries=2))
    second = onward(line.world.receive(line.ab, first))
    for chain in line.world.chains.values():
        chain.commit(seconds=100)
    again = onward(line.world.timeout(line.bc, second))
    held = held_packets(line.bc.a.chain.stores["packetfowardmiddleware"])
    assert list(held) == ["channel-1/transfer/2"]
    assert held["channel-1/transfer/2"].retries == 1
    line.world.acknowledge(line.bc, again, answer(line.world.receive(line.bc, again)))
    assert not line.bc.a.chain.stores["packetfowardmiddleware"].values


def test_retry_that_cannot_be_sent_gives_up() -> None:
    line = Line.make()
    first = line.send(to_c(timeout=30 * SECOND_NS, retries=9))
    second = onward(line.world.receive(line.ab, first))
    b, c = line.bc.a.chain, line.bc.b.chain
    c.commit(seconds=10**6)  # so far ahead that a new packet would be late at once
    timed_out = line.world.timeout(line.bc, second)
    line.world.acknowledge(line.ab, first, answer(timed_out))
    assert line.balances() == (100, 0, 0, 0)
    assert held_packets(b.stores["packetfowardmiddleware"]) == {}


def test_token_on_its_way_home_is_released_and_sent_on() -> None:
    """From c through b to a: at b it is released from escrow, and burnt towards a; failures undo both."""
    line = Line.make()
    first = line.send(to_c())
    second = onward(line.world.receive(line.ab, first))
    at_b = line.world.acknowledge(line.bc, second, answer(line.world.receive(line.bc, second)))
    line.world.acknowledge(line.ab, first, answer(at_b))
    voucher = Denomination("stake", (Hop("transfer", "channel-0"), Hop("transfer", "channel-0"))).local
    back, receiver = {"port": "transfer", "channel": "channel-0"}, line.ab.a.chain.user()
    for who, amount, expected in (("nobody", 10, (60, 40, 40, 0)), (receiver, 15, (75, 25, 25, 0))):
        memo = json.dumps({"forward": {"receiver": who, **back}})
        away = sent(transfer(line.bc.b, voucher, amount, "pfm", memo=memo))
        home = onward(line.world.receive(line.bc.back, away))
        received = line.world.receive(line.ab.back, home)
        at_b = line.world.acknowledge(line.ab.back, home, answer(received))
        line.world.acknowledge(line.bc.back, away, answer(at_b))
        assert line.balances() == expected
    assert line.escrows() == (25, 25, 0)


def test_token_that_turns_back_and_fails_is_refunded_once() -> None:
    """From a to b and back to a through the same channel: burnt at b, and not made again when a refuses it."""
    line = Line.make()
    memo = {"forward": {"receiver": "nobody", "port": "transfer", "channel": "channel-0"}}
    first = line.send(memo)
    second = onward(line.world.receive(line.ab, first))
    assert line.balances() == (60, 0, 0, 0)
    received = line.world.receive(line.ab.back, second)
    at_b = line.world.acknowledge(line.ab.back, second, answer(received))
    line.world.acknowledge(line.ab, first, answer(at_b))
    assert line.balances() == (100, 0, 0, 0)
    assert line.escrows() == (0, 0, 0)


def test_answer_of_a_forwarded_packet_is_taken_once() -> None:
    line = Line.make()
    first = line.send(to_c(receiver="nobody"))
    second = onward(line.world.receive(line.ab, first))
    received = line.world.receive(line.bc, second)
    at_b = line.world.acknowledge(line.bc, second, answer(received))
    again = line.world.acknowledge(line.bc, second, answer(received))
    assert again.response == ch.MsgAcknowledgementResponse(ch.ResponseResultType.NOOP)
    line.bc.b.chain.commit(seconds=700)
    late = line.world.timeout(line.bc, second)
    assert late.response == ch.MsgTimeoutResponse(ch.ResponseResultType.NOOP)
    assert packet_in(at_b.events[-2]).sequence == first.sequence
    refused(lambda: line.world.acknowledge(line.ab, first, OK), "client", 30)
    line.world.acknowledge(line.ab, first, answer(at_b))
    assert line.balances() == (100, 0, 0, 0)


def test_instructions() -> None:
    assert Instructions.parse(json.dumps(to_c("r", timeout="1h2m3.5s", retries=3))) == Instructions(
        "r", "transfer", "channel-1", (3723 * 10 + 5) * SECOND_NS // 10, 3, ""
    )
    plain = Instructions.parse(json.dumps(to_c("r", next='{"forward":{}}')))
    assert plain is not None
    assert (plain.timeout_ns, plain.retries, plain.next) == (DEFAULT_TIMEOUT_NS, 0, '{"forward":{}}')
    with pytest.raises(InvalidMemo, match="retries"):
        Instructions.parse(json.dumps(to_c("r", retries=1.0)))
    ordered = Instructions.parse(
        '{"forward":{"receiver":"r","port":"transfer","channel":"channel-1","next":{"b":1,"a":2}}}'
    )
    assert ordered is not None
    assert ordered.next == '{"b":1,"a":2}'
