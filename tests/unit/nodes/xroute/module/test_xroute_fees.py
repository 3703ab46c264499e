"""Fees and stakes: who is paid what, and that nothing of it gets lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.states import ClientStates
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.packets_v2 import LONGEST_TIMEOUT_S
from nodes.ibc.core.state import Context
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.proto.channel_v2 import Payload
from nodes.xroute.flooding.ads import issued
from nodes.xroute.flooding.equivocation import Equivocation
from nodes.xroute.keys import Key
from nodes.xroute.module import book, fees
from nodes.xroute.module.book import Escrow, Sent, Stake, store_of
from nodes.xroute.module.errors import INVALID_EVIDENCE, INVALID_STAKE, NO_CONTRADICTION, NO_STAKE, TOO_EARLY
from nodes.xroute.module.messages import (
    Answer,
    Fee,
    MsgContradict,
    MsgDeliver,
    MsgRelease,
    MsgSend,
    MsgSlash,
    MsgStake,
    MsgUnstake,
)
from nodes.xroute.module.stake import STAKES
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.build import Leg
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.parcel import Parcel, packed
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_flood import edge_ad
from tests.support.xroute_quorum import STAKE, TERMS, VOTERS, announcement, with_stakes
from tests.support.xroute_world import ANY, FUNDS, Node, World, answer_in, attribute

LINE = (("a", "b"), ("b", "c"))
FEE = Fee("stake", deliver=1000, acknowledge=100, timeout=300, update=10, updates=4)


def account(world: World, chain: str, name: str) -> bytes:
    return world[chain].chain.app.bank.account(address(name))


def test_who_delivers_brings_the_answer_and_updates_is_paid_and_the_rest_goes_back() -> None:
    world = World(LINE)
    parcel = world.send("a", "c", fee=FEE)
    assert world["a"].balance(fees.ESCROW) == fees.most(FEE) == 1140
    payee = account(world, "a", "other")
    proof = world.proof(
        "cba", parcel.packet, parcel.commitment_key, payee=payee, pays_updates=True, with_validators=True
    )  # fmt: skip
    delivered = world["c"].do("other", MsgDeliver(proof.encode(), address("other")))
    assert delivered.code == 0, delivered.log
    answer = answer_in(delivered)
    assert answer.updaters == (account(world, "a", "relayer"),) * 2, "that of c, and by proof that of b"
    earned = fees.earned(escrow_of(world, parcel), answer, 2 * SECOND_NS)
    assert 0 < earned < 1000
    before = {name: world["a"].balance_of(name) for name in ("alice", "relayer", "other")}
    assert not world.acknowledge("abc", parcel, answer).code
    after = {name: world["a"].balance_of(name) for name in before}
    assert after["other"] - before["other"] == earned
    assert after["relayer"] - before["relayer"] == 100 + 2 * 10
    assert after["alice"] == FUNDS - 100 - earned - 120
    assert world["a"].balance(fees.ESCROW) == 0


def escrow_of(world: World, parcel: Parcel) -> Escrow:
    held = book.read(world["a"].context(), book.sent(parcel.packet.sequence), book.Sent)
    assert held is not None
    assert held.escrow is not None
    return held.escrow


def test_who_updated_is_forgotten_with_the_heights() -> None:
    world = World(LINE, trusting_ns=100 * SECOND_NS)
    node, client = world["b"], world["b"].clients["a"]
    kept: list[tuple[int, int]] = []
    for _ in range(12):
        world.clock.now_ns += 30 * SECOND_NS
        world["a"].blocks(2)
        world.update(node, world["a"])
        heights = set(ClientStates(node.context().ibc, client).heights())
        found = {paths.updated_height(key) for key, _ in node.context().ibc.iterate(paths.updaters(client))}
        assert found <= heights
        kept.append((len(heights), len(found)))
    assert max(kept[-6:]) <= (6, 6), kept
    assert kept[-1][1] >= 3


def escrows_of(node: Node) -> list[Escrow]:
    kept = (Sent.decode(raw) for _, raw in store_of(node.context()).iterate(b"sent/"))
    return [sent.escrow for sent in kept if sent.escrow is not None]


def test_who_proves_a_timeout_is_paid_and_the_rest_goes_back() -> None:
    world = World(LINE)
    parcel = world.send("a", "c", fee=FEE, timeout_s=60)
    world.wait_until(parcel.packet.timeout_timestamp)
    assert not world.time_out("abc", parcel, name="relayer").code
    assert world["a"].balance_of("relayer") == FUNDS + 300
    assert world["a"].balance_of("alice") == FUNDS - 300
    assert world["a"].balance(fees.ESCROW) == 0


def test_the_first_windows_belong_to_relayers_that_are_ranked_by_the_block_after_the_message() -> None:
    world = with_stakes(World(LINE), "a")
    parcel = world.send("a", "c", fee=FEE)
    world["a"].blocks(1)
    ranked = escrow_of(world, parcel).ranked
    assert len(set(ranked)) == fees.RANKED
    beacon = world["a"].chain.ledger[world["a"].chain.height].block.header.last_block_id.hash
    assert ranked == fees.ranked(book.stakes(world["a"].context()), beacon, parcel.id)


@pytest.mark.parametrize(
    ("payee", "after_s", "earned"),
    [(b"1", 0, 1000), (b"2", 1, 0), (b"2", 2, 950), (b"1", 3, 0), (b"3", 3, 0), (b"3", 4, 902), (b"3", 1000, 37)],
)
def test_a_delivery_earns_by_its_window(payee: bytes, after_s: int, earned: int) -> None:
    escrow = Escrow(b"", Fee("stake", 1000), 50, (b"1", b"2"))
    answer = Answer(payee=payee, delivered_ns=50 + after_s * SECOND_NS)
    assert fees.earned(escrow, answer, 2 * SECOND_NS) == earned


def test_a_rank_follows_from_a_hash_that_nobody_knew_when_the_message_was_sent() -> None:
    stakes = [Stake(bytes((at,)), amount=1000) for at in range(10)]
    assert len({fees.ranked(stakes, bytes((beacon,)), b"m")[0] for beacon in range(40)}) > 5
    heavy = [*stakes[:9], Stake(b"\x09", amount=1_000_000)]
    firsts = [fees.ranked(heavy, bytes((beacon,)), b"m")[0] for beacon in range(40)]
    assert firsts.count(b"\x09") > 35, "a stake a thousand times as great"


def test_a_stake_waits_before_it_leaves() -> None:
    world = with_stakes(World(LINE), "a")
    node = world["a"]
    assert node.balance(STAKES) == node.staked() == 3000
    assert not node.do("voter", MsgUnstake(address("voter"))).code
    assert VOTERS["voter"].public not in {each.key for each in book.stakes(node.context())}, "it is not ranked"
    assert node.do("voter", MsgUnstake(address("voter"))).code == TOO_EARLY.code
    node.blocks(60)
    assert not node.do("voter", MsgUnstake(address("voter"))).code
    assert node.balance_of("voter") == FUNDS
    assert node.balance(STAKES) == node.staked() == 2000
    assert node.do("voter", MsgUnstake(address("voter"))).code == NO_STAKE.code


def test_a_key_serves_one_relayer() -> None:
    node = with_stakes(World(LINE), "a")["a"]
    stolen = MsgStake(VOTERS["voter"].public, STAKE, address("alice"))
    assert node.do("alice", stolen).code == INVALID_STAKE.code
    another = MsgStake(Key.named("x").public, 5, address("voter"))
    assert node.do("voter", another).code == INVALID_STAKE.code
    assert not node.do("voter", MsgStake(VOTERS["voter"].public, 5, address("voter"))).code
    assert node.staked() == 3 * STAKE + 5


def test_a_stake_has_a_least_amount() -> None:
    """Of a quorum as many relayers have to sign as the sender says: these must not be had for nothing."""
    node = World(LINE, {"a": Terms(least_stake=10)})["a"]
    for amount, code in ((0, INVALID_STAKE.code), (9, INVALID_STAKE.code), (10, 0), (1, 0), (0, INVALID_STAKE.code)):
        assert node.do("voter", MsgStake(VOTERS["voter"].public, amount, address("voter"))).code == code
    assert node.staked() == 11


def test_there_are_so_many_relayers_with_a_stake_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.xroute.module.stake.MOST_STAKES", 3)
    node = with_stakes(World(LINE), "a")["a"]
    assert not node.do("voter", MsgStake(VOTERS["voter"].public, STAKE, address("voter"))).code
    one_more = MsgStake(Key.named("v4").public, STAKE, address("alice"))
    assert "expected more than 1000" in node.do("alice", one_more).log
    assert node.staked() == 4 * STAKE


def test_a_greater_stake_takes_the_place_of_the_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small stakes would keep everybody else out for ever."""
    monkeypatch.setattr("nodes.xroute.module.stake.MOST_STAKES", 3)
    node = with_stakes(World(LINE), "a")["a"]
    for name in ("voter", "other"):
        node.must(name, MsgStake(VOTERS[name].public, 1, address(name)))
    greater = node.do("alice", MsgStake(Key.named("v4").public, STAKE + 1, address("alice")))
    assert not greater.code, greater.log
    assert attribute(greater, "xroute_stake", "relayer") == VOTERS["relayer"].public.hex(), "who had least"
    counting = {each.key for each in book.stakes(node.context())}
    assert counting == {Key.named("v4").public, VOTERS["voter"].public, VOTERS["other"].public}
    assert node.balance(STAKES) == 4 * STAKE + 3, "it can be slashed until it is paid out"
    assert node.do("relayer", MsgUnstake(address("relayer"))).code == TOO_EARLY.code
    node.blocks(60)
    node.must("relayer", MsgUnstake(address("relayer")))
    assert node.balance(STAKES) == node.staked() == 3 * STAKE + 3


