"""Messages between chains over one to four hops, in every mode: delivered once, answered, or timed out and refunded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.ibc.chain.results import TxResult
from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer import escrow_account
from nodes.ibc.proto.channel import ResponseResultType
from nodes.xroute.identity import application_client
from nodes.xroute.module import book
from nodes.xroute.module.errors import INVALID_MODEL, NOT_ENOUGH_VOTES, NOT_SENT, TOO_EARLY
from nodes.xroute.module.fees import ESCROW
from nodes.xroute.module.messages import (
    MsgAcknowledge,
    MsgDeliver,
    MsgDeliverByModel,
    MsgRelease,
    MsgTimeout,
)
from nodes.xroute.module.model import model_object
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import HopRecord, Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_quorum import TERMS, VOTERS, announcement, with_stakes
from tests.support.xroute_world import FUNDS, World, answer_in, attribute, response_in

LINE = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"))
DONE, NOOP = ResponseResultType.SUCCESS, ResponseResultType.NOOP


@pytest.mark.parametrize("route", ["ba", "cba", "dcba", "edcba"])
def test_a_message_is_delivered_and_answered_over_one_to_four_hops(route: str) -> None:
    world = World(LINE[: len(route) - 1])
    there, here = route[0], route[-1]
    parcel = world.send(here, there)
    delivered = world.deliver(route, parcel)
    assert delivered.code == 0, delivered.log
    voucher = world.voucher(here, there)
    assert world[there].balance_of("bob", voucher) == 100
    answered = world.acknowledge(route[::-1], parcel, answer_in(delivered))
    assert answered.code == 0, answered.log
    assert world[here].context().ibc.get(parcel.commitment_key) is None
    assert world[here].balance_of("alice") == FUNDS - 100


def test_validators_are_shown_to_each_end_once() -> None:
    world = World(LINE[:2])
    policy = "xroute/1; require each chain nakamoto >= 2"
    for brings in (True, False):
        parcel = world.send("a", "c", policy=policy)
        given = {"with_validators": brings, "policy": parse(policy).encode() if brings else b""}
        delivered = world.deliver("cba", parcel, **given)
        assert delivered.code == 0, delivered.log
        answered = world.acknowledge("abc", parcel, answer_in(delivered), with_validators=brings)
        assert answered.code == 0, answered.log


def test_coins_that_come_back_are_the_same_coins() -> None:
    world = World(LINE[:2])
    there = world.deliver("cba", world.send("a", "c"))
    assert there.code == 0, there.log
    voucher = Denomination("stake").through("transfer", application_client(world["a"].identity))
    back = world.deliver("abc", world.send("c", "a", 40, denom=voucher, sender="bob"))
    assert back.code == 0, back.log
    escrow = escrow_account("transfer", application_client(world["c"].identity))
    assert world["a"].balance(escrow) == 60
    assert world["a"].balance_of("bob") == FUNDS + 40
    assert world["c"].balance_of("bob", voucher.local) == 60


def test_a_message_is_delivered_once_by_whatever_routes() -> None:
    world = World((("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")))
    parcel = world.send("a", "d")
    assert response_in(world.deliver("dba", parcel)).result is DONE
    again = world.proof("dca", parcel.packet, parcel.commitment_key)
    refused = world["d"].do("other", MsgDeliver(again.encode(), address("other")))
    assert (refused.codespace, refused.code) == ("channel", 22), "the mempool takes no transaction that does nothing"
    assert world["d"].balance_of("bob", world.voucher("a", "d")) == 100


def test_a_route_that_dies_is_replaced_by_another_without_a_new_transaction_at_the_source() -> None:
    world = World((("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")))
    parcel = world.send("a", "d")
    world["a"].blocks(1)  # b makes no more blocks: nothing of the message can be proved through it
    delivered = world.deliver("dca", parcel)
    assert delivered.code == 0, delivered.log
    assert not world.acknowledge("acd", parcel, answer_in(delivered)).code


def test_a_message_that_is_late_is_refunded_and_never_delivered_after() -> None:
    world = World(LINE[:3])
    parcel = world.send("a", "d", timeout_s=60)
    early = world.time_out("abcd", parcel)
    assert (early.codespace, early.code) == ("xroute", 7)
    world.wait_until(parcel.packet.timeout_timestamp)
    late = world.deliver("dcba", parcel)
    assert (late.codespace, late.code) == ("xroute", 104)
    assert not world.time_out("abcd", parcel).code
    assert world["a"].balance_of("alice") == FUNDS
    proof = world.proof("abcd", parcel.packet, parcel.receipt_key)
    assert world["a"].do("relayer", MsgTimeout(proof.encode(), address("relayer"))).code == 22  # a no-op


def test_a_message_that_was_delivered_cannot_time_out() -> None:
    world = World(LINE[:2])
    parcel = world.send("a", "c", timeout_s=60)
    assert not world.deliver("cba", parcel).code
    world.wait_until(parcel.packet.timeout_timestamp)
    refused = world.time_out("abc", parcel)
    assert (refused.codespace, refused.code) == ("xroute", 109)


def test_an_application_that_fails_is_answered_with_an_error_and_the_sender_is_refunded() -> None:
    world = World(LINE[:2])
    parcel = world.send("a", "c", receiver=world["c"].chain.app.bank.address(ESCROW))
    failed = world.deliver("cba", parcel)
    assert failed.code == 0, failed.log
    answer = answer_in(failed)
    assert answer.acknowledgement.app_acknowledgements == (UNIVERSAL_ERROR,)
    assert not world.acknowledge("abc", parcel, answer).code
    assert world["a"].balance_of("alice") == FUNDS


def test_answers_cannot_be_made_up() -> None:
    world = World(LINE[:2])
    parcel = world.send("a", "c")
    delivered = world.deliver("cba", parcel)
    proof = world.proof("abc", parcel.packet, parcel.acknowledgement_key, with_validators=True)
    other = answer_in(world.deliver("cba", world.send("a", "c", 7)))
    refused = world["a"].do("relayer", MsgAcknowledge(proof.encode(), other, address("relayer")))
    assert (refused.codespace, refused.code) == ("xroute", 109)
    assert not world.acknowledge("abc", parcel, answer_in(delivered)).code


def test_answers_come_without_records_of_chains_that_were_not_passed() -> None:
    world = World((*LINE[:2], ("a", "c")))
    policy = f"xroute/1; require via any {{{world['b'].identity.hex()}}}"
    parcel = world.send("a", "c", policy=policy)
    delivered = world.deliver("cba", parcel, policy=parse(policy).encode())
    made_up = [
        HopRecord(each, time_ns=world.clock.now_ns, trusting_ns=1 << 50) for each in (bytes(32), world["b"].identity)
    ]
    for records in (made_up, [HopRecord(b"no identity")]):
        refused = world.acknowledge("ac", parcel, answer_in(delivered), records=records)
        assert (refused.codespace, refused.code) == ("xroute", 107), refused.log
    assert not world.acknowledge("abc", parcel, answer_in(delivered)).code


# Several routes, receivers, connections of v1.


def test_a_policy_of_disjoint_routes_wants_as_many() -> None:
    world = World((("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"), ("b", "c")))
    policy = "xroute/1; require disjoint 2"
    parcel = world.send("a", "d", policy=policy)
    given = {"policy": parse(policy).encode()}
    first = world.deliver("dba", parcel, **given)
    assert (first.code, response_in(first).routes) == (0, 1)
    context = world["d"].context()
    assert book.read(context, book.routes(parcel.id), book.RoutesUsed)
    context.time_ns = parcel.packet.timeout_timestamp * SECOND_NS
    book.drop_ended(context, 1)
    assert not book.read(context, book.routes(parcel.id), book.RoutesUsed), "it can no longer arrive"
    shared = world.deliver("dcba", parcel)
    assert (shared.codespace, shared.code) == ("channel", 22), "b is on both routes"
    assert world["d"].balance_of("bob", world.voucher("a", "d")) == 0
    second = world.deliver("dca", parcel)
    assert (second.code, response_in(second).routes) == (0, 2)
    assert not book.read(world["d"].context(), book.routes(parcel.id), book.RoutesUsed)
    assert world["d"].balance_of("bob", world.voucher("a", "d")) == 100


def test_a_route_may_lead_over_a_connection_of_v1() -> None:
    world = World(LINE[:2])
    world.open_connection("b", "a")
    world.open_connection("c", "b")
    parcel = world.send("a", "c", policy="xroute/1; require each hop delay <= 0s")
    legs = tuple(replace(leg, connection="connection-0") for leg in world.legs("cba"))
    policy = parse("xroute/1; require each hop delay <= 0s").encode()
    delivered = world.deliver("cba", parcel, legs=legs, policy=policy)
    assert delivered.code == 0, delivered.log


# Mode HOP.


def pass_on(
    world: World, way: str, parcel: Parcel, records: tuple[HopRecord, ...] = (), policy: bytes = b""
) -> TxResult:
    """Let the second chain of a part of the way take a message from the first one."""
    before, here = way
    key, _ = parcel.committed(records)
    proof = world.proof(
        here + before, parcel.packet, key, records=records, with_validators=True, policy=policy
    )  # fmt: skip
    result = world[here].do("relayer", MsgDeliver(proof.encode(), address("relayer")))
    assert result.code == 0, result.log
    return result


def records_in(result: TxResult) -> tuple[HopRecord, ...]:
    return RouteProof.decode(bytes.fromhex(attribute(result, "xroute_forward", "forwarded"))).records


@pytest.mark.parametrize("way", ["ab", "abc", "abcd", "abcde"])
def test_transits_verify_commit_anew_and_pass_on(way: str) -> None:
    world = World(LINE[: len(way) - 1])
    source, destination = way[0], way[-1]
    policy = f"xroute/1; require each chain nakamoto >= 2; require mode {{hop}}; limit hops {len(way) - 1}"
    parcel = world.send(source, destination, policy=policy, mode=Mode.HOP, transits=way[1:-1])
    records: tuple[HopRecord, ...] = ()
    for place in range(1, len(way) - 1):
        records = records_in(pass_on(world, way[place - 1 : place + 1], parcel, records))
    result = pass_on(world, way[-2:], parcel, records, parse(policy).encode())
    assert world[destination].balance_of("bob", world.voucher(source, destination)) == 100
    for place in reversed(range(len(way) - 1)):
        settled = world.acknowledge(way[place : place + 2], parcel, answer_in(result))
        assert settled.code == 0, settled.log
    assert world[source].context().ibc.get(parcel.commitment_key) is None


def test_a_message_of_mode_hop_that_is_stuck_is_refunded_from_where_it_is() -> None:
    world = World(LINE[:3])
    parcel = world.send("a", "d", mode=Mode.HOP, transits="bc", timeout_s=120)
    pass_on(world, "bc", parcel, records_in(pass_on(world, "ab", parcel)))
    world.wait_until(parcel.packet.timeout_timestamp)
    refused = world.time_out("ab", parcel)
    assert (refused.codespace, refused.code) == ("xroute", 109), "b has it"
    stuck = world.time_out("cd", parcel)
    assert stuck.code == 0, stuck.log
    answer = answer_in(stuck)
    for route in ("bc", "ab"):
        settled = world.acknowledge(route, parcel, answer)
        assert settled.code == 0, settled.log
    assert world["a"].balance_of("alice") == FUNDS


def test_a_transit_passes_nothing_back_of_another_message_with_the_same_sequence() -> None:
    world = World(LINE[:3])
    parcel = world.send("a", "d", mode=Mode.HOP, transits="bc", timeout_s=600)
    pass_on(world, "ab", parcel)
    late = Parcel.of(replace(parcel.packet, timeout_timestamp=1))
    refused = world.time_out("bc", late)  # c has not got the message yet, and still may
    assert (refused.codespace, refused.code) == ("xroute", NOT_SENT.code), refused.log
    assert world["b"].context().ibc.get(parcel.acknowledgement_key) is None


# Mode QUORUM.


def test_a_quorum_delivers_after_the_time_for_contradiction() -> None:
    world = with_stakes(World(LINE[:2], {"c": TERMS}), "c")
    text = "xroute/1; require mode {quorum}"
    parcel = world.send("a", "c", mode=Mode.QUORUM, threshold=3, policy=text)
    two = announcement(world, parcel, text, "voter", "other")
    assert world["c"].do("relayer", two).code == NOT_ENOUGH_VOTES.code
    three = announcement(world, parcel, text, *VOTERS)
    assert not world["c"].do("relayer", three).code
    release = MsgRelease(parcel.id, address("relayer"))
    assert world["c"].do("relayer", release).code == TOO_EARLY.code
    world["c"].blocks(10)
    released = world["c"].do("relayer", release)
    assert released.code == 0, released.log
    assert world["c"].balance_of("bob", world.voucher("a", "c")) == 100
    assert not world.acknowledge("abc", parcel, answer_in(released)).code


# Mode ZK_MODEL.


def test_the_model_delivers_what_its_oracle_vouches_for() -> None:
    world = World(LINE[:2], {"c": TERMS})
    policy = parse("xroute/1").encode()
    parcel = world.send("a", "c", mode=Mode.ZK_MODEL)
    wrong = MsgDeliverByModel(parcel.packet, policy, bytes(256), b"", address("relayer"))
    assert world["c"].do("relayer", wrong).code == INVALID_MODEL.code
    model = model_object(b"oracle", parcel)
    done = world["c"].do("relayer", MsgDeliverByModel(parcel.packet, policy, model, b"", address("relayer")))
    assert done.code == 0, done.log
    assert world["c"].balance_of("bob", world.voucher("a", "c")) == 100
