"""ICS-4 channels: the handshake that joins a port here and a port there over a connection, and closing.

Invariant: an end that is open was proven to name, and to be named by, one end of the other chain; closed ends stay so.
Source: ibc-go `modules/core/04-channel/keeper/handshake.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nodes.ibc.core import events, paths
from nodes.ibc.core.connections import Connections
from nodes.ibc.core.errors import (
    CHANNEL_NOT_FOUND,
    INVALID_CHANNEL_COUNTERPARTY,
    INVALID_CHANNEL_IDENTIFIER,
    INVALID_CHANNEL_ORDERING,
    INVALID_CHANNEL_STATE,
    INVALID_CONNECTION_VERSION,
    NO_ROUTE,
    TOO_MANY_CONNECTION_HOPS,
)
from nodes.ibc.core.identifiers import check_channel, check_connection, check_port
from nodes.ibc.core.keepers import Application, require_active
from nodes.ibc.core.state import Context, next_number, write_number
from nodes.ibc.core.tables import CHANNEL, End, Handshake
from nodes.ibc.proto import channel
from nodes.ibc.proto.channel import Channel, Counterparty, Order, State
from nodes.ibc.proto.connection import ConnectionEnd
from nodes.ibc.proto.ibc import Height


@dataclass(frozen=True)
class Channels:
    """Handlers of handshake messages. `applications` are by port."""

    connections: Connections
    applications: Mapping[str, Application]

    def open_init(self, context: Context, message: channel.MsgChannelOpenInit) -> tuple[str, str]:
        """The name of the new channel, and its version."""
        port, proposed = message.port_id, message.channel
        _check_proposal(port, proposed, State.INIT)
        if proposed.counterparty.channel_id:
            raise INVALID_CHANNEL_COUNTERPARTY.error("counterparty channel identifier must be empty")
        application = self.application(port)
        connection = self.connections.get(context, proposed.connection_hops[0])
        _require_ordering(connection, proposed.ordering)
        require_active(self.connections.clients, context, connection.client_id)
        state = CHANNEL.step("new", End.UNINITIALIZED, Handshake.OPEN_INIT)
        name = _new_name(context)
        version = application.open_init(context, proposed.ordering, port, name, proposed.counterparty, proposed.version)
        self._create(context, port, name, replace(proposed, state=_wire(state), version=version), "open_init")
        return name, version

    def open_try(self, context: Context, message: channel.MsgChannelOpenTry) -> tuple[str, str]:
        """The name of the new channel, and its version."""
        port, proposed = message.port_id, message.channel
        _check_proposal(port, proposed, State.TRYOPEN)
        if message.previous_channel_id:
            raise INVALID_CHANNEL_IDENTIFIER.error("previous channel identifier must be empty")
        check_channel(proposed.counterparty.channel_id)
        application = self.application(port)
        connection = self.connections.get_open(context, proposed.connection_hops[0])
        _require_ordering(connection, proposed.ordering)
        state = CHANNEL.step("new", End.UNINITIALIZED, Handshake.OPEN_TRY)
        expected = Channel(
            State.INIT,
            proposed.ordering,
            Counterparty(port, ""),
            (connection.counterparty.connection_id,),
            message.counterparty_version,
        )
        self._verify(context, connection, message.proof_height, message.proof_init, proposed.counterparty, expected)
        name = _new_name(context)
        version = application.open_try(
            context, proposed.ordering, port, name, proposed.counterparty, message.counterparty_version
        )
        self._create(context, port, name, replace(proposed, state=_wire(state), version=version), "open_try")
        return name, version

    def open_ack(self, context: Context, message: channel.MsgChannelOpenAck) -> None:
        port, name = message.port_id, message.channel_id
        check_channel(message.counterparty_channel_id)
        end = self.get(context, port, name)
        state = CHANNEL.step(name, End(end.state), Handshake.OPEN_ACK)
        application = self.application(port)
        connection = self.connections.get_open(context, end.connection_hops[0])
        counterparty = replace(end.counterparty, channel_id=message.counterparty_channel_id)
        expected = Channel(
            State.TRYOPEN,
            end.ordering,
            Counterparty(port, name),
            (connection.counterparty.connection_id,),
            message.counterparty_version,
        )
        self._verify(context, connection, message.proof_height, message.proof_try, counterparty, expected)
        end = replace(end, state=_wire(state), version=message.counterparty_version, counterparty=counterparty)
        self.set(context, port, name, end)
        context.emit(*events.channel_step("open_ack", port, name, end))
        application.open_ack(context, port, name, message.counterparty_version)

    def open_confirm(self, context: Context, message: channel.MsgChannelOpenConfirm) -> None:
        port, name = message.port_id, message.channel_id
        end = self.get(context, port, name)
        state = CHANNEL.step(name, End(end.state), Handshake.OPEN_CONFIRM)
        application = self.application(port)
        connection = self.connections.get_open(context, end.connection_hops[0])
        expected = mirror(port, name, end, connection, State.OPEN)
        self._verify(context, connection, message.proof_height, message.proof_ack, end.counterparty, expected)
        end = replace(end, state=_wire(state))
        self.set(context, port, name, end)
        context.emit(*events.channel_step("open_confirm", port, name, end))
        application.open_confirm(context, port, name)

    def close_init(self, context: Context, message: channel.MsgChannelCloseInit) -> None:
        port, name = message.port_id, message.channel_id
        end = self.get(context, port, name)
        self.application(port).close_init(context, port, name)
        state = CHANNEL.step(name, End(end.state), Handshake.CLOSE_INIT)
        connection = self.connections.get(context, end.connection_hops[0])
        require_active(self.connections.clients, context, connection.client_id)
        self.connections.get_open(context, end.connection_hops[0])
        end = replace(end, state=_wire(state))
        self.set(context, port, name, end)
        context.emit(*events.channel_step("close_init", port, name, end))

    def close_confirm(self, context: Context, message: channel.MsgChannelCloseConfirm) -> None:
        port, name = message.port_id, message.channel_id
        end = self.get(context, port, name)
        self.application(port).close_confirm(context, port, name)
        state = CHANNEL.step(name, End(end.state), Handshake.CLOSE_CONFIRM)
        connection = self.connections.get_open(context, end.connection_hops[0])
        expected = mirror(port, name, end, connection, State.CLOSED)
        self._verify(context, connection, message.proof_height, message.proof_init, end.counterparty, expected)
        end = replace(end, state=_wire(state))
        self.set(context, port, name, end)
        context.emit(*events.channel_step("close_confirm", port, name, end))

    def get(self, context: Context, port: str, name: str) -> Channel:
        stored = context.ibc.get(paths.channel_end(port, name))
        if stored is None:
            raise CHANNEL_NOT_FOUND.error(f"port ID ({port}) channel ID ({name})")
        return Channel.recall(stored)

    def set(self, context: Context, port: str, name: str, end: Channel) -> None:
        context.ibc.set(paths.channel_end(port, name), end.encode())

    def application(self, port: str) -> Application:
        application = self.applications.get(port)
        if application is None:
            raise NO_ROUTE.error(f"port {port!r}; expected one of {', '.join(sorted(self.applications))}")
        return application

    def _create(self, context: Context, port: str, name: str, end: Channel, step: str) -> None:
        self.set(context, port, name, end)
        for key in (paths.next_sequence_send, paths.next_sequence_receive, paths.next_sequence_acknowledge):
            write_number(context.ibc, key(port, name), 1)
        context.emit(*events.channel_step(step, port, name, end))

    def _verify(
        self, context: Context, connection: ConnectionEnd, height: Height, proof: bytes,
        counterparty: Counterparty, expected: Channel,
    ) -> None:  # fmt: skip
        key = paths.channel_end(counterparty.port_id, counterparty.channel_id)
        self.connections.verify(context, connection, height, proof, key, expected.encode())


def mirror(port: str, name: str, end: Channel, connection: ConnectionEnd, state: State) -> Channel:
    """The end that the other chain holds when it is in `state`."""
    hops = (connection.counterparty.connection_id,)
    return Channel(state, end.ordering, Counterparty(port, name), hops, end.version)


def _check_proposal(port: str, proposed: Channel, state: State) -> None:
    check_port(port)
    check_port(proposed.counterparty.port_id)
    if proposed.state is not state:
        raise INVALID_CHANNEL_STATE.error(f"channel state must be {state.name} (got {proposed.state.name})")
    if proposed.ordering not in (Order.ORDERED, Order.UNORDERED):
        raise INVALID_CHANNEL_ORDERING.error(proposed.ordering.name)
    if len(proposed.connection_hops) != 1:
        raise TOO_MANY_CONNECTION_HOPS.error(f"expected 1, got {len(proposed.connection_hops)}")
    check_connection(proposed.connection_hops[0])


def _require_ordering(connection: ConnectionEnd, ordering: Order) -> None:
    if len(connection.versions) != 1:
        raise INVALID_CONNECTION_VERSION.error("single version must be negotiated on connection before opening channel")
    if order_name(ordering) not in connection.versions[0].features:
        raise INVALID_CONNECTION_VERSION.error(f"the connection's version has no {order_name(ordering)}")


def order_name(ordering: Order) -> str:
    """As the wire's JSON and events write it: ORDER_UNORDERED."""
    return f"ORDER_{ordering.name}"


def _new_name(context: Context) -> str:
    return f"channel-{next_number(context.ibc, paths.NEXT_CHANNEL)}"


def _wire(state: End) -> State:
    return State(state.value)
