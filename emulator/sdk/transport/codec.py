"""What the transport asks of a protocol: how its messages become bytes. And a codec for those who send plain bytes.

Invariant: the first byte of an encoding tells its kind, so a frame is refused by its first bytes, before it is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeVar

__all__ = ["BytesCodec", "Codec"]

M = TypeVar("M")


class Codec(Protocol[M]):
    """Encodes and decodes the messages of a protocol; `wire.MessageCodec` does, for classes with layouts."""

    def encode(self, message: M, /) -> bytes:
        """The bytes of a message. ValueError where it cannot be encoded."""
        ...

    def decode(self, data: bytes, /) -> M:
        """The message of some bytes. ValueError where they are none."""
        ...

    def limits(self, accepts: Collection[type[Any]] | None = None, /) -> Mapping[int, int]:
        """The most bytes of an encoding by its first byte, of the classes that are accepted; None: of all."""
        ...


class BytesCodec:
    """Messages are bytes, at most `most_bytes` long; one byte goes before them on the wire."""

    _KIND = 0

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def encode(self, message: bytes) -> bytes:
        if len(message) > self._most_bytes:
            raise ValueError(f"message of {len(message)} bytes; expected at most {self._most_bytes}")
        return bytes((self._KIND,)) + message

    def decode(self, data: bytes) -> bytes:
        if not data or data[0] != self._KIND or len(data) > 1 + self._most_bytes:
            raise ValueError(f"{len(data)} bytes that are no message; expected kind {self._KIND} first")
        return data[1:]

    def limits(self, accepts: Collection[type[Any]] | None = None) -> dict[int, int]:
        return {self._KIND: 1 + self._most_bytes}
