"""Parts of a chain by themselves: addresses, keys, the query language, the ledger, the pace of blocks, rate limits."""

from __future__ import annotations

from math import inf

import pytest
from ibc_chain import GENESIS_NS, Ticking, address, send, settings

from emulator.model.errors import Unfit
from nodes.ibc.chain import bech32
from nodes.ibc.chain.genesis import Settings, chain_of
from nodes.ibc.chain.keys import AccountKey, module_address, verified
from nodes.ibc.chain.pace import Pace, RateLimit, Spell
from nodes.ibc.chain.query import QueryError, matches, parse
from nodes.ibc.core.errors import AbciError

ESCROW = "352bf5cc8839ecfccb763916e1ddb1faf67a9b37"  # of transfer/channel-141 on the Cosmos Hub


def test_addresses_of_the_real_hub() -> None:
    assert bech32.encode("cosmos", module_address("fee_collector")) == "cosmos17xpfvakm2amg962yls6f84z3kell8c5lserqta"
    assert bech32.decode("cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslf", "cosmos").hex() == ESCROW


@pytest.mark.parametrize(
    "text",
    ["", "cosmos", "cosmos1", "osmo1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslf",
     "cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlsl",
     "cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslq", "cosmos1b54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslf",
     "COSMOS1X54LTNYG88K0EJMK8YTWRHD3LTM84XEHRNLSLF", "cosmos1" + "q" * 300],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Unfit):
        bech32.decode(text, "cosmos")


def test_keys_sign() -> None:
    key = AccountKey.named("alice")
    signature = key.sign(b"message")
    assert verified(key.public, signature, b"message")
    assert not verified(key.public, signature, b"messagf")
    assert not verified(key.public, signature[:-1], b"message")
    assert not verified(key.public, bytes(64), b"message")
    assert not verified(b"\x02" + bytes(32), signature, b"message")
    assert not verified(b"", signature, b"message")


ATTRIBUTES = {"tm.event": ["Tx"], "transfer.amount": ["12uatom", "7"], "tx.height": ["15"], "a.b": ["it is AND or not"]}


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("tm.event='Tx'", True),
        ("tm.event = 'Tx' AND tx.height=15", True),
        ("tm.event = 'NewBlock'", False),
        ("tx.height > 14 AND tx.height <= 15", True),
        ("tx.height < 15", False),
        ("tx.height >= 15.5", False),
        ("transfer.amount = 7", True),
        ("transfer.amount = '7'", True),
        ("transfer.amount CONTAINS 'atom'", True),
        ("transfer.amount > 11", False),
        ("a.b = 'it is AND or not'", True),
        ("transfer.sender EXISTS", False),
        ("transfer.amount EXISTS AND tx.height EXISTS", True),
    ],
)
def test_queries(query: str, holds: bool) -> None:
    assert matches(parse(query), ATTRIBUTES) is holds


@pytest.mark.parametrize(
    "query",
    ["", " ", "AND", "a", "a=", "a='b", "a='b' AND", "a='b' b='c'", "a < 'b'", "'a'='b'", "a = b", "= 'a'",
     "a EXISTS 'b'",
     "a CONTAINS 7", "x" * 3000, " AND ".join(["a='b'"] * 17)],
)  # fmt: skip
def test_what_is_no_query(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query)


def test_the_ledger_finds_and_forgets() -> None:
    ticking = Ticking(chain_of(settings(keep_blocks=3), GENESIS_NS))
    ticking.block()
    for _ in range(5):
        ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=1)))
        ticking.block()
    ledger = ticking.chain.ledger
    assert (ledger.first, ledger.last) == (4, 6)
    recipient = f"transfer.recipient = '{address('bob')}'"
    assert [each.height for each in ledger.search(parse(recipient))] == [4, 5, 6]
    assert [each.height for each in ledger.search(parse(f"{recipient} AND tx.height = 5"))] == [5]
    assert [each.height for each in ledger.search(parse("tx.height > 4"))] == [5, 6]
    assert ledger.search(parse("transfer.recipient = 'nobody'")) == []
    assert [each.block.height for each in ledger.search_blocks(parse("block.height < 6"))] == [4, 5]
    found = ledger.search(parse("tx.height = 5"))[0]
    assert ledger.transaction(found.hash) is found
    for _ in range(3):
        ticking.block()
    assert ledger.transaction(found.hash) is None
    assert ledger.search(parse(recipient)) == []
    assert ledger.by_block_hash(ledger[8].block.id.hash) is ledger[8]
    assert ticking.chain.state.versions == range(7, 10)


def test_a_later_copy_that_failed_hides_nothing() -> None:
    """hermes issue: an index that a failed duplicate overwrites makes relayers lose packets."""
    ticking = Ticking()
    ticking.block()
    data = ticking.tx("alice", send("alice", "bob", stake=1))
    ticking.chain.submit(data)
    ticking.block()
    ticking.chain.mempool.add(data, 0)  # what a proposer that does not check would do
    (again,) = ticking.block().results
    assert again.code == 32
    found = ticking.chain.ledger.search(parse("tx.height > 0"))
    first = ticking.chain.ledger.transaction(found[0].hash)
    assert first is not None
    assert (first.height, first.result.code) == (2, 0)


def test_blocks_come_at_their_pace() -> None:
    pace = Pace(2.0, (Spell(10.0, 5.0), Spell(20.0, 10.0, 3.0)))
    assert [pace.next_s(t_s) for t_s in (0.0, 7.0, 8.0, 9.0, 15.0, 20.0, 29.0, 31.0)] == [
        2.0, 9.0, 15.0, 15.0, 17.0, 26.0, 35.0, 33.0,
    ]  # fmt: skip
    assert Pace(1.0, (Spell(5.0, inf),)).next_s(4.5) == inf


def test_requests_are_limited_for_each_client() -> None:
    limit = RateLimit(2.0)
    assert [limit.allows("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limit.allows("b", 0.0)
    assert [limit.allows("a", 0.5) for _ in range(2)] == [True, False]
    for number in range(3000):
        limit.allows(str(number), 1.0)
    assert limit.allows("a", 1.0)


@pytest.mark.parametrize("wrong", [{"chain_id": ""}, {"chain_id": "a b"}, {"prefix": "C"}, {"store": "paper"}])
def test_settings_that_make_no_chain(wrong: dict[str, str]) -> None:
    with pytest.raises(Unfit):
        Settings(**{"chain_id": "a-1", **wrong})


def test_a_genesis_account_needs_an_address() -> None:
    with pytest.raises(AbciError, match="wrong checksum"):
        chain_of(Settings("a-1", balances={"cosmos1x54ltnyg88k0ejmk8ytwrhd3ltm84xehrnlslq": {"stake": 1}}), GENESIS_NS)
