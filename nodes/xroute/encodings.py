"""Encodings that anybody may bring.

Invariant: none is read that is too long, and what is wrong is said in the reader's own error.
"""

from __future__ import annotations

from typing import TypeVar

from emulator.model.errors import Unfit
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message

__all__ = ["decoded"]

M = TypeVar("M", bound=Message)


def decoded(kind: type[M], data: bytes, most_bytes: int, refusal: type[Unfit]) -> M:
    """The message of its encoding. `refusal` for more bytes than that, or others."""
    if len(data) > most_bytes:
        raise refusal(f"{kind.__name__} of {len(data)} bytes", f"at most {most_bytes}")
    try:
        return kind.decode(data)
    except WireError as error:
        raise refusal(error.found, error.expected) from None
