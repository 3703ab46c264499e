"""JSON of CometBFT 0.38 for blocks, results and transactions, as its RPC server writes them.

Invariant: 64-bit numbers are decimal texts, hashes upper-case hex, transactions and data base64, as in the recorded
answers of a real node. Headers, commits and validators: `nodes.ibc.comet.json_form`.
"""

from __future__ import annotations

from typing import Any

from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.ledger import Entry, Transacted
from nodes.ibc.chain.queries import Answer
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.transactions import tx_hash
from nodes.ibc.comet.hashes import data_hash
from nodes.ibc.comet.json_form import (
    write_base64,
    write_block_id,
    write_commit,
    write_header,
    write_hex,
    write_validators,
)
from nodes.ibc.comet.merkle import proof
from nodes.ibc.proto.comet import ValidatorSet

__all__ = ["answer_form", "block_form", "block_meta", "block_results", "identified_block", "result_form",
           "transaction_form", "validators_form"]  # fmt: skip

Json = dict[str, Any]


def block_form(block: Block) -> Json:
    """A block."""
    return {
        "header": write_header(block.header),
        "data": {"txs": [write_base64(tx) for tx in block.txs]},
        "evidence": {"evidence": []},
        "last_commit": write_commit(block.last_commit),
    }


def identified_block(block: Block) -> Json:
    """A block and its id: the answer to `block`."""
    return {"block_id": write_block_id(block.id), "block": block_form(block)}


def block_meta(block: Block) -> Json:
    """What `blockchain` says of a block."""
    return {
        "block_id": write_block_id(block.id),
        "block_size": str(block.size),
        "header": write_header(block.header),
        "num_txs": str(len(block.txs)),
    }


def result_form(result: TxResult) -> Json:
    """What became of a transaction."""
    return {
        "code": result.code,
        "data": write_base64(result.data) if result.data else None,
        "log": result.log,
        "info": "",
        "gas_wanted": str(result.gas_wanted),
        "gas_used": str(result.gas_used),
        "events": [
            {
                "type": event.type,
                "attributes": [{"key": key, "value": value, "index": True} for key, value in event.attributes],
            }
            for event in result.events
        ],
        "codespace": result.codespace,
    }


def block_results(entry: Entry) -> Json:
    """What became of a block."""
    return {
        "height": str(entry.block.height),
        "txs_results": [result_form(each) for each in entry.results] or None,
        "finalize_block_events": [],
        "validator_updates": [],
        "consensus_param_updates": None,
        "app_hash": write_base64(entry.app_hash),
    }


def transaction_form(transacted: Transacted, block: Block | None = None) -> Json:
    """A transaction that was found; where its block is given, with the proof that it is in there."""
    form = {
        "hash": write_hex(transacted.hash),
        "height": str(transacted.height),
        "index": transacted.index,
        "tx_result": result_form(transacted.result),
        "tx": write_base64(transacted.data),
    }
    if block is not None:
        path = proof([tx_hash(tx) for tx in block.txs], transacted.index)
        form["proof"] = {
            "root_hash": write_hex(data_hash(block.txs)),
            "data": write_base64(transacted.data),
            "proof": {
                "total": str(path.total),
                "index": str(path.index),
                "leaf_hash": write_base64(path.leaf_hash),
                "aunts": [write_base64(aunt) for aunt in path.aunts],
            },
        }
    return form


def validators_form(height: int, validators: ValidatorSet, page: int, per_page: int) -> Json:
    """One page of the validators of a height."""
    shown = validators.validators[(page - 1) * per_page : page * per_page]
    return {
        "block_height": str(height),
        "validators": write_validators(shown),
        "count": str(len(shown)),
        "total": str(len(validators.validators)),
    }


def answer_form(answer: Answer) -> Json:
    """What `abci_query` answers."""
    ops = [{"type": op.type, "key": write_base64(op.key), "data": write_base64(op.data)} for op in answer.proof]
    return {
        "code": answer.code,
        "log": answer.log,
        "info": "",
        "index": "0",
        "key": write_base64(answer.key) if answer.key else None,
        "value": write_base64(answer.value) if answer.value else None,
        "proofOps": {"ops": ops} if ops else None,
        "height": str(answer.height),
        "codespace": answer.codespace,
    }
