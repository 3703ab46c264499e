"""Transactions on a chain: what is taken, what is refused and in which words, and what a block commits to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from ibc_chain import (
    FUNDS,
    GENESIS_NS,
    NAMES,
    SECOND_NS,
    Ticking,
    address,
    send,
    settings,
    signed,
)

from emulator.model.errors import DataError
from nodes.ibc.chain.ante import Fees
from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.chain import Limits
from nodes.ibc.chain.consensus import Churn
from nodes.ibc.chain.genesis import chain_of, revision_of
from nodes.ibc.chain.mempool import MempoolRefusal
from nodes.ibc.comet import hashes
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.comet.light import LightBlock, Policy, verify
from nodes.ibc.core.state import Context
from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.cosmos import MsgSendResponse, SignMode, TxMsgData, TxRaw


def chain(**changes: object) -> Ticking:
    ticking = Ticking(chain_of(settings(**changes), GENESIS_NS))
    ticking.block()
    return ticking


def test_a_transfer_moves_coins_and_tells_of_it() -> None:
    ticking = chain()
    assert ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=7), fee=3)).code == 0
    (result,) = ticking.block().results
    assert result.code == 0
    assert ticking.balances() == {"alice": FUNDS - 10, "bob": FUNDS + 7, "carol": FUNDS}
    assert 0 < result.gas_used < result.gas_wanted == 200_000
    (answer,) = TxMsgData.decode(result.data).msg_responses
    assert answer.opened_as(MsgSendResponse) == MsgSendResponse()
    told = {(event.type, *pair) for event in result.events for pair in event.attributes if event.type != "message"}
    assert ("tx", "fee", "3stake") in told
    assert ("tx", "acc_seq", f"{address('alice')}/0") in told
    assert ("transfer", "recipient", address("bob")) in told
    assert ("coin_received", "msg_index", "0") in told
    actions = [value for event in result.events for key, value in event.attributes if key == "action"]
    assert actions == ["/cosmos.bank.v1beta1.MsgSend"]


def test_a_fault_of_the_program_fails_its_transaction_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the message wrote before is undone; that it was no refusal is to be seen."""
    ticking = chain()
    sent = Bank.send_coins

    def faulty(bank: Bank, context: Context, sender: bytes, receiver: bytes, coins: Mapping[str, int]) -> None:
        sent(bank, context, sender, receiver, coins)
        if coins == {"stake": 7}:
            raise ZeroDivisionError("a fault")

    monkeypatch.setattr(Bank, "send_coins", faulty)
    for name, amount in (("alice", 7), ("carol", 5)):
        assert ticking.chain.submit(ticking.tx(name, send(name, "bob", stake=amount), fee=3)).code == 0
    bad, good = ticking.block().results
    assert (bad.codespace, bad.code, bad.log) == ("undefined", 111222, "ZeroDivisionError: a fault: panic")
    assert (bad.panicked, good.panicked, good.code) == (True, False, 0)
    assert ticking.balances() == {"alice": FUNDS - 3, "bob": FUNDS + 5, "carol": FUNDS - 8}
    assert ticking.held_sequence("alice") == 1


def test_several_transactions_of_one_account_wait_for_one_block() -> None:
    ticking = chain()
    for _ in range(5):
        assert ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1))).code == 0
    assert [result.code for result in ticking.block().results] == [0] * 5
    assert ticking.held_sequence("alice") == 5


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"chain_id": "other-1"}, 4, "signature verification failed; please verify account number (0), sequence (0)"),
        ({"memo": "x" * 257}, 12, "maximum number of characters is 256, got 257: memo too large"),
        ({"timeout_height": 1}, 30, "block height: 2, timeout height: 1: tx timeout height"),
        ({"gas": 1 << 63}, 18, "gas limit 9223372036854775808, expected at most 9223372036854775807: invalid request"),
        ({"gas": 1000}, 11, "out of gas: gasWanted: 1000, gasUsed:"),
        ({"fee": FUNDS + 1}, 5, f"spendable balance {FUNDS}stake is smaller than {FUNDS + 1}stake: insufficient funds"),
        ({"mode": SignMode.LEGACY_AMINO_JSON}, 4, "sign mode 127; expected 1 (direct)"),
    ],
)
def test_refusals_have_the_codes_and_words_of_the_sdk(given: dict[str, object], code: int, words: str) -> None:
    ticking = chain()
    before = ticking.balances()
    result = ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=7), **given))
    assert (result.code, result.codespace) == (code, "sdk")
    assert words in result.log
    assert ticking.balances() == before
    assert len(ticking.chain.mempool) == 0


