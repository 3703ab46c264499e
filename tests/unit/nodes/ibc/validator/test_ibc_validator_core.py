"""Committees of a chain on a jumping clock: one chain at all, through crashes, cuts and liars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from ibc_chain import FUNDS, GENESIS_NS, address, send, signed
from ibc_committee import BLOCK_S, Committee
from ibc_validator_walk import walk

from emulator.model.errors import DataError
from nodes.ibc.chain.chain import Limits
from nodes.ibc.chain.consensus import Churn
from nodes.ibc.chain.keys import ValidatorKey
from nodes.ibc.proto.comet import BlockID, BlockIDFlag, PartSetHeader, Vote
from nodes.ibc.proto.well_known import Timestamp
from nodes.ibc.validator.core import Effects
from nodes.ibc.validator.items import Due, Item
from nodes.ibc.validator.tally import signed_bytes

CHAIN = "skyloom-1"
OTHER = BlockID(b"\x01" * 32, PartSetHeader(1, b"\x02" * 32))


def balance(committee: Committee, number: int, name: str) -> int:
    chain = committee.core(number).chain
    context = chain.app.context(chain.state.stores, chain.moment)
    return chain.app.bank.balance(context, chain.app.bank.account(address(name)), "stake")


def resigned(vote: Vote, place: int, **changes: object) -> Vote:
    """A vote with other content, signed by the validator of a place."""
    changed = replace(vote, **changes)  # type: ignore[arg-type]
    key = ValidatorKey(f"{CHAIN}/validator/{place}/0")
    return replace(changed, signature=key.sign(signed_bytes(CHAIN, changed)))


def of_votes(change: Callable[[Vote], list[Vote]]) -> Callable[[bytes], list[bytes]]:
    """What a liar says that changes its votes alone."""

    def say(data: bytes) -> list[bytes]:
        vote = Item.decode(data).vote
        return [data] if vote is None else [Item(vote=each).encode() for each in change(vote)]

    return say


# Blocks


def test_all_validators_make_one_chain_that_light_clients_verify() -> None:
    committee = Committee().start().run(2)
    assert committee.submit(2, committee.tx("alice", send("alice", "bob", stake=5))) == 0
    committee.run(2)
    blocks = committee.require_one_chain()
    assert len(blocks) >= 7
    assert [balance(committee, number, "bob") for number in range(4)] == [FUNDS + 5] * 4
    assert sum(len(entry.block.txs) for entry in blocks.values()) == 1


def test_blocks_come_by_the_pace_with_nothing_in_them() -> None:
    committee = Committee().start().run(8)
    at_s = list(committee.told[0].at_s.values())
    assert len(at_s) == pytest.approx(8 / BLOCK_S, abs=1)


def test_transactions_go_into_a_block_in_their_order_and_what_does_not_fit_waits() -> None:
    committee = Committee(limits=Limits(block_gas=500_000)).start().run(1)
    for _ in range(5):  # each of 200,000 gas
        assert committee.submit(1, committee.tx("alice", send("alice", "bob", stake=1))) == 0
    committee.run(4)
    filled = [len(entry.block.txs) for entry in committee.require_one_chain().values() if entry.block.txs]
    assert filled == [2, 2, 1]
    results = [result.code for entry in committee.told[0].entries.values() for result in entry.results]
    assert results == [0] * 5


def test_a_transaction_waits_for_one_that_must_come_before_it() -> None:
    """A validator says the second payment of an account three blocks before the first one."""
    committee = Committee()
    held: list[bytes] = []

    def say(data: bytes) -> list[bytes]:
        if Item.decode(data).tx is not None and not held:
            held.append(data)
            return []
        return [data]

    committee.say[2] = say
    committee.start().run(1)
    for amount in (5, 7):
        assert committee.submit(2, committee.tx("alice", send("alice", "bob", stake=amount))) == 0
    committee.run(2)
    assert balance(committee, 0, "bob") == FUNDS
    committee.simulation.validators[2].submit(0, held[0])
    committee.run(2)
    assert balance(committee, 0, "bob") == FUNDS + 12
    results = [result.code for entry in committee.require_one_chain().values() for result in entry.results]
    assert results == [0, 0]


def test_a_transaction_that_passes_no_check_is_in_no_block_and_does_not_wait_for_ever() -> None:
    """A liar has some ordered that its own mempool would refuse: of a far sequence, and signed for another chain."""
    committee = Committee()
    content = [send("alice", "bob", stake=1)]
    refused = [signed("alice", content, 99, 0), signed("alice", content, 0, 0, chain_id="another-1")]
    committee.say[3] = lambda data: [data, *(Item(tx=each).encode() for each in refused)]
    committee.start().run(1)
    committee.say[3] = lambda data: [data]
    committee.run(1)
    assert len(committee.core(0)._ordered) == 2
    committee.run(22 * BLOCK_S)
    assert len(committee.core(0)._ordered) == 0
    assert all(not entry.block.txs for entry in committee.require_one_chain(3).values())


def test_no_more_transactions_wait_than_there_is_room_for() -> None:
    """A liar says transactions of a far sequence, which wait and can be in no block: others have their own room."""
    committee = Committee(limits=Limits(mempool_txs=2))
    flood = [Item(tx=signed("alice", [send("alice", "bob", stake=1)], 99 + each, 0)).encode() for each in range(20)]
    committee.say[3] = lambda data: [data, *flood]
    committee.start().run(2)
    assert len(committee.core(0)._ordered) == 2
    assert committee.core(0).refused["no room"] > 0
    assert committee.submit(0, committee.tx("alice", send("alice", "bob", stake=5))) == 0
    committee.run(2)
    assert balance(committee, 0, "bob") == FUNDS + 5
    assert committee.core(0)._shares == {3: 2}


def test_the_first_block_has_the_median_of_the_clocks_and_later_ones_that_of_the_votes() -> None:
    ahead_ns = 3_600_000_000_000
    committee = Committee()
    committee.say[3] = _clock_ahead(ahead_ns)
    committee.start().run(4)
    blocks = committee.require_one_chain(3)
    assert GENESIS_NS <= blocks[1].block.time_ns < GENESIS_NS + 1_000_000_000
    for entry in blocks.values():
        assert entry.block.time_ns < GENESIS_NS + 5_000_000_000
        late = [vote for vote in entry.commit.signatures if vote.timestamp.ns > GENESIS_NS + ahead_ns]
        assert len(late) <= 1
    assert any(vote.timestamp.ns > GENESIS_NS + ahead_ns for vote in blocks[3].commit.signatures if vote.signature)


def _clock_ahead(ahead_ns: int) -> Callable[[bytes], list[bytes]]:
    def say(data: bytes) -> list[bytes]:
        item = Item.decode(data)
        if item.vote is not None:
            later = Timestamp.of_ns(item.vote.timestamp.ns + ahead_ns)
            item = Item(vote=resigned(item.vote, 3, timestamp=later))
        elif item.due is not None:
            item = Item(due=replace(item.due, time=Timestamp.of_ns(item.due.time.ns + ahead_ns)))
        return [item.encode()]

    return say


def test_validators_are_replaced() -> None:
    committee = Committee(churn=Churn(2, 1)).start().run(5)
    blocks = committee.require_one_chain()
    addresses = {vote.validator_address for entry in blocks.values() for vote in entry.commit.signatures}
    assert len(addresses) > 5


# Crashes and cuts


def test_with_f_of_3f_plus_1_dead_the_chain_goes_on() -> None:
    committee = Committee().start(3).run(5)
    blocks = committee.require_one_chain()
    assert len(blocks) >= 5
    flags = [vote.block_id_flag for vote in blocks[3].commit.signatures]
    assert flags.count(BlockIDFlag.ABSENT) == 1


def test_a_validator_that_crashed_catches_up() -> None:
    committee = Committee().start().run(2)
    committee.crash(1)
    assert committee.submit(0, committee.tx("alice", send("alice", "bob", stake=5))) == 0
    before = committee.run(2).height(0)
    committee.restart(1)
    committee.run(2)
    assert committee.height() > before
    committee.require_one_chain()
    assert balance(committee, 1, "bob") == FUNDS + 5


def test_without_a_quorum_the_chain_halts_and_heals() -> None:
    committee = Committee().start().run(2)
    committee.simulation.network.cut([[0, 1], [2, 3]])
    halted = committee.run(1).height()
    assert committee.run(3).height() == halted
    assert committee.submit(0, committee.tx("alice", send("alice", "bob", stake=5))) == 0
    committee.simulation.network.heal()
    assert committee.run(3).height() > halted + 2
    committee.require_one_chain()
    assert balance(committee, 3, "bob") == FUNDS + 5


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_validator_that_crashes_as_it_signs_signs_nothing_twice(point: str) -> None:
    committee = Committee().start().run(1)

    crashed: list[int] = []

    def crash(number: int, effects: Effects) -> str:
        if number != 2 or not effects.persist or crashed:
            return ""
        crashed.append(number)
        return point

    committee.crash_point = crash
    committee.run(1)
    assert crashed
    committee.restart(2)
    committee.run(3)
    blocks = committee.require_one_chain()
    key = ValidatorKey(f"{CHAIN}/validator/2/0").address
    assert any(vote.validator_address == key for vote in blocks[max(blocks)].commit.signatures)


def test_a_vote_that_is_on_disk_and_in_no_block_is_said_again_as_it_was() -> None:
    """All crash once their votes are on disk: the commit rests on these votes, made before."""
    committee = Committee().start().run(1)
    kept: dict[int, Vote] = {}
    height = committee.height()

    def crash(number: int, effects: Effects) -> str:
        for record in effects.persist:
            vote = Vote.decode(record.value or b"")
            if vote.height > height:
                kept[number] = vote
                return "after"
        return ""

    committee.crash_point = crash
    committee.run(2)
    committee.crash_point = None
    assert sorted(kept) == [0, 1, 2, 3]
    (signed,) = {vote.height for vote in kept.values()}
    for number in range(4):
        committee.restart(number)
    committee.run(3)
    blocks = committee.require_one_chain()
    said = {vote.signature for vote in kept.values()}
    assert {vote.signature for vote in blocks[signed].commit.signatures if vote.signature} <= said


def test_a_restart_does_not_forget_what_was_signed() -> None:
    """The chain is without a quorum, and a validator has voted, which no other one hears of before it starts again."""
    committee = Committee().start().run(1.2)
    committee.simulation.network.cut([[0], [1], [2], [3]])
    committee.run(1)
    signed = [set(told.votes) for told in committee.told]
    for number in range(4):
        committee.crash(number)
    committee.run(1)
    for number in range(4):
        committee.restart(number)
    committee.simulation.network.heal()
    committee.run(2)
    blocks = committee.require_one_chain()
    assert all(max(heights) < len(blocks) for heights in signed)


def test_who_would_sign_a_second_block_of_a_height_stops() -> None:
    committee = Committee().start().run(2)
    core = committee.core(0)
    core._vote = replace(core._vote, height=core.chain.height + 2, block_id=OTHER)
    with pytest.raises(DataError, match="it would sign two"):
        committee.run(3)


# Liars


def test_a_vote_for_another_block_does_not_count_and_is_told() -> None:
    committee = Committee()
    committee.say[3] = of_votes(lambda vote: [resigned(vote, 3, block_id=OTHER)])
    committee.start().run(3)
    blocks = committee.require_one_chain(3)
    liar = ValidatorKey(f"{CHAIN}/validator/3/0").address
    assert len(blocks) > 3
    assert all(vote.validator_address != liar for entry in blocks.values() for vote in entry.commit.signatures)
    assert {vote.validator_address for vote in committee.told[0].accused} == {liar}


def test_who_signs_two_blocks_is_told_and_its_right_vote_counts_once() -> None:
    committee = Committee()
    committee.say[3] = of_votes(lambda vote: [vote, resigned(vote, 3, block_id=OTHER), vote])
    committee.start().run(3)
    blocks = committee.require_one_chain(3)
    assert len(blocks) > 3
    assert committee.told[1].accused
    assert all(sum(1 for vote in entry.commit.signatures if vote.signature) <= 4 for entry in blocks.values())


def test_nobody_votes_for_others() -> None:
    """A liar signs with its key in the name of two that are silent: three votes are not reached by that."""
    committee = Committee()
    names = [ValidatorKey(f"{CHAIN}/validator/{place}/0").address for place in range(4)]

    def in_all_names(vote: Vote) -> list[Vote]:
        return [resigned(vote, 3, validator_address=name) for name in names]

    committee.say[3] = of_votes(in_all_names)
    for silent in (1, 2):
        committee.say[silent] = of_votes(lambda vote: [])
    committee.start().run(3)
    assert committee.height() == 0
    assert committee.core(0).refused["signature"] > 0


def test_what_is_said_again_changes_nothing() -> None:
    """A liar repeats whatever it has heard: votes, transactions and dues of long ago."""
    committee = Committee()
    heard: list[bytes] = []

    def say(data: bytes) -> list[bytes]:
        heard.append(data)
        return [*heard[-20:], data]

    committee.say[3] = say
    committee.start().run(1)
    data = committee.tx("alice", send("alice", "bob", stake=5))
    assert committee.submit(3, data) == 0
    heard.append(Item(tx=data).encode())
    committee.run(4)
    blocks = committee.require_one_chain(3)
    assert sum(len(entry.block.txs) for entry in blocks.values()) == 1
    assert balance(committee, 0, "bob") == FUNDS + 5
    assert len(blocks) <= 5 / BLOCK_S + 1
    assert committee.core(0).refused["repeated"] > 0


def test_f_validators_do_not_hurry_blocks() -> None:
    committee = Committee()

    def say(data: bytes) -> list[bytes]:
        return [data, *(Item(due=Due(height, Timestamp.of_ns(0))).encode() for height in range(1, 20))]

    committee.say[3] = say
    committee.start().run(5)
    blocks = committee.require_one_chain(3)
    assert len(blocks) <= 5 / BLOCK_S + 1
    assert blocks[1].block.time_ns >= GENESIS_NS


def test_a_liar_and_one_other_do_not_set_the_time_of_the_first_block() -> None:
    committee = Committee()
    committee.say[0] = lambda data: [data] if Item.decode(data).due is None else []
    committee.say[3] = lambda data: [Item(due=Due(1, Timestamp.of_ns(0))).encode()]
    committee.start(2).run(2)
    assert committee.height() == 0
    assert [core._tally for core in committee.cores if core is not None] == [None] * 3


def test_a_third_and_more_for_one_other_block_means_that_this_validator_is_wrong() -> None:
    committee = Committee()
    for liar in (2, 3):
        committee.say[liar] = of_votes(lambda vote, liar=liar: [resigned(vote, liar, block_id=OTHER)])  # type: ignore[misc]
    with pytest.raises(DataError, match="this one has other settings or another past"):
        committee.start().run(3)


def test_what_is_no_item_and_no_transaction_is_counted() -> None:
    committee = Committee()
    committee.say[3] = lambda data: [data, b"\xff\xff", Item(tx=b"no transaction").encode()]
    committee.start().run(2)
    assert len(committee.require_one_chain(3)) > 2
    assert committee.core(0).refused["malformed"] > 0
    assert committee.core(0).refused["transaction"] > 0


# Walks


@pytest.mark.parametrize("seed", range(12))
def test_walks_end_in_one_chain(seed: int) -> None:
    walk(seed)