def test_a_block_ranks_so_many_messages_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.xroute.module.module.MOST_RANKED", 2)
    world = with_stakes(World(LINE), "a")
    node, fee = world["a"], replace(FEE, deliver=10)
    data = TransferData(Denomination("stake"), 1, address("alice"), address("bob"), "")
    payload = Payload("transfer", "transfer", "ics20-1", JSON, data.encode(JSON))
    message = MsgSend(
        world["c"].identity, "c.test", parse(ANY).encode(), Mode.E2E, world.clock.now_ns // SECOND_NS + 600, payload,
        fee=fee, signer=address("alice"),
    )  # fmt: skip
    node.must("alice", *[message] * 5)
    ranked = []
    for _ in range(3):
        node.blocks(1)
        ranked.append([bool(escrow.ranked) for escrow in escrows_of(node)])
    assert ranked == [[True] * 2 + [False] * 3, [True] * 4 + [False], [True] * 5]


def test_who_contradicts_itself_loses_its_stake() -> None:
    node = with_stakes(World(LINE), "a")["a"]
    ads = [issued(edge_ad("x", "y", delay_s=delay_s, max_age_s=600), VOTERS["voter"], 7, 10**6) for delay_s in (1, 2)]
    evidence = Equivocation.of(*ads)
    same = replace(evidence, other=evidence.one)
    assert node.do("alice", MsgSlash(same.encode(), address("alice"))).code == INVALID_EVIDENCE.code
    assert not node.do("alice", MsgSlash(evidence.encode(), address("alice"))).code
    assert node.balance_of("alice") == FUNDS + 500
    assert node.balance(STAKES) == node.staked() == 2000
    assert node.do("alice", MsgSlash(evidence.encode(), address("alice"))).code == NO_STAKE.code


