"""The base of all messages: bounds, types of fields, the code of each message, and digests.

Invariant: digests of different kinds never collide: each kind has its own BLAKE2b personalisation.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2b
from typing import Annotated, Any

from emulator.sdk.wire import ManyFixed, MessageCodec, Octets, Row, Text

DIGEST_BYTES = 32
SIGNATURE_BYTES = 64
TRANSACTION_ID_BYTES = 16
RUN_BYTES = 8
MOST_VALIDATORS = 1024
MOST_HEADER_BYTES = 80_000
MOST_PAYLOAD = 1024  # batches that a header may name
MOST_INLINE_BYTES = 8192  # of transactions inside a header
INLINE = 0xFFFF  # in place of a worker's number: the batch is inside the header
MOST_DIGESTS = 1024  # that one request may ask for
MOST_SHARE_BYTES = 256  # of a coin
MOST_TRANSACTION_BYTES = 1 << 18
MOST_BATCH_BYTES = 1 << 21
MOST_PART_BYTES = 1 << 20  # of a state that is sent in parts
MOST_REPLY_BYTES = 1 << 22  # all certificates or batches of one reply
MOST_CERTIFICATES = 256  # in one reply
MOST_RESULTS = 1 << 14  # in one reply to a client

Digest = Annotated[bytes, Octets(DIGEST_BYTES)]
Digests = Annotated[tuple[bytes, ...], ManyFixed(Octets(DIGEST_BYTES), MOST_DIGESTS)]
Signature = Annotated[bytes, Octets(SIGNATURE_BYTES)]
Body = Annotated[bytes, Text(MOST_BATCH_BYTES)]
ResultRow = Row(transaction=Octets(TRANSACTION_ID_BYTES), result=Octets(DIGEST_BYTES))
Results = Annotated[tuple[tuple[bytes, bytes], ...], ManyFixed(ResultRow, MOST_RESULTS)]

REGISTER: MessageCodec[Any] = MessageCodec()  # which messages.py gives its type
CLASSES, MOST_BYTES = REGISTER.classes, REGISTER.most_bytes  # by code
enter_message = REGISTER.message


def digest_of(kind: str, data: bytes) -> bytes:
    """BLAKE2b-256 of `data` as one of a kind (at most 16 letters)."""
    return blake2b(data, digest_size=DIGEST_BYTES, person=kind.encode()).digest()


def batch_digest(body: bytes) -> bytes:
    """The digest of a batch's body, its name."""
    return digest_of("dagbft batch", body)


def vote_digest(header_id: bytes, round: int, author: int) -> bytes:
    """The digest that a voter signs, and that names a certificate. The header id covers the run."""
    return digest_of("dagbft vote", header_id + round.to_bytes(8, "big") + author.to_bytes(2, "big"))


class Cause(IntEnum):
    """The state of a reported result."""

    SPECULATIVE = 0  # its header was made: the result may still change
    EARLY = 1  # final: no block that may still be ordered before it can change it
    COMMITTED = 2  # final: its block is ordered
