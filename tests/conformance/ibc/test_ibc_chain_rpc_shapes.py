"""Answers of our RPC have the shape of those that a real node gave (CometBFT 0.38, kvstore), field by field.

The recordings stay where they are (../shared/data/ibc, sources in SOURCES.md there); without them tests are skipped.
"""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ibc_chain import GENESIS_NS, Ticking, send, settings

from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.genesis import chain_of, genesis_form, queries_of
from nodes.ibc.chain.rpc import Methods
from nodes.ibc.comet import merkle
from nodes.ibc.comet.hashes import data_hash, params_hash
from nodes.ibc.comet.json_form import read_block_id, read_commit, read_header

DATA = Path(__file__).resolve().parents[4] / "shared/data/ibc/tendermint-rpc"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="reference data ../shared/data/ibc/tendermint-rpc is absent")


def recorded(name: str) -> Any:
    return json.loads((DATA / f"kvstore_v038_{name}.json").read_text())["result"]


@pytest.fixture(scope="module")
def methods() -> Methods:
    made = settings()
    ticking = Ticking(chain_of(made, GENESIS_NS))
    ticking.block()
    ticking.chain.submit(ticking.tx("alice", send("alice", "bob", stake=7)))
    ticking.block()
    ticking.block()
    genesis = genesis_form(made, ticking.chain)
    return Methods(ticking.chain, queries_of(ticking.chain, "stake"), "n0", "tcp://127.0.0.1:26657", genesis)


def shape(value: Any) -> Any:
    """Keys and types; of a list the shape of its first entry."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def assert_alike(ours: Any, theirs: Any, at: str) -> None:
    """The same keys and types. Lists may be empty in one of the two, and null may stand for a text."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        assert set(ours) == set(theirs), at
        for key in theirs:
            assert_alike(ours[key], theirs[key], f"{at}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list):
        for mine, its in zip(ours, theirs, strict=False):
            assert_alike(mine, its, f"{at}[]")
    else:
        assert ours == theirs or {ours, theirs} == {"NoneType", "str"}, f"{at}: {ours}, recorded {theirs}"


def test_block(methods: Methods) -> None:
    assert_alike(shape(methods.block(3)), shape(recorded("block_at_height_10")), "block")


def test_commit(methods: Methods) -> None:
    assert_alike(shape(methods.commit(2)), shape(recorded("commit_at_height_10")), "commit")


def test_blockchain(methods: Methods) -> None:
    assert_alike(shape(methods.blockchain(1, 3)), shape(recorded("blockchain_from_1_to_10")), "blockchain")


def test_genesis(methods: Methods) -> None:
    ours = shape(methods.table["genesis"].answer())
    assert ours["genesis"].pop("app_state")  # the recorded chain has none
    assert_alike(ours, shape(recorded("genesis")), "genesis")


def test_tx_search(methods: Methods) -> None:
    ours = methods.tx_search("tx.height > 0", True, 0, 0, "")
    assert_alike(shape(ours), shape(recorded("tx_search_with_prove")), "tx_search")


def test_a_recorded_block_has_the_id_that_we_compute() -> None:
    """Header hash and parts: the bytes of the whole block are ours, too."""
    result = recorded("block_at_height_10")
    form = result["block"]
    txs = [b64decode(tx) for tx in form["data"]["txs"]]
    block = Block.of(read_header(form["header"]), txs, read_commit(form["last_commit"]))
    assert block.id == read_block_id(result["block_id"])
    meta = next(each for each in recorded("blockchain_from_1_to_10")["block_metas"] if each["header"]["height"] == "10")
    assert block.size == int(meta["block_size"])
    changed = Block.of(block.header, [b"x"], block.last_commit)
    assert changed.id.part_set_header != block.id.part_set_header


def test_recorded_limits_have_the_hash_of_the_header() -> None:
    limits = recorded("genesis")["genesis"]["consensus_params"]["block"]
    header = read_header(recorded("block_at_height_10")["block"]["header"])
    assert params_hash(int(limits["max_bytes"]), int(limits["max_gas"])) == header.consensus_hash
    assert params_hash(int(limits["max_bytes"]) + 1, int(limits["max_gas"])) != header.consensus_hash


def test_recorded_transactions_have_our_proofs() -> None:
    recordings = recorded("tx_search_with_prove")["txs"]
    assert recordings
    for found in recordings:
        data = b64decode(found["tx"])
        assert sha256(data).hexdigest().upper() == found["hash"]
        assert found["proof"]["proof"]["total"] == "1"  # it was alone in its block
        assert data_hash([data]).hex().upper() == found["proof"]["root_hash"]
        path = merkle.proof([sha256(data).digest()], 0)
        assert path.leaf_hash == b64decode(found["proof"]["proof"]["leaf_hash"])
