"""Wire: messages to bytes and back, and the body of a batch.

A message is one byte that tells its class (`messages.CODES`) and its fields as their layouts say. Invariant: `decode`
takes exactly what `encode` writes, within the limits of the class, and raises ValueError for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import nodes.dagbft.client.messages  # noqa: F401 - enters the classes of clients' messages
from emulator.sdk.wire import layout_of
from nodes.dagbft.kinds import CLASSES, CODES, MOST_BATCH_BYTES, MOST_BYTES, MOST_TRANSACTION_BYTES
from nodes.dagbft.messages import Message

_LENGTH_BYTES = 4


def encode(message: Message) -> bytes:
    """The message as bytes. ValueError where a field or the whole is past its limit."""
    owner = type(message)
    code = CODES[owner]
    pieces = [bytes((code,))]
    layout_of(owner).write(message, pieces)
    data = b"".join(pieces)
    if len(data) > MOST_BYTES[code]:
        raise ValueError(f"{owner.__name__} of {len(data)} bytes; wanted at most {MOST_BYTES[code]}")
    return data


def decode(data: bytes) -> Message:
    """The message that `encode` made these bytes of. ValueError says what is wrong with others."""
    if not data:
        raise ValueError("no bytes; wanted a message")
    owner = CLASSES.get(data[0])
    if owner is None:
        raise ValueError(f"message of type {data[0]}; wanted one of {', '.join(map(str, sorted(CLASSES)))}")
    if len(data) > MOST_BYTES[data[0]]:
        raise ValueError(f"{owner.__name__} of {len(data)} bytes; wanted at most {MOST_BYTES[data[0]]}")
    message: Any
    message, end = layout_of(owner).read(data, 1)
    if end != len(data):
        raise ValueError(f"{owner.__name__}: {len(data) - end} bytes left over; wanted none")
    return message  # type: ignore[no-any-return]


def join_transactions(transactions: Iterable[bytes]) -> bytes:
    """The body of a batch: each transaction with its length (4 bytes) before it. ValueError past the limits."""
    parts = []
    for transaction in transactions:
        if not 0 < len(transaction) <= MOST_TRANSACTION_BYTES:
            raise ValueError(f"transaction of {len(transaction)} bytes; wanted 1 to {MOST_TRANSACTION_BYTES}")
        parts += [len(transaction).to_bytes(_LENGTH_BYTES, "big"), transaction]
    body = b"".join(parts)
    if len(body) > MOST_BATCH_BYTES:
        raise ValueError(f"batch of {len(body)} bytes; wanted at most {MOST_BATCH_BYTES}")
    return body


def split_transactions(body: bytes) -> list[bytes]:
    """The transactions of a batch. ValueError where `join_transactions` would not have made this body."""
    transactions = []
    at, size = 0, len(body)
    while at < size:
        begin = at + _LENGTH_BYTES
        length = int.from_bytes(body[at:begin], "big")
        at = begin + length
        if at > size or not 0 < length <= MOST_TRANSACTION_BYTES:
            raise ValueError(f"transaction of {length} bytes; wanted 1 to {MOST_TRANSACTION_BYTES}, all of them there")
        transactions.append(body[begin:at])
    return transactions


def is_batch(body: bytes) -> bool:
    """Whether `join_transactions` could have made this body; the empty one too."""
    try:
        split_transactions(body)
    except ValueError:
        return False
    return True
