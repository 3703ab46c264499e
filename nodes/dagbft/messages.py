"""Messages between validators, their workers and their clients, and the digests that they sign.

Invariant: a signed digest covers every field but the signature, so that no field of a signed message can be changed in
transit. Digests of different kinds never collide: each kind has its own BLAKE2b personalisation.

Validators are numbered from 0 in the order of the committee, rounds from 1. A block is a `Certificate`: a header with
the votes of a quorum. Headers of round 1 have no parents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from emulator.sdk.wire import (
    U16,
    U32,
    U64,
    Many,
    ManyFixed,
    MessageCodec,
    Nested,
    Octets,
    Row,
    Text,
    Unsigned,
    layout_of,
)
from nodes.dagbft.client.messages import ReadReply, ReadRequest, SignedResults
from nodes.dagbft.field_types import (
    DIGEST_BYTES,
    INLINE,
    MOST_BATCH_BYTES,
    MOST_CERTIFICATES,
    MOST_DIGESTS,
    MOST_HEADER_BYTES,
    MOST_INLINE_BYTES,
    MOST_PART_BYTES,
    MOST_PAYLOAD,
    MOST_REPLY_BYTES,
    MOST_RESULTS,
    MOST_SHARE_BYTES,
    MOST_TRANSACTION_BYTES,
    MOST_VALIDATORS,
    REGISTER,
    RUN_BYTES,
    SIGNATURE_BYTES,
    Body,
    Cause,
    Digest,
    Digests,
    Results,
    Signature,
    batch_digest,
    digest_of,
    enter_message,
    vote_digest,
)


@enter_message(1, MOST_HEADER_BYTES)
@dataclass(frozen=True)  # no slots: `id` is cached
class Header:
    """An author's proposal for a round. `signature` signs `id`."""

    epoch: U32
    author: U16
    round: U64
    payload: Annotated[
        tuple[tuple[bytes, int], ...], ManyFixed(Row(batch=Octets(DIGEST_BYTES), worker=Unsigned(2)), MOST_PAYLOAD),
        "batches, and the worker that has each",
    ]  # fmt: skip
    inline: Annotated[bytes, Text(MOST_INLINE_BYTES), "one more batch, the last; empty: none"]
    parents: Annotated[
        tuple[bytes, ...], ManyFixed(Octets(DIGEST_BYTES), MOST_VALIDATORS),
        "digests of certificates of the round before, rising",
    ]  # fmt: skip
    shard: Annotated[U16, "that this header is in charge of"]
    summary: Annotated[Digest, "of the keys that the payload may write"]
    coin_share: Annotated[bytes, Text(MOST_SHARE_BYTES), "empty where none is due"]
    mode: Annotated[int, Unsigned(1, most=2), "how it votes for leaders: 0 none, 1 steady, 2 fallback"]
    run: Annotated[bytes, Octets(RUN_BYTES), "that it is made for: a certificate of another run is none in this one"]
    signature: Signature

    @cached_property
    def id(self) -> bytes:
        """Digest of every field but the signature. ValueError if a field cannot be encoded."""
        return digest_of("dagbft header", layout_of(Header).unsigned_bytes(self))

    @cached_property
    def names(self) -> tuple[tuple[bytes, int], ...]:
        """All its batches, in the order in which they are executed; the one inside has INLINE for a worker."""
        return (*self.payload, (batch_digest(self.inline), INLINE)) if self.inline else self.payload


@enter_message(2, 200)
@dataclass(frozen=True, slots=True)
class Vote:
    """`voter` holds the parents and the payload of a header. `signature` signs `digest`."""

    header_id: Digest
    round: U64
    author: Annotated[U16, "of the header"]
    voter: U16
    signature: Signature

    @property
    def digest(self) -> bytes:
        return vote_digest(self.header_id, self.round, self.author)


VoteRow = Row(voter=Unsigned(2), signature=Octets(SIGNATURE_BYTES))
Votes = Annotated[tuple[tuple[int, bytes], ...], ManyFixed(VoteRow, MOST_VALIDATORS)]
OneHeader = Annotated[Header, Nested(Header, also=("round", "author"))]


