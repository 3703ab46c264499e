"""What handles messages on a chain: the bank, and IBC.

Invariant: each kind of message is handled by one module, and signed by the address that the message names.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.chain.bank import Bank, parsed
from nodes.ibc.chain.errors import INVALID_COINS, UNAUTHORIZED
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context
from nodes.ibc.proto.cosmos import MsgSend, MsgSendResponse
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.wire import Message

__all__ = ["BankModule", "IbcModule"]


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


@dataclass(frozen=True, slots=True)
class IbcModule:
    """Clients, connections, channels, packets and transfers between chains."""

    router: Router

    def handles(self, message: Message) -> bool:
        return self.router.handles(message)

    def signer(self, message: Message) -> str:
        address: str = message.sender if isinstance(message, MsgTransfer) else getattr(message, "signer")  # noqa: B009
        return address

    def deliver(self, context: Context, message: Message) -> Message:
        return self.router.deliver(context, message).response
