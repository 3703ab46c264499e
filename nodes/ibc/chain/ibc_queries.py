"""Answers to the gRPC questions of ibc-go 10 about clients, connections, channels, packets of v1, and transfers.

Invariant: every answer is read from the stores that proofs are about; what is not there is the gRPC error NotFound.
Proofs are not part of these answers: they are asked for by key, at `/store/ibc/key`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any as Anything

from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.errors import not_found
from nodes.ibc.chain.queries import Question, paged
from nodes.ibc.client.keeper import Clients
from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.core import denominations, paths, transfer
from nodes.ibc.core.state import Context
from nodes.ibc.proto import channel, connection, ibc, queries
from nodes.ibc.proto import transfer as transfers
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message

__all__ = ["IbcQueries"]

_CLIENTS = "/ibc.core.client.v1.Query"
_CONNECTIONS = "/ibc.core.connection.v1.Query"
_CHANNELS = "/ibc.core.channel.v1.Query"
_TRANSFERS = "/ibc.applications.transfer.v1.Query"


@dataclass(frozen=True, slots=True)
class IbcQueries:
    """The questions of one chain."""

    clients: Clients
    bank: Bank

    def questions(self) -> tuple[Question[Anything], ...]:
        """All of them, with their paths."""
        return (
            Question(f"{_CLIENTS}/ClientState", queries.QueryClientStateRequest, self._client),
            Question(f"{_CLIENTS}/ClientStates", queries.QueryClientStatesRequest, self._clients),
            Question(f"{_CLIENTS}/ClientStatus", queries.QueryClientStatusRequest, self._client_status),
            Question(f"{_CLIENTS}/ConsensusState", queries.QueryConsensusStateRequest, self._consensus),
            Question(f"{_CLIENTS}/ConsensusStates", queries.QueryConsensusStatesRequest, self._consensuses),
            Question(f"{_CLIENTS}/ConsensusStateHeights", queries.QueryConsensusStateHeightsRequest, self._heights),
            Question(f"{_CONNECTIONS}/Connection", queries.QueryConnectionRequest, self._connection),
            Question(f"{_CONNECTIONS}/Connections", queries.QueryConnectionsRequest, self._connections),
            Question(f"{_CONNECTIONS}/ClientConnections", queries.QueryClientConnectionsRequest, self._of_client),
            Question(f"{_CHANNELS}/Channel", queries.QueryChannelRequest, self._channel),
            Question(f"{_CHANNELS}/Channels", queries.QueryChannelsRequest, self._channels),
            Question(f"{_CHANNELS}/ConnectionChannels", queries.QueryConnectionChannelsRequest, self._of_connection),
            Question(f"{_CHANNELS}/ChannelClientState", queries.QueryChannelClientStateRequest, self._of_channel),
            Question(f"{_CHANNELS}/PacketCommitment", queries.QueryPacketCommitmentRequest, self._commitment),
            Question(f"{_CHANNELS}/PacketCommitments", queries.QueryPacketCommitmentsRequest, self._commitments),
            Question(f"{_CHANNELS}/PacketReceipt", queries.QueryPacketReceiptRequest, self._receipt),
            Question(f"{_CHANNELS}/PacketAcknowledgement", queries.QueryPacketAcknowledgementRequest, self._ack),
            Question(f"{_CHANNELS}/PacketAcknowledgements", queries.QueryPacketAcknowledgementsRequest, self._acks),
            Question(f"{_CHANNELS}/UnreceivedPackets", queries.QueryUnreceivedPacketsRequest, self._unreceived),
            Question(f"{_CHANNELS}/UnreceivedAcks", queries.QueryUnreceivedAcksRequest, self._unreceived_acks),
            Question(f"{_CHANNELS}/NextSequenceReceive", queries.QueryNextSequenceReceiveRequest, self._next_receive),
            Question(f"{_CHANNELS}/NextSequenceSend", queries.QueryNextSequenceSendRequest, self._next_send),
            Question(f"{_TRANSFERS}/Denom", transfers.QueryDenomRequest, self._denom),
            Question(f"{_TRANSFERS}/DenomTrace", transfers.QueryDenomTraceRequest, self._denom_trace),
            Question(f"{_TRANSFERS}/Params", transfers.QueryParamsRequest, self._params),
            Question(f"{_TRANSFERS}/EscrowAddress", transfers.QueryEscrowAddressRequest, self._escrow),
            Question(f"{_TRANSFERS}/TotalEscrowForDenom", transfers.QueryTotalEscrowForDenomRequest, self._escrowed),
        )

    def _client(self, context: Context, request: queries.QueryClientStateRequest) -> Message:
        return queries.QueryClientStateResponse(self._client_of(context, request.client_id), b"", context.height)

    def _clients(self, context: Context, request: queries.QueryClientStatesRequest) -> Message:
        suffix = b"/clientState"
        found = (
            ibc.IdentifiedClientState(key[len(b"clients/") : -len(suffix)].decode(), Any.decode(value))
            for key, value in context.ibc.iterate(b"clients/")
            if key.endswith(suffix)
        )
        return queries.QueryClientStatesResponse(*paged(tuple(found), request.pagination))

    def _client_status(self, context: Context, request: queries.QueryClientStatusRequest) -> Message:
        return queries.QueryClientStatusResponse(self.clients.status(context, request.client_id))

    def _consensus(self, context: Context, request: queries.QueryConsensusStateRequest) -> Message:
        height = ibc.Height(request.revision_number, request.revision_height)
        if request.latest_height:
            height = self.clients.latest_height(context, request.client_id)
        state = ClientStates(context.ibc, request.client_id).consensus_state(height)
        if state is None:
            raise not_found(f"consensus state of {request.client_id} at {written(height)}")
        return queries.QueryConsensusStateResponse(Any.of(state), b"", context.height)

    def _consensuses(self, context: Context, request: queries.QueryConsensusStatesRequest) -> Message:
        states = ClientStates(context.ibc, request.client_id)
        heights, page = paged(tuple(states.heights()), request.pagination)
        found = ((height, states.consensus_state(height)) for height in heights)
        known = tuple(ibc.ConsensusStateWithHeight(height, Any.of(state)) for height, state in found if state)
        return queries.QueryConsensusStatesResponse(known, page)

    def _heights(self, context: Context, request: queries.QueryConsensusStateHeightsRequest) -> Message:
        heights = tuple(ClientStates(context.ibc, request.client_id).heights())
        return queries.QueryConsensusStateHeightsResponse(*paged(heights, request.pagination))

    def _connection(self, context: Context, request: queries.QueryConnectionRequest) -> Message:
        end = self._connection_of(context, request.connection_id)
        return queries.QueryConnectionResponse(end, b"", context.height)

    def _connections(self, context: Context, request: queries.QueryConnectionsRequest) -> Message:
        found = []
        for key, value in context.ibc.iterate(b"connections/"):
            end = connection.ConnectionEnd.decode(value)
            name = key.removeprefix(b"connections/").decode()
            found.append(
                connection.IdentifiedConnection(
                    name, end.client_id, end.versions, end.state, end.counterparty, end.delay_period
                )
            )
        return queries.QueryConnectionsResponse(*paged(tuple(found), request.pagination), context.height)

    def _of_client(self, context: Context, request: queries.QueryClientConnectionsRequest) -> Message:
        names = self._found(context, paths.client_connections(request.client_id), f"connections of {request.client_id}")
        known = connection.ClientPaths.decode(names).paths
        return queries.QueryClientConnectionsResponse(known, b"", context.height)

    def _channel(self, context: Context, request: queries.QueryChannelRequest) -> Message:
        end = self._channel_of(context, request.port_id, request.channel_id)
        return queries.QueryChannelResponse(end, b"", context.height)

    def _channels(self, context: Context, request: queries.QueryChannelsRequest) -> Message:
        found = tuple(_channels(context))
        return queries.QueryChannelsResponse(*paged(found, request.pagination), context.height)

    def _of_connection(self, context: Context, request: queries.QueryConnectionChannelsRequest) -> Message:
        found = tuple(each for each in _channels(context) if request.connection in each.connection_hops)
        return queries.QueryConnectionChannelsResponse(*paged(found, request.pagination), context.height)

    def _of_channel(self, context: Context, request: queries.QueryChannelClientStateRequest) -> Message:
        end = self._channel_of(context, request.port_id, request.channel_id)
        name = self._connection_of(context, end.connection_hops[0]).client_id
        known = ibc.IdentifiedClientState(name, self._client_of(context, name))
        return queries.QueryChannelClientStateResponse(known, b"", context.height)

    def _commitment(self, context: Context, request: queries.QueryPacketCommitmentRequest) -> Message:
        key = paths.packet_commitment(request.port_id, request.channel_id, request.sequence)
        value = self._found(context, key, "packet commitment hash")
        return queries.QueryPacketCommitmentResponse(value, b"", context.height)

    def _commitments(self, context: Context, request: queries.QueryPacketCommitmentsRequest) -> Message:
        prefix = paths.packet_commitments(request.port_id, request.channel_id)
        found = _packets(context, prefix, request.port_id, request.channel_id)
        return queries.QueryPacketCommitmentsResponse(*paged(found, request.pagination), context.height)

    def _receipt(self, context: Context, request: queries.QueryPacketReceiptRequest) -> Message:
        received = _received(context, request.port_id, request.channel_id, request.sequence)
        return queries.QueryPacketReceiptResponse(received, b"", context.height)

    def _ack(self, context: Context, request: queries.QueryPacketAcknowledgementRequest) -> Message:
        key = paths.packet_acknowledgement(request.port_id, request.channel_id, request.sequence)
        value = self._found(context, key, "packet acknowledgement hash")
        return queries.QueryPacketAcknowledgementResponse(value, b"", context.height)

    def _acks(self, context: Context, request: queries.QueryPacketAcknowledgementsRequest) -> Message:
        prefix = paths.packet_acknowledgements(request.port_id, request.channel_id)
        found = _packets(context, prefix, request.port_id, request.channel_id)
        if asked := set(request.packet_commitment_sequences):
            found = tuple(each for each in found if each.sequence in asked)
        return queries.QueryPacketAcknowledgementsResponse(*paged(found, request.pagination), context.height)

    def _unreceived(self, context: Context, request: queries.QueryUnreceivedPacketsRequest) -> Message:
        port, name = request.port_id, request.channel_id
        ordered = self._channel_of(context, port, name).ordering is channel.Order.ORDERED
        first = _number(context, paths.next_sequence_receive(port, name)) if ordered else 0
        missing = (
            each
            for each in request.packet_commitment_sequences
            if (each >= first if ordered else not _received(context, port, name, each))
        )
        return queries.QueryUnreceivedPacketsResponse(tuple(missing), context.height)

    def _unreceived_acks(self, context: Context, request: queries.QueryUnreceivedAcksRequest) -> Message:
        waiting = (
            each
            for each in request.packet_ack_sequences
            if context.ibc.get(paths.packet_commitment(request.port_id, request.channel_id, each)) is not None
        )
        return queries.QueryUnreceivedAcksResponse(tuple(waiting), context.height)

    def _next_receive(self, context: Context, request: queries.QueryNextSequenceReceiveRequest) -> Message:
        number = _number(context, paths.next_sequence_receive(request.port_id, request.channel_id))
        return queries.QueryNextSequenceReceiveResponse(number, b"", context.height)

    def _next_send(self, context: Context, request: queries.QueryNextSequenceSendRequest) -> Message:
        number = _number(context, paths.next_sequence_send(request.port_id, request.channel_id))
        return queries.QueryNextSequenceSendResponse(number, b"", context.height)

    def _denom(self, context: Context, request: transfers.QueryDenomRequest) -> Message:
        known = denominations.recall(context.stores["transfer"], _voucher(request.hash))
        hops = tuple(transfers.Hop(hop.port, hop.channel) for hop in known.trace)
        return transfers.QueryDenomResponse(transfers.Denom(known.base, hops))

    def _denom_trace(self, context: Context, request: transfers.QueryDenomTraceRequest) -> Message:
        known = denominations.recall(context.stores["transfer"], _voucher(request.hash))
        trace = transfers.DenomTrace("/".join(map(str, known.trace)), known.base)
        return transfers.QueryDenomTraceResponse(trace)

    def _params(self, context: Context, request: transfers.QueryParamsRequest) -> Message:
        return transfers.QueryParamsResponse(transfers.Params(True, True))

    def _escrow(self, context: Context, request: transfers.QueryEscrowAddressRequest) -> Message:
        account = transfer.escrow_account(request.port_id, request.channel_id)
        return transfers.QueryEscrowAddressResponse(self.bank.address(account))

    def _escrowed(self, context: Context, request: transfers.QueryTotalEscrowForDenomRequest) -> Message:
        amount = transfer.total_escrow(context.stores["transfer"], request.denom)
        return transfers.QueryTotalEscrowForDenomResponse(Coin(request.denom, str(amount)))

    def _client_of(self, context: Context, name: str) -> Any:
        return Any.decode(self._found(context, paths.client_state(name), f"light client {name}"))

    def _connection_of(self, context: Context, name: str) -> connection.ConnectionEnd:
        return connection.ConnectionEnd.decode(self._found(context, paths.connection(name), f"connection {name}"))

    def _channel_of(self, context: Context, port: str, name: str) -> channel.Channel:
        return channel.Channel.decode(self._found(context, paths.channel_end(port, name), f"channel {port}/{name}"))

    def _found(self, context: Context, key: bytes, what: str) -> bytes:
        value = context.ibc.get(key)
        if value is None:
            raise not_found(what)
        return value


def _channels(context: Context) -> Iterator[channel.IdentifiedChannel]:
    for key, value in context.ibc.iterate(b"channelEnds/ports/"):
        port, _, name = key.decode().removeprefix("channelEnds/ports/").partition("/channels/")
        end = channel.Channel.decode(value)
        yield channel.IdentifiedChannel(
            end.state, end.ordering, end.counterparty, end.connection_hops, end.version, port, name,
            end.upgrade_sequence,
        )  # fmt: skip


def _packets(context: Context, prefix: bytes, port: str, name: str) -> tuple[channel.PacketState, ...]:
    """What lies under a prefix of a channel end, by sequence."""
    found = ((int(key[len(prefix) :]), value) for key, value in context.ibc.iterate(prefix))
    return tuple(channel.PacketState(port, name, sequence, value) for sequence, value in sorted(found))


def _received(context: Context, port: str, name: str, sequence: int) -> bool:
    return context.ibc.get(paths.packet_receipt(port, name, sequence)) is not None


def _number(context: Context, key: bytes) -> int:
    value = context.ibc.get(key)
    if value is None:
        raise not_found("sequence")
    return int.from_bytes(value)


def _voucher(hash: str) -> str:
    """The bank's name of a voucher, which is asked for by hash or by name."""
    return f"{denominations.VOUCHER_PREFIX}{hash.removeprefix(denominations.VOUCHER_PREFIX)}"
