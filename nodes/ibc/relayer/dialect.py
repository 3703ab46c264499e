"""Calls as CometBFT's JSON-RPC: requests out, results in.

Invariant: whatever a chain answers becomes an answer of the call's type, or Unanswered with the reason.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from nodes.ibc.comet.json_form import read_header, read_number, read_signed_header, read_text, read_validators
from nodes.ibc.core.events import Event
from nodes.ibc.proto.ics23 import CommitmentProof
from nodes.ibc.proto.wire import delimited
from nodes.ibc.relayer.calls import (
    Admission,
    Ask,
    Block,
    BlockAt,
    Broadcast,
    Call,
    ChainStatus,
    Proven,
    SignedHeaderAt,
    StatusOf,
    Stored,
    TransactionsAt,
    TxResult,
    Unanswered,
    ValidatorsAt,
)

Json = dict[str, Any]
Request = tuple[str, Json]  # method and parameters
MOST_VALIDATORS = 100  # of one page; chains with more are refused
_PROOF_TAG = b"\x0a"  # of each proof of a MerkleProof
_UNREAD = frozenset(
    ("message", "coin_spent", "coin_received", "coinbase", "burn", "transfer", "ibc_transfer", "fungible_token_packet",
     "denomination")
)  # fmt: skip
"""Events of the bank and of transfers: most of a block, and nothing that a relayer reads. Of those of type `message`
it reads the one for each message, which names it as its first attribute: `action`."""
REFUSED = -1  # code of an admission that the RPC itself denied


def requests(call: Call) -> list[Request]:
    """The requests that make up a call."""
    match call:
        case StatusOf():
            return [("status", {})]
        case Ask():
            return [("abci_query", {"path": call.path, "data": call.request.encode().hex()})]
        case Stored():
            height = str(call.height)
            key = {"path": f"/store/{call.store}/key", "data": call.key.hex(), "height": height, "prove": True}
            return [("abci_query", key)]
        case BlockAt():
            return [(method, {"height": str(call.height)}) for method in ("header", "block_results")]
        case SignedHeaderAt():
            return [("commit", {"height": str(call.height)})]
        case ValidatorsAt():
            return [("validators", {"height": str(call.height), "page": "1", "per_page": str(MOST_VALIDATORS)})]
        case TransactionsAt():
            return [("block", {"height": str(call.height)})]
        case Broadcast():
            return [("broadcast_tx_sync", {"tx": base64.b64encode(call.data).decode()})]


def answer(call: Call, replies: Sequence[Mapping[str, Any]]) -> Any:
    """The answer in the replies to a call's requests: each has `result` or `error`."""
    for reply in replies:
        if (error := reply.get("error")) is not None:
            reason = f"{error.get('message')}: {error.get('data')}" if isinstance(error, Mapping) else str(error)
            if isinstance(call, Broadcast):
                return Admission(REFUSED, "rpc", reason)
            raise Unanswered(f"{call.chain} {type(call).__name__}: {reason[:300]}")
    try:
        return _read(call, [reply["result"] for reply in replies])
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Unanswered(f"{call.chain} {type(call).__name__}: answer out of form: {error!r:.300}") from None


def _read(call: Call, results: Sequence[Any]) -> Any:
    first = results[0]
    match call:
        case StatusOf():
            sync = first["sync_info"]
            heights = (read_number(sync, name) for name in ("earliest_block_height", "latest_block_height"))
            return ChainStatus(read_text(first["node_info"], "network"), *heights)
        case Ask():
            return call.answer.decode(_value(call, first["response"]), strict=False)
        case Stored():
            response = first["response"]
            value = _value(call, response)
            ops = response["proofOps"]["ops"]
            proofs = [base64.b64decode(op["data"]) for op in ops]
            for proof in proofs:
                CommitmentProof.decode(proof, strict=False)
            return Proven(value, b"".join(_PROOF_TAG + delimited(proof) for proof in proofs), read_text(ops[0], "type"))
        case BlockAt():
            header = read_header(first["header"])
            return Block(header.height, header.time.ns, tuple(map(_result, results[1]["txs_results"] or ())))
        case SignedHeaderAt():
            return read_signed_header(first["signed_header"])
        case ValidatorsAt():
            if read_number(first, "total") > MOST_VALIDATORS:
                raise ValueError(f"{first['total']} validators, more than {MOST_VALIDATORS}")
            return read_validators(first["validators"])
        case TransactionsAt():
            return tuple(base64.b64decode(each) for each in first["block"]["data"]["txs"])
        case Broadcast():
            return Admission(read_number(first, "code"), read_text(first, "codespace"), read_text(first, "log"))


def _value(call: Ask | Stored, response: Json) -> bytes:
    if read_number(response, "code"):
        raise Unanswered(f"{call.chain} {getattr(call, 'path', 'store')}: {read_text(response, 'log')[:300]}")
    return base64.b64decode(response["value"] or "")


def _result(form: Json) -> TxResult:
    events = tuple(
        Event(each["type"], tuple([(pair["key"], pair["value"] or "") for pair in each["attributes"]]))
        for each in form["events"] or ()
        if each["type"] not in _UNREAD or (each["type"] == "message" and each["attributes"][0]["key"] == "action")
    )
    for event in events:  # an error where a word is no text: blocks have thousands, so an event's are looked at at once
        "".join((event.type, *chain.from_iterable(event.attributes))).encode()
    code, gas_used = read_number(form, "code"), read_number(form, "gas_used")
    return TxResult(code, read_text(form, "codespace"), read_text(form, "log"), gas_used, events)
