"""ICS-3: the four messages that join a client here and a client there to a connection.

Invariant: an end that is open was proven to name, and to be named by, one end of the other chain. As in ibc-go 10, no
proof says that the other chain's client follows this chain. Source: ibc-go `modules/core/03-connection`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.ibc.core import events, paths
from nodes.ibc.core.errors import (
    CONNECTION_NOT_FOUND,
    INVALID_CONNECTION_COUNTERPARTY,
    INVALID_CONNECTION_IDENTIFIER,
    INVALID_CONNECTION_STATE,
    INVALID_CONNECTION_VERSION,
    VERSION_NEGOTIATION_FAILED,
)
from nodes.ibc.core.identifiers import check_client, check_connection
from nodes.ibc.core.keepers import ClientKeeper, Delay, require_active
from nodes.ibc.core.state import Context, next_number
from nodes.ibc.core.tables import CONNECTION, End, Handshake
from nodes.ibc.proto import connection
from nodes.ibc.proto.connection import ClientPaths, ConnectionEnd, Counterparty, State, Version
from nodes.ibc.proto.ibc import Height, MerklePrefix

PREFIX = MerklePrefix(paths.STORE)
SUPPORTED = (Version("1", ("ORDER_ORDERED", "ORDER_UNORDERED")),)
BLOCK_TIME_NS = 30 * 10**9  # the longest expected: delay periods are counted in blocks of it, too


@dataclass(frozen=True)
class Connections:
    """Handlers of handshake messages."""

    clients: ClientKeeper

    def open_init(self, context: Context, message: connection.MsgConnectionOpenInit) -> str:
        """The name of the new connection."""
        check_client(message.client_id)
        check_client(message.counterparty.client_id)
        if message.counterparty.connection_id:
            raise INVALID_CONNECTION_COUNTERPARTY.error("counterparty connection identifier must be empty")
        if not message.counterparty.prefix.key_prefix:
            raise INVALID_CONNECTION_COUNTERPARTY.error("counterparty prefix cannot be empty")
        versions = SUPPORTED
        if message.version is not None:
            if not _supports(SUPPORTED, message.version):
                raise INVALID_CONNECTION_VERSION.error(f"version {message.version.identifier!r} is not supported")
            versions = (message.version,)
        require_active(self.clients, context, message.client_id)
        state = CONNECTION.step("new", End.UNINITIALIZED, Handshake.OPEN_INIT)
        end = ConnectionEnd(message.client_id, versions, _wire(state), message.counterparty, message.delay_period)
        return self._create(context, "init", end)

    def open_try(self, context: Context, message: connection.MsgConnectionOpenTry) -> str:
        """The name of the new connection."""
        check_client(message.client_id)
        if message.previous_connection_id:
            raise INVALID_CONNECTION_IDENTIFIER.error("previous connection identifier must be empty")
        counterparty = message.counterparty
        check_client(counterparty.client_id)
        check_connection(counterparty.connection_id)
        if not counterparty.prefix.key_prefix:
            raise INVALID_CONNECTION_COUNTERPARTY.error("counterparty prefix cannot be empty")
        version = negotiate(message.counterparty_versions)
        state = CONNECTION.step("new", End.UNINITIALIZED, Handshake.OPEN_TRY)
        end = ConnectionEnd(message.client_id, (version,), _wire(state), counterparty, message.delay_period)
        expected = ConnectionEnd(
            counterparty.client_id,
            message.counterparty_versions,
            State.INIT,
            Counterparty(message.client_id, "", PREFIX),
            message.delay_period,
        )
        self._verify(context, end, message.proof_height, message.proof_init, counterparty.connection_id, expected)
        return self._create(context, "try", end)

    def open_ack(self, context: Context, message: connection.MsgConnectionOpenAck) -> None:
        check_connection(message.connection_id)
        check_connection(message.counterparty_connection_id)
        end = self.get(context, message.connection_id)
        state = CONNECTION.step(message.connection_id, End(end.state), Handshake.OPEN_ACK)
        version = message.version
        if version is None or not _supports(end.versions, version):
            raise INVALID_CONNECTION_STATE.error("the counterparty's version is none of those that were proposed")
        expected = ConnectionEnd(
            end.counterparty.client_id,
            (version,),
            State.TRYOPEN,
            Counterparty(end.client_id, message.connection_id, PREFIX),
            end.delay_period,
        )
        name = message.counterparty_connection_id
        self._verify(context, end, message.proof_height, message.proof_try, name, expected)
        end = replace(
            end, state=_wire(state), versions=(version,), counterparty=replace(end.counterparty, connection_id=name)
        )
        self._set(context, message.connection_id, end)
        context.emit(*events.connection_opened("ack", message.connection_id, end))

    def open_confirm(self, context: Context, message: connection.MsgConnectionOpenConfirm) -> None:
        check_connection(message.connection_id)
        end = self.get(context, message.connection_id)
        state = CONNECTION.step(message.connection_id, End(end.state), Handshake.OPEN_CONFIRM)
        expected = ConnectionEnd(
            end.counterparty.client_id,
            end.versions,
            State.OPEN,
            Counterparty(end.client_id, message.connection_id, PREFIX),
            end.delay_period,
        )
        name = end.counterparty.connection_id
        self._verify(context, end, message.proof_height, message.proof_ack, name, expected)
        end = replace(end, state=_wire(state))
        self._set(context, message.connection_id, end)
        context.emit(*events.connection_opened("confirm", message.connection_id, end))

    def get(self, context: Context, name: str) -> ConnectionEnd:
        stored = context.ibc.get(paths.connection(name))
        if stored is None:
            raise CONNECTION_NOT_FOUND.error(name)
        return ConnectionEnd.recall(stored)

    def get_open(self, context: Context, name: str) -> ConnectionEnd:
        end = self.get(context, name)
        if end.state is not State.OPEN:
            raise INVALID_CONNECTION_STATE.error(f"connection {name} is {end.state.name}; expected OPEN")
        return end

    def verify(
        self, context: Context, end: ConnectionEnd, height: Height, proof: bytes, key: bytes, value: bytes
    ) -> None:
        """Raises unless the chain at the other end held the value, after the connection's delay."""
        path = (end.counterparty.prefix.key_prefix, key)
        self.clients.verify_membership(context, end.client_id, height, _delay(end), proof, path, value)

    def verify_absence(self, context: Context, end: ConnectionEnd, height: Height, proof: bytes, key: bytes) -> None:
        path = (end.counterparty.prefix.key_prefix, key)
        self.clients.verify_non_membership(context, end.client_id, height, _delay(end), proof, path)

    def _verify(
        self, context: Context, end: ConnectionEnd, height: Height, proof: bytes, name: str, expected: ConnectionEnd
    ) -> None:
        path = (end.counterparty.prefix.key_prefix, paths.connection(name))
        self.clients.verify_membership(context, end.client_id, height, Delay(), proof, path, expected.encode())

    def _create(self, context: Context, step: str, end: ConnectionEnd) -> str:
        name = f"connection-{next_number(context.ibc, paths.NEXT_CONNECTION)}"
        key = paths.client_connections(end.client_id)
        known = ClientPaths.decode(context.ibc.get(key) or b"")
        context.ibc.set(key, ClientPaths((*known.paths, name)).encode())
        self._set(context, name, end)
        context.emit(*events.connection_opened(step, name, end))
        return name

    def _set(self, context: Context, name: str, end: ConnectionEnd) -> None:
        context.ibc.set(paths.connection(name), end.encode())


def negotiate(offered: tuple[Version, ...]) -> Version:
    """The first version of ours that the other side offers, with the features that both have."""
    for ours in SUPPORTED:
        for theirs in offered:
            features = tuple(feature for feature in ours.features if feature in theirs.features)
            if theirs.identifier == ours.identifier and features:
                return Version(ours.identifier, features)
    raise VERSION_NEGOTIATION_FAILED.error(
        f"offered {', '.join(each.identifier for each in offered) or 'none'}; expected {SUPPORTED[0].identifier}"
    )


def _supports(versions: tuple[Version, ...], proposed: Version) -> bool:
    return bool(proposed.features) and any(
        each.identifier == proposed.identifier and set(proposed.features) <= set(each.features) for each in versions
    )


def _delay(end: ConnectionEnd) -> Delay:
    return Delay(end.delay_period, -(-end.delay_period // BLOCK_TIME_NS))


def _wire(state: End) -> State:
    return State(state.value)
