"""What a mempool tries before it takes messages that relay: all that core does of them, and no application is told.

Invariant: a message that core takes, and that was not redundant before, is redundant after its rehearsal. As in ibc-go,
`modules/core/ante`.
"""

from __future__ import annotations

from nodes.ibc.core.keepers import Bank, ClientKeeper, Route
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context
from nodes.ibc.core.transfer import PORT, Transfer
from nodes.ibc.proto.channel import Packet
from nodes.ibc.proto.channel_v2 import PacketStatus, Payload, RecvPacketResult


def rehearsing(clients: ClientKeeper, bank: Bank) -> Router:
    """A router for rehearsals, over the clients of a chain."""
    untold = _Untold(bank)
    return Router(clients, bank, applications={PORT: untold}, payload_applications={PORT: untold})


class _Untold(Transfer):
    """Does nothing with packets, as if it answered later."""

    def receive(self, context: Context, packet: Packet, relayer: str) -> None:
        return None

    def acknowledge(self, context: Context, packet: Packet, acknowledgement: bytes, relayer: str) -> None:
        return None

    def timeout(self, context: Context, packet: Packet, relayer: str) -> None:
        return None

    def receive_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> RecvPacketResult:
        return RecvPacketResult(PacketStatus.ASYNC)

    def acknowledge_payload(
        self, context: Context, route: Route, payload: Payload, acknowledgement: bytes, relayer: str
    ) -> None:
        return None

    def timeout_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> None:
        return None
