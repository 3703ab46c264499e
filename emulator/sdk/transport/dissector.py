"""What the frames of the transport look like in a capture: the messages of `frames`, around those of a protocol.

Invariant: these are the fields that the codec of `frames` reads, so a capture and a program agree.
"""

from __future__ import annotations

from collections.abc import Iterable

from emulator.sdk.transport.frames import ACK_HEAD, DATA_HEAD, HELLO_HEAD, Hello
from emulator.sdk.wire import Choice, Message, message

__all__ = ["framed"]


def framed(messages: Iterable[Message]) -> tuple[Message, Message, Message]:
    """The messages of a `Dissector` whose links carry these: greeting, message in its frame, acknowledgement."""
    hello = message(Hello, HELLO_HEAD, summary="Hello from {sender} {label}, {service}")
    data = Message("data", {**DATA_HEAD, "message": Choice(*messages)}, summary="{message}")
    return hello, data, Message("ack", ACK_HEAD, summary="Heard up to {number}")
