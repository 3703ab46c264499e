"""Wireshark dissectors of DAG-BFT: frames and messages, in TLS between validators and unencrypted on a node."""

from __future__ import annotations

from typing import Any

from emulator.sdk.transport.dissector import framed
from emulator.sdk.wire import Dissector, Kind, Many, Message, Nested, Text, Unsigned, Until, message
from nodes.dagbft.client.messages import ReadReply, ReadRequest, SignedResults
from nodes.dagbft.execution.transactions import Transaction
from nodes.dagbft.field_types import (
    CLASSES,
    MOST_BATCH_BYTES,
    MOST_BYTES,
    MOST_DIGESTS,
    MOST_INLINE_BYTES,
    MOST_TRANSACTION_BYTES,
)
from nodes.dagbft.messages import (
    BareCertificate,
    Batch,
    BatchReply,
    BatchRequest,
    BlockReply,
    BlockRequest,
    Certificate,
    Certified,
    CertReply,
    CertRequest,
    Cleanup,
    FinalReply,
    Header,
    OthersBatch,
    OurBatch,
    Seal,
    Sealed,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    SpecReply,
    StateReply,
    StateRequest,
    SubmitTx,
    Subscribe,
    Synchronize,
    TailRequest,
    Vote,
)
from nodes.dagbft.ports import CLIENT_PORT, PRIMARY_LOCAL_PORT, PRIMARY_PORT, WORKER_LOCAL_PORT, WORKER_PORT

MOST_WORKERS = 16  # workers whose ports are registered

_TRANSACTION = Text(MOST_TRANSACTION_BYTES, least=1, holds=Nested(Transaction))
_BATCH = Text(MOST_BATCH_BYTES, holds=Until(_TRANSACTION))  # see `wire.join_transactions`
_INLINE = Text(MOST_INLINE_BYTES, holds=Until(_TRANSACTION))
_HELD: dict[type[Any], dict[str, Kind]] = {  # fields whose bytes the codec does not decode
    Header: {"inline": _INLINE},
    Batch: {"body": _BATCH},
    OurBatch: {"body": _BATCH},
    OthersBatch: {"body": _BATCH},
    Sealed: {"inline": _INLINE},
    BatchReply: {"bodies": Many(_BATCH, MOST_DIGESTS)},
    SubmitTx: {"transaction": Text(MOST_TRANSACTION_BYTES, holds=Nested(Transaction))},
}
_SUMMARIES: dict[type[Any], str] = {
    Header: "Header round {round} author {author}",
    Vote: "Vote of {voter} for round {round} author {author}",
    Certificate: "Certificate round {round} author {author}",
    CertRequest: "Request for {digests} certificates",
    CertReply: "Reply of {certificates} certificates",
    StateRequest: "Request for the state of commit {index}",
    StateReply: "State of commit {index}, part {part} of {parts}",
    TailRequest: "Request for all blocks above round {round}",
    BareCertificate: "Certificate round {round} author {author}, without its header",
    BlockRequest: "Request for {digests} blocks",
    BlockReply: "Reply of {blocks} blocks",
    SnapshotOffer: "Offer of a snapshot after {commits} commits",
    SnapshotRequest: "Request for part {part} of the snapshot after {commits} commits",
    SnapshotPart: "Part {part} of the snapshot after {commits} commits",
    Batch: "Batch of {body}",
    BatchRequest: "Request for {digests} batches",
    BatchReply: "Reply of {bodies} batches",
    OurBatch: "Own batch {digest} of worker {worker}",
    OthersBatch: "Batch {digest} of another validator at worker {worker}",
    Synchronize: "Fetch {digests} batches",
    Cleanup: "Clean up to round {round}",
    Seal: "Seal for round {round} shard {shard}",
    Sealed: "Sealed for round {round} at worker {worker}",
    Certified: "{digests} batches are in a block",
    SubmitTx: "Transaction of {transaction}",
    Subscribe: "Subscribe client {client}",
    SpecReply: "Speculative: {results} results of round {round} author {author}",
    FinalReply: "Final ({cause}): {results} results of round {round} author {author}",
    SignedResults: "Signed by {voter}: {results} results, commits {commits}",
    ReadRequest: "Read {number} of {keys} keys, least {least}",
    ReadReply: "Values of {values} keys at {at}, from {voter}: read {number} {status}",
}


def dissectors() -> list[Dissector]:
    """One dissector for all links: each frame names its message type."""
    messages = [_described(code, owner) for code, owner in CLASSES.items()]
    workers = range(MOST_WORKERS)
    mesh = (PRIMARY_PORT, *(WORKER_PORT + number for number in workers))
    local = (PRIMARY_LOCAL_PORT, CLIENT_PORT, *(WORKER_LOCAL_PORT + number for number in workers))
    return [Dissector("dagbft", "DAG-BFT", "tls", framed(messages), ports=mesh, clear_ports=local)]


def _described(code: int, owner: type[Any]) -> Message:
    plain = message(owner, {"code": Unsigned(1, equals=code)}, summary=_SUMMARIES[owner], most_bytes=MOST_BYTES[code])
    return Message(plain.name, {**plain.parts, **_HELD.get(owner, {})}, plain.summary, plain.most_bytes)