def test_a_wrong_sequence_says_which_is_right() -> None:
    ticking = chain()
    result = ticking.chain.submit(signed("alice", [send("alice", "bob", stake=1)], 4, 0))
    assert result.code == 32
    assert result.log == "account sequence mismatch, expected 0, got 4: incorrect account sequence"


def test_somebody_else_cannot_sign() -> None:
    ticking = chain()
    result = ticking.chain.submit(signed("bob", [send("alice", "bob", stake=1)], 0, 0))
    assert result.code == 8
    assert "pubKey does not match signer address" in result.log


def test_a_flipped_bit_anywhere_is_refused() -> None:
    ticking = chain()
    data = ticking.tx("alice", send("alice", "bob", stake=7))
    for bit in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert ticking.chain.submit(bytes(changed)).code != 0
    assert ticking.chain.submit(data).code == 0


def test_a_signature_with_the_other_s_is_refused() -> None:
    """ECDSA has two signatures for one; with both allowed a transaction would have two hashes."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    ticking = chain()
    raw = TxRaw.decode(ticking.tx("alice", send("alice", "bob", stake=7)))
    r, s = raw.signatures[0][:32], int.from_bytes(raw.signatures[0][32:])
    other = replace(raw, signatures=(r + (order - s).to_bytes(32),))
    assert ticking.chain.submit(other.encode()).code == 4


def test_messages_that_fail_cost_their_fee_and_nothing_more() -> None:
    ticking = chain()
    messages = send("alice", "bob", stake=5), send("alice", "bob", stake=2 * FUNDS)
    assert ticking.chain.submit(ticking.tx("alice", *messages, fee=3)).code == 0
    (result,) = ticking.block().results
    assert result.code == 5
    assert result.log.startswith("failed to execute message; message index: 1: spendable balance")
    assert result.data == b""
    assert ticking.balances()["alice"] == FUNDS - 3
    assert ticking.held_sequence("alice") == 1


def test_the_fee_collector_takes_nothing_from_users() -> None:
    ticking = chain()
    collector = "cosmos17xpfvakm2amg962yls6f84z3kell8c5lserqta"
    message = replace(send("alice", "bob", stake=1), to_address=collector)
    ticking.chain.submit(ticking.tx("alice", message))
    (result,) = ticking.block().results
    assert result.code == 4
    assert f"{collector} is not allowed to receive funds" in result.log


def test_gas_has_a_price() -> None:
    ticking = chain(fees=Fees("stake", 0.01))
    result = ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), fee=1999))
    assert result.code == 13
    assert "insufficient fees; got: 1999stake required: 2000stake" in result.log
    ticking.sequences["alice"] = 0
    assert ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), fee=2000)).code == 0


def test_simulation_tells_gas_and_changes_nothing() -> None:
    ticking = chain()
    data = ticking.tx("alice", send("alice", "bob", stake=1), fee=10)
    told = ticking.chain.simulate(data)
    assert told.code == 0
    assert ticking.balances()["alice"] == FUNDS
    ticking.chain.submit(data)
    (result,) = ticking.block().results
    assert result.gas_used <= told.gas_used <= 1.5 * result.gas_used


def test_the_most_gas_that_a_result_can_hold_is_taken() -> None:
    ticking = chain()
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), gas=(1 << 63) - 1))
    (result,) = ticking.block().results
    assert (result.code, result.gas_wanted) == (0, (1 << 63) - 1)
    ticking.block()  # whose header has the hash of that result


def test_blocks_keep_their_limits() -> None:
    ticking = chain(limits=Limits(block_gas=450_000))
    for _ in range(5):
        assert ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1))).code == 0
    assert [len(ticking.block().results) for _ in range(3)] == [2, 2, 1]
    too_much = ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), gas=450_001))
    assert "exceeds block max gas" in too_much.log
    small = chain(limits=Limits(block_bytes=4000))
    for _ in range(9):
        small.chain.submit(small.tx("alice", send("alice", "bob", stake=1)))
    entries = [small.block() for _ in range(9)]
    assert sum(len(entry.results) for entry in entries) == 9
    assert max(entry.block.size for entry in entries) <= 4000


def test_the_mempool_is_bounded_and_says_so() -> None:
    ticking = chain(limits=Limits(mempool_txs=2, tx_bytes=1000))
    first = ticking.tx("alice", send("alice", "bob", stake=1))
    ticking.chain.submit(first)
    with pytest.raises(MempoolRefusal, match="tx already exists in cache"):
        ticking.chain.submit(first)
    with pytest.raises(MempoolRefusal, match=r"Tx too large\. Max size is 1000, but got 1001"):
        ticking.chain.submit(b"x" * 1001)
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1)))
    with pytest.raises(MempoolRefusal, match=r"mempool is full: number of txs 2 \(max: 2\)"):
        ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1)))
    ticking.block()
    with pytest.raises(MempoolRefusal, match="tx already exists in cache"):
        ticking.chain.submit(first)


def test_what_a_block_made_invalid_leaves_the_mempool() -> None:
    ticking = chain(limits=Limits(block_gas=200_000))
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), timeout_height=2))
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1), timeout_height=2))
    assert len(ticking.block().results) == 1
    assert len(ticking.chain.mempool) == 0  # the second can only be in block 3


def test_headers_commit_to_what_they_name() -> None:
    ticking = chain()
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=7)))
    second, third = ticking.block(), ticking.block()
    header = third.block.header
    assert header.app_hash == second.app_hash == ticking.chain.state.root(2)
    assert header.last_results_hash == hashes.results_hash(second.results)
    assert header.last_block_id == second.block.id
    assert header.last_commit_hash == hashes.commit_hash(second.commit)
    assert second.block.header.data_hash == hashes.data_hash(second.block.txs)
    assert third.block.time_ns == second.commit.signatures[0].timestamp.ns == GENESIS_NS + 2 * SECOND_NS
    assert Block.decode(third.block.encode()) == third.block


def light(ticking: Ticking, height: int) -> LightBlock:
    entry = ticking.chain.ledger[height]
    committee = ticking.chain.committee
    signed_header = SignedHeader(entry.block.header, entry.commit)
    return LightBlock.of(signed_header, committee.at(height).validators, committee.at(height + 1).validators)


@pytest.mark.parametrize("churn", [Churn(), Churn(2, 1)], ids=["same", "churn"])
def test_a_light_client_follows(churn: Churn) -> None:
    ticking = chain(churn=churn)
    for _ in range(8):
        ticking.block()
    now_ns = GENESIS_NS + 20 * SECOND_NS
    policy = Policy(100 * SECOND_NS)
    for low, high in ((1, 2), (2, 3), (1, 4), (4, 9)):
        block = light(ticking, high)
        verify(light(ticking, low).trusted(), block.signed, block.validators, policy, now_ns, SignatureCache())


def test_validators_change_as_the_header_before_says() -> None:
    ticking = chain(churn=Churn(2, 3))
    headers = [ticking.block().block.header for _ in range(8)]
    for earlier, later in pairwise(headers):
        assert earlier.next_validators_hash == later.validators_hash
    assert len({header.validators_hash for header in headers}) > 3
    members = [{each.address for each in ticking.chain.committee.at(height).validators} for height in (1, 3, 5)]
    assert len(members[0] & members[1]) == 1
    assert members[0] & members[2] == set()


def test_a_chain_is_restored_from_its_blocks() -> None:
    ticking = chain()
    for amount in range(1, 5):
        ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=amount)))
        ticking.block()
    again = chain_of(settings(), GENESIS_NS)
    for height in range(1, ticking.chain.height + 1):
        entry = ticking.chain.ledger[height]
        assert again.restore(Block.decode(entry.block.encode()), entry.commit) == entry
    other = chain_of(settings(store="simple"), GENESIS_NS)
    other.restore(ticking.chain.ledger[1].block, ticking.chain.ledger[1].commit)
    with pytest.raises(DataError, match="block 2 of skyloom-1 does not follow from block 1"):
        other.restore(ticking.chain.ledger[2].block, ticking.chain.ledger[2].commit)


def test_equivocation_signs_two_blocks_of_one_height() -> None:
    ticking = chain()
    entry = ticking.block()
    other = ticking.chain.fork(entry)
    assert other.block.height == entry.block.height
    assert other.block.id != entry.block.id
    assert other.commit.block_id == other.block.id
    assert {each.validator_address for each in other.commit.signatures} == {
        each.validator_address for each in entry.commit.signatures
    }


@pytest.mark.parametrize(
    ("chain_id", "revision"), [("osmosis-1", 1), ("a-0-12", 12), ("a-0", 0), ("a-01", 0), ("a", 0), ("a--1", 0)]
)
def test_revisions(chain_id: str, revision: int) -> None:
    assert revision_of(chain_id) == revision


def test_names_have_accounts_in_order() -> None:
    ticking = chain()
    accounts = ticking.chain.app.bank.accounts
    context = ticking.chain.app.context(ticking.chain.state.stores, ticking.chain.moment)
    numbers = [accounts.get(context, accounts.account(address(name))) for name in NAMES]
    assert [account.account_number for account in numbers if account] == [0, 1, 2]
