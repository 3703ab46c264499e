"""The one door into IBC: messages of a transaction go in, events and a response come out.

Invariant: a message that is refused leaves every store of its context as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from nodes.ibc.core import paths
from nodes.ibc.core.channels import Channels
from nodes.ibc.core.connections import Connections
from nodes.ibc.core.errors import INVALID_TYPE, UNAUTHORIZED, UNKNOWN_REQUEST
from nodes.ibc.core.events import Event
from nodes.ibc.core.forward import Forwarding
from nodes.ibc.core.identifiers import check_client
from nodes.ibc.core.keepers import Application, Bank, ClientKeeper, PayloadApplication
from nodes.ibc.core.packets import Packets
from nodes.ibc.core.packets_v2 import PacketsV2
from nodes.ibc.core.state import Context
from nodes.ibc.core.transfer import PORT, Transfer
from nodes.ibc.proto import channel, channel_v2, connection, ibc, well_known
from nodes.ibc.proto.transfer import MsgTransfer, MsgTransferResponse
from nodes.ibc.proto.wire import Message

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Outcome:
    """What a message did: its response (for the transaction's data), and events in order."""

    response: Message
    events: tuple[Event, ...]


def all_redundant(done: Iterable[tuple[Message, Outcome]]) -> bool:
    """Whether a transaction, by its messages and their outcomes, only relays what was relayed before.

    A mempool refuses it with `errors.REDUNDANT_TRANSACTION`: the slower of two relayers then pays nothing. Updates of
    clients count for nothing here, as in ibc-go.
    """
    results = [
        getattr(outcome.response, "result", None)
        for message, outcome in done
        if not isinstance(message, ibc.MsgUpdateClient)
    ]
    return bool(results) and all(result is channel.ResponseResultType.NOOP for result in results)


class Router:
    """IBC of one chain. It holds no state: all of it is in the stores of a context.

    `applications` (which may be exchanged later on) and `payload_applications` are modules by port, beside that of
    `transfer` or in its place. `authority` is the address that may recover clients; with "" nobody may.
    """

    def __init__(
        self,
        clients: ClientKeeper,
        bank: Bank,
        *,
        applications: Mapping[str, Application] | None = None,
        payload_applications: Mapping[str, PayloadApplication] | None = None,
        authority: str = "",
    ) -> None:
        self.clients = clients
        self.transfer = Transfer(bank)
        self.applications: dict[str, Application] = dict(applications or {})
        self.connections = Connections(clients)
        self.channels = Channels(self.connections, self.applications)
        self.packets = Packets(self.channels)
        self.forwarding = Forwarding(self.transfer, self.packets)
        self.applications.setdefault(PORT, self.forwarding)
        self.packets_v2 = PacketsV2(clients, {PORT: self.transfer, **(payload_applications or {})})
        self._authority = authority
        self._handlers: dict[str, Callable[[Context, Any], Message]] = {}
        self._add_clients()
        self._add_handshakes()
        self._add_packets()

    def handles(self, message: Message) -> bool:
        return message.NAME in self._handlers

    def deliver(self, context: Context, message: Message) -> Outcome:
        """Act on a message whose signature the chain has verified. Its events are appended to the context's, too.

        Raises AbciError, and nothing else, for a message that is refused.
        """
        handler = self._handlers.get(message.NAME)
        if handler is None:
            raise UNKNOWN_REQUEST.error(f"message {message.NAME}; expected one of IBC")
        branch = context.branch()
        response = handler(branch, message)
        told = tuple(branch.events)
        branch.commit()
        return Outcome(response, told)

    def _on(self, kind: type[M], handler: Callable[[Context, M], Message]) -> None:
        self._handlers[kind.NAME] = handler

    def _add_clients(self) -> None:
        def create(context: Context, message: ibc.MsgCreateClient) -> Message:
            state, consensus = _present(message.client_state), _present(message.consensus_state)
            name = self.clients.create(context, state, consensus)
            context.ibc.set(paths.client_creator(name), message.signer.encode())
            return ibc.MsgCreateClientResponse(name)

        def update(context: Context, message: ibc.MsgUpdateClient) -> Message:
            self.clients.update(context, check_client(message.client_id), _present(message.client_message))
            return ibc.MsgUpdateClientResponse()

        def misbehave(context: Context, message: ibc.MsgSubmitMisbehaviour) -> Message:
            self.clients.update(context, check_client(message.client_id), _present(message.misbehaviour))
            return ibc.MsgSubmitMisbehaviourResponse()

        def recover(context: Context, message: ibc.MsgRecoverClient) -> Message:
            if not self._authority or message.signer != self._authority:
                raise UNAUTHORIZED.error(f"expected {self._authority or 'nobody'}, got {message.signer}")
            subject, substitute = check_client(message.subject_client_id), check_client(message.substitute_client_id)
            self.clients.recover(context, subject, substitute)
            return ibc.MsgRecoverClientResponse()

        def upgrade(context: Context, message: ibc.MsgUpgradeClient) -> Message:
            state, consensus = _present(message.client_state), _present(message.consensus_state)
            proofs = message.proof_upgrade_client, message.proof_upgrade_consensus_state
            self.clients.upgrade(context, check_client(message.client_id), state, consensus, proofs)
            return ibc.MsgUpgradeClientResponse()

        def register(context: Context, message: ibc.MsgRegisterCounterparty) -> Message:
            self.packets_v2.register_counterparty(context, message)
            return ibc.MsgRegisterCounterpartyResponse()

        self._on(ibc.MsgCreateClient, create)
        self._on(ibc.MsgUpdateClient, update)
        self._on(ibc.MsgSubmitMisbehaviour, misbehave)
        self._on(ibc.MsgRecoverClient, recover)
        self._on(ibc.MsgUpgradeClient, upgrade)
        self._on(ibc.MsgRegisterCounterparty, register)

    def _add_handshakes(self) -> None:
        connections, channels = self.connections, self.channels

        def after(handler: Callable[[Context, M], object], response: Message) -> Callable[[Context, M], Message]:
            def run(context: Context, message: M) -> Message:
                handler(context, message)
                return response

            return run

        def open_init(context: Context, message: channel.MsgChannelOpenInit) -> Message:
            name, version = channels.open_init(context, message)
            return channel.MsgChannelOpenInitResponse(channel_id=name, version=version)

        def open_try(context: Context, message: channel.MsgChannelOpenTry) -> Message:
            name, version = channels.open_try(context, message)
            return channel.MsgChannelOpenTryResponse(channel_id=name, version=version)

        responses = connection
        self._on(
            connection.MsgConnectionOpenInit,
            after(connections.open_init, responses.MsgConnectionOpenInitResponse()),
        )
        self._on(
            connection.MsgConnectionOpenTry,
            after(connections.open_try, responses.MsgConnectionOpenTryResponse()),
        )
        self._on(
            connection.MsgConnectionOpenAck,
            after(connections.open_ack, responses.MsgConnectionOpenAckResponse()),
        )
        self._on(
            connection.MsgConnectionOpenConfirm,
            after(connections.open_confirm, responses.MsgConnectionOpenConfirmResponse()),
        )
        self._on(channel.MsgChannelOpenInit, open_init)
        self._on(channel.MsgChannelOpenTry, open_try)
        self._on(channel.MsgChannelOpenAck, after(channels.open_ack, channel.MsgChannelOpenAckResponse()))
        self._on(channel.MsgChannelOpenConfirm, after(channels.open_confirm, channel.MsgChannelOpenConfirmResponse()))
        self._on(channel.MsgChannelCloseInit, after(channels.close_init, channel.MsgChannelCloseInitResponse()))
        self._on(
            channel.MsgChannelCloseConfirm,
            after(channels.close_confirm, channel.MsgChannelCloseConfirmResponse()),
        )

    def _add_packets(self) -> None:
        v1, v2 = self.packets, self.packets_v2

        def send(context: Context, message: MsgTransfer) -> Message:
            return MsgTransferResponse(self.transfer.transfer(context, message, v1, v2))

        self._on(MsgTransfer, send)
        self._on(channel.MsgRecvPacket, lambda c, m: channel.MsgRecvPacketResponse(v1.receive(c, m)))
        self._on(channel.MsgAcknowledgement, lambda c, m: channel.MsgAcknowledgementResponse(v1.acknowledge(c, m)))
        self._on(channel.MsgTimeout, lambda c, m: channel.MsgTimeoutResponse(v1.timeout(c, m)))
        self._on(channel.MsgTimeoutOnClose, lambda c, m: channel.MsgTimeoutOnCloseResponse(v1.timeout_on_close(c, m)))
        self._on(channel_v2.MsgSendPacket, lambda c, m: channel_v2.MsgSendPacketResponse(v2.send(c, m)))
        self._on(channel_v2.MsgRecvPacket, lambda c, m: channel_v2.MsgRecvPacketResponse(v2.receive(c, m)))
        self._on(
            channel_v2.MsgAcknowledgement, lambda c, m: channel_v2.MsgAcknowledgementResponse(v2.acknowledge(c, m))
        )
        self._on(channel_v2.MsgTimeout, lambda c, m: channel_v2.MsgTimeoutResponse(v2.timeout(c, m)))


def _present(content: well_known.Any | None) -> well_known.Any:
    if content is None:
        raise INVALID_TYPE.error("no content; expected a message in Any")
    return content
