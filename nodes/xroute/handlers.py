"""Modules of a chain that have a handler for each kind of message.

Invariant: each kind has a field `signer`, the address that must have signed the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nodes.ibc.core.state import Context
from nodes.ibc.proto.wire import Message

__all__ = ["Handlers"]


class Handlers:
    """What modules with handlers have in common (`nodes.ibc.chain.app.Module`)."""

    def __init__(self, handlers: Mapping[type[Message], Callable[[Context, Any], Message]]) -> None:
        self._handlers = handlers

    def handles(self, message: Message) -> bool:
        return type(message) in self._handlers

    def signer(self, message: Message) -> str:
        address: str = getattr(message, "signer")  # noqa: B009 - all of them have one
        return address

    def deliver(self, context: Context, message: Message) -> Message:
        return self._handlers[type(message)](context, message)
