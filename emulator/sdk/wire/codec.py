"""A codec for the messages of a protocol: the first byte of an encoding tells the class, layouts tell the fields.

Invariant: `decode` takes exactly what `encode` writes, within the limit of the class, and raises ValueError for
everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from emulator.model.errors import Unfit
from emulator.sdk.wire.layout import layout_of

M = TypeVar("M")
C = TypeVar("C")


class MessageCodec(Generic[M]):
    """The message classes of a protocol. Each is a dataclass with a layout; `message` gives it a code and a limit."""

    def __init__(self) -> None:
        self.classes: dict[int, type[Any]] = {}  # by code
        self.codes: dict[type[Any], int] = {}  # the first byte of an encoding, by class
        self.most_bytes: dict[int, int] = {}  # the largest encoding, by code
        self._begins: dict[type[Any], tuple[bytes, int]] = {}  # first byte and limit, in one look-up for each message

    def message(self, code: int, most_bytes: int) -> Callable[[type[C]], type[C]]:
        """Class decorator: gives a message class its code (0 to 255) and the limit of its encoding.

        ValueError where the code is taken or is not a byte.
        """
        if not 0 <= code <= 255 or code in self.classes:
            raise ValueError(f"message code {code}; expected one from 0 to 255 that no other class has")

        def enter(owner: type[C]) -> type[C]:
            self.codes[owner], self.classes[code], self.most_bytes[code] = code, owner, most_bytes
            self._begins[owner] = (bytes((code,)), most_bytes)
            return owner

        return enter

    def encode(self, message: M) -> bytes:
        """The message as bytes. ValueError where a field or the whole is past its limit."""
        owner = type(message)
        begin, most_bytes = self._begins[owner]
        pieces = [begin]
        layout_of(owner).write(message, pieces)
        data = b"".join(pieces)
        if len(data) > most_bytes:
            raise Unfit(f"{owner.__name__} of {len(data)} bytes", f"at most {most_bytes}")
        return data

    def decode(self, data: bytes) -> M:
        """The message that `encode` made these bytes of. ValueError says what is wrong with others."""
        if not data:
            raise Unfit("no bytes", "a message")
        code = data[0]
        owner = self.classes.get(code)
        if owner is None:
            raise Unfit(f"message of type {code}", f"one of {', '.join(map(str, sorted(self.classes)))}")
        if len(data) > self.most_bytes[code]:
            raise Unfit(f"{owner.__name__} of {len(data)} bytes", f"at most {self.most_bytes[code]}")
        message: Any
        message, end = layout_of(owner).read(data, 1)
        if end != len(data):
            raise Unfit(f"{owner.__name__}: {len(data) - end} bytes left over", "none")
        return message  # type: ignore[no-any-return]

    def limits(self, accepts: Collection[type[Any]] | None = None) -> dict[int, int]:
        """The largest encoding by first byte, of the classes that are accepted; None: of all."""
        codes = self.classes if accepts is None else [self.codes[owner] for owner in accepts]
        return {code: self.most_bytes[code] for code in codes}
