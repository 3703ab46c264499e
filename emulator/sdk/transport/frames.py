"""Frames: how a stream of bytes is cut into greetings, numbered messages and acknowledgements.

A frame is its length (4 bytes, of what follows), its kind (1 byte) and a body: a greeting; the number (8 bytes) and the
bytes of a message; or the number up to which messages have arrived. Invariant: a reader holds no more than the largest
frame that is allowed, as a frame is judged by its first 14 bytes; what is not allowed is passed over, not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from emulator.model.errors import Unfit
from emulator.sdk.wire import U16, U64, Fixed, Length, Octets, Row, Text, Unsigned, layout_of

__all__ = ["Hello"]

HELLO, DATA, ACK = 1, 2, 3
MAGIC = b"SkyD"  # the last letter is the version of what frames hold
MOST_HELLO_BYTES = 256
MOST_LABEL_BYTES = 64
_NUMBER_BYTES = 8


def head(kind: int, least: int, most: int | None = None) -> dict[str, Fixed]:
    """The fields that begin a frame of a kind: its length, of `least` to `most` bytes, and the kind."""
    fields: dict[str, Fixed] = {"length": Length(4, least=least, most=most), "kind": Unsigned(1, equals=kind)}
    if kind != HELLO:
        fields["number"] = Unsigned(_NUMBER_BYTES)
    return fields


HELLO_HEAD = head(HELLO, 1, MOST_HELLO_BYTES)
DATA_HEAD = head(DATA, 1 + _NUMBER_BYTES + 1)
ACK_HEAD = head(ACK, 1 + _NUMBER_BYTES, 1 + _NUMBER_BYTES)
_HEAD, _NUMBERED = Row(**HELLO_HEAD).struct, Row(**DATA_HEAD).struct
_JUDGED_BYTES = _NUMBERED.size + 1  # with these a frame of data has told its message's class


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame each way: who I am, and how far I have heard you."""

    magic: Annotated[bytes, Octets(4, equals=MAGIC)]
    service: Annotated[bytes, Text(MOST_LABEL_BYTES, shown="text"), "what both want to talk about"]  # b"primary"
    label: Annotated[bytes, Text(MOST_LABEL_BYTES, shown="text"), "of a process without a certificate"]
    sender: Annotated[U16, "number of the sender in its mesh"]
    incarnation: Annotated[U64, "of the sending process; another one after a restart"]
    heard_incarnation: Annotated[U64, "of the other process, when they last talked; 0: never"]
    heard: Annotated[U64, "number of the last message from that incarnation"]

    def encode(self) -> bytes:
        pieces: list[bytes] = []
        layout_of(Hello).write(self, pieces)
        return b"".join(pieces)

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """The greeting in the body of a frame; ValueError where there is none."""
        hello, end = layout_of(cls).read(data, 0)
        if end != len(data):
            raise Unfit(f"greeting with {len(data) - end} bytes over", "none")
        assert isinstance(hello, cls)
        return hello


def hello_frame(hello: Hello) -> bytes:
    body = hello.encode()
    return _HEAD.pack(len(body) + 1, HELLO) + body


def data_head(number: int, size: int) -> bytes:
    """What goes before a message of `size` bytes."""
    return _NUMBERED.pack(1 + _NUMBER_BYTES + size, DATA, number)


def ack_frame(number: int) -> bytes:
    return _NUMBERED.pack(1 + _NUMBER_BYTES, ACK, number)


class Frame(NamedTuple):
    """What came: `body` of a greeting or a message, or why there is none in `wrong`: kind, type, oversized, short."""

    kind: int
    number: int = 0
    body: bytes = b""
    wrong: str = ""


class FrameReader:
    """Cuts what arrives into frames. `limits` are the most bytes of a message by its code; other codes are refused."""

    def __init__(self, limits: Mapping[int, int]) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._skip = 0  # bytes still to pass over

    @property
    def held(self) -> int:
        """Bytes that are kept."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes. To be exhausted before the next call."""
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        buffer = self._buffer
        buffer += data
        at, size = 0, len(buffer)
        while size - at >= _HEAD.size:
            length, kind = _HEAD.unpack_from(buffer, at)
            end = at + 4 + length
            if size < min(end, at + _JUDGED_BYTES):
                break
            number, wrong = self._judge(buffer, at, length, kind)
            body = b""
            if not wrong:
                if end > size:
                    break
                body = bytes(memoryview(buffer)[at + (_HEAD.size if kind == HELLO else _NUMBERED.size) : end])
            elif end > size:
                self._skip = end - size
                end = size
            at = end
            yield Frame(kind, number, body, wrong)
        del buffer[:at]

    def _judge(self, buffer: bytearray, at: int, length: int, kind: int) -> tuple[int, str]:
        """The number of a frame, of which the first bytes are here, and why it may not be kept."""
        if length == 0:  # what was taken for the kind begins the next frame
            return 0, "short"
        if kind == HELLO:
            return 0, "oversized" if length > MOST_HELLO_BYTES else ""
        if kind not in (DATA, ACK):
            return 0, "kind"
        body = length - 1 - _NUMBER_BYTES
        if body < (kind == DATA):
            return 0, "short"
        number: int = _NUMBERED.unpack_from(buffer, at)[2]
        if kind == ACK:
            return number, "oversized" if body else ""
        limit = self._limits.get(buffer[at + _NUMBERED.size])
        if limit is None:
            return number, "type"
        return number, "oversized" if body > limit else ""
