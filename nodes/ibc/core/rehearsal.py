"""What a mempool tries before it takes messages that relay: all that core does of them, and no application is told.

Invariant: a message that core takes, and that was not redundant before, is redundant after its rehearsal. As in ibc-go,
`modules/core/ante`.
"""

from __future__ import annotations

from nodes.ibc.core.keepers import Route
from nodes.ibc.core.router import Router
from nodes.ibc.core.state import Context
from nodes.ibc.core.transfer import Transfer
from nodes.ibc.proto.channel import Packet
from nodes.ibc.proto.channel_v2 import PacketStatus, Payload, RecvPacketResult


def rehearsing(router: Router) -> Router:
    """What rehearses what a router delivers, with the applications that it has now."""
    bank = router.transfer.bank
    untold = _Untold(bank)
    return Router(
        router.clients,
        bank,
        applications=dict.fromkeys(router.applications, untold),
        payload_applications=dict.fromkeys(router.packets_v2.applications, untold),
    )


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