@enter_message(3, 160_000)
@dataclass(frozen=True)
class Certificate:
    """A header for which a quorum has voted: a block. `votes` are (voter, signature), voters rising."""

    header: OneHeader
    votes: Votes

    @cached_property
    def digest(self) -> bytes:
        """The name of the block, and the digest that its voters signed."""
        return vote_digest(self.header.id, self.header.round, self.header.author)

    @property
    def round(self) -> int:
        return self.header.round

    @property
    def author(self) -> int:
        return self.header.author


Certificates = Annotated[tuple[Certificate, ...], Many(Nested(Certificate), MOST_CERTIFICATES)]


@enter_message(4, 40_000)
@dataclass(frozen=True, slots=True)
class CertRequest:
    """Send me the certificates of these digests; where there are none, the newest that you hold.

    A validator that has lost its memory asks with a `nonce` of its present life, which the answers repeat.
    """

    digests: Digests
    nonce: Annotated[U64, "0 where digests are asked for"] = 0
    ancestors: Annotated[U16, "so many blocks below each, of its author, are wanted too"] = 0


@enter_message(5, MOST_REPLY_BYTES)
@dataclass(frozen=True, slots=True)
class CertReply:
    """Certificates that were asked for; as many as the limits allow, and several replies to one request."""

    certificates: Certificates
    nonce: Annotated[U64, "of the request"] = 0


@enter_message(6, 20)
@dataclass(frozen=True, slots=True)
class StateRequest:
    """Send me what was committed from `index` on; or, where you do not have that any more, offer me snapshots."""

    index: Annotated[U64, "of a commit"]


@enter_message(7, MOST_PART_BYTES + 100)
@dataclass(frozen=True, slots=True)
class StateReply:
    """Part `part` of `parts` of certificates of what was committed up to `index`; `digest` is that of all joined."""

    index: U64
    digest: Digest
    part: U16
    parts: U16
    body: Annotated[bytes, Text(MOST_PART_BYTES)]


@enter_message(8, 20)
@dataclass(frozen=True, slots=True)
class TailRequest:
    """Send me all certificates (or signed blocks) of rounds above this one, the lowest first: I do not get on."""

    round: U64


@enter_message(9, 80_000)
@dataclass(frozen=True, slots=True)
class BareCertificate:
    """A certificate without its header, which its author has sent before."""

    header_id: Digest
    round: U64
    author: U16
    votes: Votes

    @property
    def digest(self) -> bytes:
        """The digest of the certificate."""
        return vote_digest(self.header_id, self.round, self.author)


@enter_message(10, 40_000)
@dataclass(frozen=True, slots=True)
class BlockRequest:
    """Without certificates: send me the blocks of these digests; where there are none, all of your newest full round.

    A validator that has lost its memory asks with a `nonce` of its present life, which the answer repeats.
    """

    digests: Digests
    nonce: Annotated[U64, "0 where digests are asked for"] = 0
    ancestors: Annotated[U16, "so many blocks below each, of its author, are wanted too"] = 0


@enter_message(11, MOST_REPLY_BYTES)
@dataclass(frozen=True, slots=True)
class BlockReply:
    """Without certificates: signed blocks that were asked for; as many as the limits allow."""

    blocks: Annotated[tuple[Header, ...], Many(Nested(Header), MOST_CERTIFICATES)]
    nonce: Annotated[U64, "of the request"] = 0


@enter_message(12, 50)
@dataclass(frozen=True, slots=True)
class SnapshotOffer:
    """I have a snapshot of ledger and consensus after this many commits; `digest` is that of all its parts joined."""

    commits: U64
    digest: Digest
    parts: Annotated[int, Unsigned(2, least=1)]


@enter_message(13, 20)
@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Send me a part of the snapshot after this many commits."""

    commits: U64
    part: U16


@enter_message(14, MOST_PART_BYTES + 100)
@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """A part of the snapshot after this many commits."""

    commits: U64
    part: U16
    body: Annotated[bytes, Text(MOST_PART_BYTES)]


@enter_message(16, MOST_BATCH_BYTES + 100)
@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions, worker to workers; `body` as `wire.join_transactions` makes it."""

    body: Body