# A quorum that lies.


def records(context: Context, prefix: bytes) -> int:
    return len(list(store_of(context).iterate(prefix)))


def made_up(world: World, mode: Mode = Mode.QUORUM, policy: str = ANY, end_s: int = 0) -> Parcel:
    """A message that a has never sent, but for its sequence."""
    honest = world.send("a", "c", mode=mode, policy=policy)
    value = honest.envelope.payload.value.replace(b'"100"', b'"999"')
    envelope = replace(honest.envelope, payload=replace(honest.envelope.payload, value=value))
    return Parcel.of(packed(honest.packet.sequence, envelope, end_s or honest.packet.timeout_timestamp))


def contradict(world: World, parcel: Parcel, legs: tuple[Leg, ...] = ()) -> TxResult:
    proof = world.proof("cba", parcel.packet, parcel.commitment_key, with_validators=True, legs=legs)
    return world["c"].do("alice", MsgContradict(parcel.id, proof.encode(), address("alice")))


def test_a_quorum_that_made_a_message_up_is_slashed_and_the_message_dropped() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    parcel = made_up(world)
    assert not world["c"].do("relayer", announcement(world, parcel, "xroute/1", "voter", "other")).code
    found = contradict(world, parcel)
    assert found.code == 0, found.log
    assert world["c"].staked() == 1000
    assert world["c"].balance_of("alice") == FUNDS + 1000
    world["c"].blocks(10)
    assert world["c"].do("relayer", MsgRelease(parcel.id, address("relayer"))).code != 0
    assert world["c"].balance_of("bob", world.voucher("a", "c")) == 0


def test_a_quorum_cannot_hide_behind_a_policy_that_no_route_satisfies() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    policy = "xroute/1; require each chain nakamoto >= 1000; avoid {" + world["a"].identity.hex() + "}; limit bytes 1"
    parcel = made_up(world, policy=policy)
    assert not world["c"].do("relayer", announcement(world, parcel, policy, "voter", "other")).code
    found = contradict(world, parcel)
    assert found.code == 0, found.log
    assert world["c"].staked() == 1000


