"""The wire format: messages to bytes and back, and the body of a batch.

A message is one byte for its class, followed by its fields in their layouts. Invariant: `decode` accepts exactly the
bytes that `encode` writes, within the limits of the class, and raises ValueError for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.model.errors import Unfit
from nodes.dagbft.field_types import MOST_BATCH_BYTES, MOST_TRANSACTION_BYTES
from nodes.dagbft.messages import CODEC

_LENGTH_BYTES = 4

encode = CODEC.encode
decode = CODEC.decode


def join_transactions(transactions: Iterable[bytes]) -> bytes:
    """The body of a batch: each transaction with its length (4 bytes) before it. ValueError past the limits."""
    parts = []
    for transaction in transactions:
        if not 0 < len(transaction) <= MOST_TRANSACTION_BYTES:
            raise Unfit(f"transaction of {len(transaction)} bytes", f"1 to {MOST_TRANSACTION_BYTES}")
        parts += [len(transaction).to_bytes(_LENGTH_BYTES, "big"), transaction]
    body = b"".join(parts)
    if len(body) > MOST_BATCH_BYTES:
        raise Unfit(f"batch of {len(body)} bytes", f"at most {MOST_BATCH_BYTES}")
    return body


def split_transactions(body: bytes) -> list[bytes]:
    """The transactions of a batch. ValueError if `join_transactions` cannot have made this body."""
    transactions = []
    at, size = 0, len(body)
    while at < size:
        begin = at + _LENGTH_BYTES
        length = int.from_bytes(body[at:begin], "big")
        at = begin + length
        if at > size or not 0 < length <= MOST_TRANSACTION_BYTES:
            raise Unfit(f"transaction of {length} bytes", f"1 to {MOST_TRANSACTION_BYTES}, all of them there")
        transactions.append(body[begin:at])
    return transactions


def is_batch(body: bytes) -> bool:
    """Whether `join_transactions` could have made this body; the empty one too."""
    try:
        split_transactions(body)
    except ValueError:
        return False
    return True