@enter_message(18, 40_000)
@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Send me these batches."""

    digests: Digests


@enter_message(19, MOST_REPLY_BYTES)
@dataclass(frozen=True, slots=True)
class BatchReply:
    """Batches that were asked for; as many as the limits allow, and several replies to one request."""

    bodies: Annotated[tuple[bytes, ...], Many(Text(MOST_BATCH_BYTES), MOST_DIGESTS)]


@enter_message(32, MOST_BATCH_BYTES + 100)
@dataclass(frozen=True, slots=True)
class OurBatch:
    """A batch that this worker has sealed, stored and sent to others, worker to own primary."""

    digest: Digest
    worker: U16
    body: Body


@enter_message(33, MOST_BATCH_BYTES + 100)
@dataclass(frozen=True, slots=True)
class OthersBatch:
    """A batch of another validator that this worker has stored, worker to own primary."""

    digest: Digest
    worker: U16
    body: Body


@enter_message(34, 45_000)
@dataclass(frozen=True, slots=True)
class Synchronize:
    """Fetch these batches from the workers of these validators, primary to own worker.

    No digests: tell me all own batches again, but for those that are older than what I know of.
    """

    digests: Digests
    ask: Annotated[tuple[int, ...], ManyFixed(Unsigned(2), MOST_VALIDATORS)]
    since: Annotated[U64, "own batches that came when rounds up to this one or a later one had been collected"] = 0


@enter_message(35, 20)
@dataclass(frozen=True, slots=True)
class Cleanup:
    """Rounds up to and with this one are collected, primary to own worker."""

    round: U64


@enter_message(36, 20)
@dataclass(frozen=True, slots=True)
class Seal:
    """A header of this round, in charge of this shard, is due: seal what waits for it, primary to own worker."""

    round: U64
    shard: U16
    inline_bytes: Annotated[U32, "where no more waits, it goes inside the header"]


@enter_message(37, MOST_INLINE_BYTES + 100)
@dataclass(frozen=True, slots=True)
class Sealed:
    """What waited for the header of a round is sealed, worker to own primary."""

    round: U64
    worker: U16
    inline: Annotated[bytes, Text(MOST_INLINE_BYTES), "a batch that is not stored here: the header carries it itself"]


@enter_message(38, 40_000)
@dataclass(frozen=True, slots=True)
class Certified:
    """These own batches are in a block, so a quorum holds them, primary to own worker."""

    digests: Digests


@enter_message(48, MOST_TRANSACTION_BYTES + 100)
@dataclass(frozen=True, slots=True)
class SubmitTx:
    """A transaction, client to worker."""

    transaction: Annotated[bytes, Text(MOST_TRANSACTION_BYTES)]


@enter_message(49, 20)
@dataclass(frozen=True, slots=True)
class Subscribe:
    """Tell me the results of the transactions whose identifiers begin with this number, client to primary."""

    client: U64


@enter_message(50, MOST_RESULTS * 48 + 100)
@dataclass(frozen=True, slots=True)
class SpecReply:
    """Speculative results, (transaction, result hash), of transactions that the block (round, author) will carry."""

    round: U64
    author: U16
    results: Results


@enter_message(51, MOST_RESULTS * 48 + 100)
@dataclass(frozen=True, slots=True)
class FinalReply:
    """Final results, (transaction, result hash), of transactions of the block (round, author)."""

    round: U64
    author: U16
    cause: Annotated[int, Unsigned(1, least=1, most=2, names=Cause)]  # Cause.EARLY or Cause.COMMITTED
    results: Results


Message = (
    Header | Vote | Certificate | CertRequest | CertReply | StateRequest | StateReply | TailRequest
    | BareCertificate | BlockRequest | BlockReply | SnapshotOffer | SnapshotRequest | SnapshotPart | Batch
    | BatchRequest | BatchReply | OurBatch | OthersBatch | Synchronize | Cleanup | Seal | Sealed | Certified
    | SubmitTx | Subscribe | SpecReply | FinalReply | SignedResults | ReadRequest | ReadReply
)  # fmt: skip

CODEC: MessageCodec[Message] = REGISTER