def test_a_route_that_contradicts_satisfies_the_receivers_minimum() -> None:
    demanding = parse("xroute/1; require mode {e2e, quorum}; require each hop freshness <= 20s")
    world = with_stakes(World(LINE, {"c": Terms(minimum={"transfer": demanding})}), "c")
    parcel = made_up(world)
    assert not world["c"].do("relayer", announcement(world, parcel, "xroute/1", "voter", "other")).code
    older = world.legs("cba")
    world["c"].blocks(30)
    refused = contradict(world, parcel, older)
    assert (refused.code, "clause" in refused.log) == (108, True), refused.log
    assert world["c"].staked() == 3000


def test_nothing_is_believed_of_a_chain_that_no_route_leads_to() -> None:
    """No route could contradict it: whoever has a quorum could make up chains, and their coins."""
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    node, true = world["c"], made_up(world)
    envelope = replace(true.envelope, source=b"\xee" * 32)
    nowhere = Parcel.of(packed(true.packet.sequence, envelope, true.packet.timeout_timestamp))
    announced = announcement(world, nowhere, ANY, "voter", "other")
    for each in (announced, replace(announced, proof=b"")):  # the proof is of a route to a
        refused = node.do("relayer", each)
        assert (refused.codespace, refused.code) == ("xroute", 107), refused.log
    announced = announcement(world, true, ANY, "voter", "other")
    assert node.do("relayer", replace(announced, proof=b"")).code == 107
    node.must("relayer", announced)
    another = announcement(world, made_up(world), ANY, "voter", "other")
    node.must("relayer", replace(another, proof=b""))
    world.wait_until(world.clock.now_ns // SECOND_NS + book.SUPPLIED_S)
    later = announcement(world, made_up(world), ANY, "voter", "other")
    assert node.do("relayer", replace(later, proof=b"")).code == 107


def test_a_quorum_that_dates_a_message_ahead_can_be_contradicted_until_after_that() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    parcel = made_up(world)
    much = announcement(world, parcel, "xroute/1", "voter", "other", ahead_ns=3600 * 10**9)
    assert world["c"].do("relayer", much).code == TOO_EARLY.code
    some = announcement(world, parcel, "xroute/1", "voter", "other", ahead_ns=8 * 10**9)
    assert not world["c"].do("relayer", some).code
    world["c"].blocks(12)
    assert world["c"].do("relayer", MsgRelease(parcel.id, address("relayer"))).code == TOO_EARLY.code
    assert not contradict(world, parcel).code


def test_what_was_announced_is_dropped_once_it_can_no_longer_arrive() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    node = world["c"]
    begin_s = world.clock.now_ns // SECOND_NS
    for end_s in (begin_s + 200, begin_s + 200, 1 << 40):
        parcel = made_up(world, end_s=end_s)
        assert not node.do("relayer", announcement(world, parcel, ANY, "voter", "other")).code
    world.wait_until(begin_s + 190)
    assert records(node.context(), b"announced/") == 3
    context = node.context()
    supplied = records(context, b"reached/") + records(context, b"attr/")
    context.time_ns = (begin_s + 200) * SECOND_NS
    for left in (2, 1, 1):
        book.drop_ended(context, 1)
        assert (records(context, b"announced/"), records(context, b"ends/")) == (left, supplied + left)
    world.wait_until(begin_s + 220)
    assert records(node.context(), b"announced/") == 1
    world.wait_until(begin_s + 300 + LONGEST_TIMEOUT_S)
    assert (records(node.context(), b"announced/"), records(node.context(), b"ends/")) == (0, 0)


def test_an_honest_quorum_cannot_be_contradicted() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    before = world.legs("cba")
    parcel = world.send("a", "c", mode=Mode.QUORUM)
    assert not world["c"].do("relayer", announcement(world, parcel, "xroute/1", "voter", "other")).code
    assert contradict(world, parcel).code == NO_CONTRADICTION.code
    assert contradict(world, parcel, before).code == NO_CONTRADICTION.code, "a had not sent it yet"
    assert world["c"].staked() == 3000


def test_a_receiver_whose_minimum_does_not_name_the_mode_takes_nothing_of_a_quorum() -> None:
    for minimum in ({}, {"transfer": parse("xroute/1; limit hops 4")}):
        world = with_stakes(World(LINE, {"c": Terms(minimum=minimum)}), "c")
        parcel = world.send("a", "c", mode=Mode.QUORUM)
        refused = world["c"].do("relayer", announcement(world, parcel, "xroute/1", "voter", "other"))
        assert (refused.codespace, refused.code) == ("xroute", 108)
