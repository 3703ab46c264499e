"""Messages of protobuf itself: Any, Timestamp and Duration."""

from __future__ import annotations

from typing import TypeVar

from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message, int32, int64, message, message_named, octets, string

M = TypeVar("M", bound=Message)


@message("google.protobuf.Any")
class Any(Message):
    """A message of any type: its name and its encoding."""

    type_url: str = string(1)
    value: bytes = octets(2)

    @classmethod
    def of(cls, content: Message) -> Any:
        """A message inside Any."""
        return cls(f"/{content.NAME}", content.encode())

    def open(self, *, strict: bool = True) -> Message:
        """The message inside. WireError where its type is not known or its bytes do not fit the type."""
        return message_named(self.type_url.removeprefix("/")).decode(self.value, strict=strict)

    def opened_as(self, expected: type[M], *, strict: bool = True) -> M:
        """The message inside, which must be of one type."""
        if self.type_url != f"/{expected.NAME}":
            raise WireError(f"Any of {self.type_url!r}", f"/{expected.NAME}")
        return expected.recall(self.value) if strict else expected.decode(self.value, strict=False)


_NS = 10**9


@message("google.protobuf.Timestamp")
class Timestamp(Message):
    """A moment: seconds since 1970 (negative before) and the nanoseconds after them."""

    seconds: int = int64(1)
    nanos: int = int32(2)

    @classmethod
    def of_ns(cls, moment_ns: int) -> Timestamp:
        """The moment so many nanoseconds after 1970."""
        return cls(*divmod(moment_ns, _NS))

    @property
    def ns(self) -> int:
        return self.seconds * _NS + self.nanos


@message("google.protobuf.Duration")
class Duration(Message):
    """A span of time."""

    seconds: int = int64(1)
    nanos: int = int32(2)

    @classmethod
    def of_ns(cls, span_ns: int) -> Duration:
        """A span of so many nanoseconds, none or more."""
        return cls(*divmod(span_ns, _NS))

    @property
    def ns(self) -> int:
        return self.seconds * _NS + self.nanos
