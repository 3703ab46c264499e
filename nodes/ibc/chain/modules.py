"""What handles messages on a chain: the bank, and IBC.

Invariant: each kind of message is handled by one module, and signed by the address that the message names.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from nodes.ibc.chain.bank import Bank, parsed
from nodes.ibc.chain.errors import INVALID_COINS, UNAUTHORIZED
from nodes.ibc.core.events import Event
from nodes.ibc.core.router import Outcome, Router, all_redundant
from nodes.ibc.core.state import Context
from nodes.ibc.proto import channel, channel_v2, ibc
from nodes.ibc.proto.cosmos import MsgSend, MsgSendResponse
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.wire import Message

__all__ = ["BankModule", "IbcModule"]

RELAYED = (
    ibc.MsgUpdateClient,
    channel.MsgRecvPacket,
    channel.MsgAcknowledgement,
    channel.MsgTimeout,
    channel.MsgTimeoutOnClose,
    channel_v2.MsgRecvPacket,
    channel_v2.MsgAcknowledgement,
    channel_v2.MsgTimeout,
)


@dataclass(frozen=True, slots=True)
class BankModule:
    """Transfers within the chain."""

    bank: Bank

    def handles(self, message: Message) -> bool:
        return isinstance(message, MsgSend)

    def signer(self, message: Message) -> str:
        assert isinstance(message, MsgSend)
        return message.from_address

    def deliver(self, context: Context, message: Message) -> Message:
        assert isinstance(message, MsgSend)
        coins = parsed(message.amount)
        receiver = self.bank.account(message.to_address)
        if not coins:
            raise INVALID_COINS.error("no coins")
        if not self.bank.may_receive(context, receiver):
            raise UNAUTHORIZED.error(f"{message.to_address} is not allowed to receive funds")
        self.bank.send_coins(context, self.bank.account(message.from_address), receiver, coins)
        return MsgSendResponse()

    def rehearse(self, context: Context, message: Message) -> Message | None:
        return None

    def redundant(self, done: Sequence[tuple[Message, Message]]) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class IbcModule:
    """Clients, connections, channels, packets and transfers between chains."""

    router: Router
    rehearsal: Router  # without applications, for mempools

    def handles(self, message: Message) -> bool:
        return self.router.handles(message)

    def signer(self, message: Message) -> str:
        address: str = message.sender if isinstance(message, MsgTransfer) else getattr(message, "signer")  # noqa: B009
        return address

    def deliver(self, context: Context, message: Message) -> Message:
        before = len(context.events)
        response = self.router.deliver(context, message).response
        context.events[before:] = map(_with_texts, context.events[before:])
        return response

    def rehearse(self, context: Context, message: Message) -> Message | None:
        return self.rehearsal.deliver(context, message).response if isinstance(message, RELAYED) else None

    def redundant(self, done: Sequence[tuple[Message, Message]]) -> bool:
        return all_redundant((message, Outcome(response, ())) for message, response in done)


def _with_texts(event: Event) -> Event:
    """An event with packet data and acknowledgement as text, too: so had it ibc-go before 10, and so others read it."""
    texts = []
    for key, value in event.attributes:
        if key in ("packet_data_hex", "packet_ack_hex"):
            with suppress(UnicodeDecodeError):
                texts.append((key.removesuffix("_hex"), bytes.fromhex(value).decode()))
    return Event(event.type, (*event.attributes, *texts)) if texts else event
