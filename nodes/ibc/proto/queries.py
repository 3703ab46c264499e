"""Questions about clients, connections and channels of IBC v1, and their answers (gRPC services of ibc-go v10).

Invariant: an `abci_query` with the path `/ibc.core.client.v1.Query/ClientState` takes QueryClientStateRequest and gives
QueryClientStateResponse; the others likewise.
"""

from __future__ import annotations

from nodes.ibc.proto.channel import Channel, IdentifiedChannel, PacketState
from nodes.ibc.proto.connection import ConnectionEnd, IdentifiedConnection
from nodes.ibc.proto.cosmos_base import PageRequest, PageResponse
from nodes.ibc.proto.ibc import ConsensusStateWithHeight, Height, IdentifiedClientState
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import (
    Message,
    boolean,
    message,
    nested,
    octets,
    optional,
    repeated,
    repeated_uint64,
    string,
    uint64,
)


@message("ibc.core.client.v1.QueryClientStateRequest")
class QueryClientStateRequest(Message):
    """Ask for the state of a client."""

    client_id: str = string(1)


@message("ibc.core.client.v1.QueryClientStateResponse")
class QueryClientStateResponse(Message):
    """The answer."""

    client_state: Any | None = optional(1, Any)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.client.v1.QueryClientStatesRequest")
class QueryClientStatesRequest(Message):
    """Ask for all clients."""

    pagination: PageRequest | None = optional(1, PageRequest)


@message("ibc.core.client.v1.QueryClientStatesResponse")
class QueryClientStatesResponse(Message):
    """The answer."""

    client_states: tuple[IdentifiedClientState, ...] = repeated(1, IdentifiedClientState)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("ibc.core.client.v1.QueryConsensusStateRequest")
class QueryConsensusStateRequest(Message):
    """Ask for what a client knows of one height."""

    client_id: str = string(1)
    revision_number: int = uint64(2)
    revision_height: int = uint64(3)
    latest_height: bool = boolean(4)


@message("ibc.core.client.v1.QueryConsensusStateResponse")
class QueryConsensusStateResponse(Message):
    """The answer."""

    consensus_state: Any | None = optional(1, Any)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.client.v1.QueryConsensusStatesRequest")
class QueryConsensusStatesRequest(Message):
    """Ask for all that a client knows."""

    client_id: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)


@message("ibc.core.client.v1.QueryConsensusStatesResponse")
class QueryConsensusStatesResponse(Message):
    """The answer."""

    consensus_states: tuple[ConsensusStateWithHeight, ...] = repeated(1, ConsensusStateWithHeight)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("ibc.core.client.v1.QueryConsensusStateHeightsRequest")
class QueryConsensusStateHeightsRequest(Message):
    """Ask for the heights that a client knows."""

    client_id: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)


@message("ibc.core.client.v1.QueryConsensusStateHeightsResponse")
class QueryConsensusStateHeightsResponse(Message):
    """The answer."""

    consensus_state_heights: tuple[Height, ...] = repeated(1, Height)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("ibc.core.client.v1.QueryClientStatusRequest")
class QueryClientStatusRequest(Message):
    """Ask for whether a client is active."""

    client_id: str = string(1)


@message("ibc.core.client.v1.QueryClientStatusResponse")
class QueryClientStatusResponse(Message):
    """The answer."""

    status: str = string(1)


@message("ibc.core.connection.v1.QueryConnectionRequest")
class QueryConnectionRequest(Message):
    """Ask for one end."""

    connection_id: str = string(1)


@message("ibc.core.connection.v1.QueryConnectionResponse")
class QueryConnectionResponse(Message):
    """The answer."""

    connection: ConnectionEnd | None = optional(1, ConnectionEnd)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.connection.v1.QueryConnectionsRequest")
class QueryConnectionsRequest(Message):
    """Ask for all ends."""

    pagination: PageRequest | None = optional(1, PageRequest)


@message("ibc.core.connection.v1.QueryConnectionsResponse")
class QueryConnectionsResponse(Message):
    """The answer."""

    connections: tuple[IdentifiedConnection, ...] = repeated(1, IdentifiedConnection)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.connection.v1.QueryClientConnectionsRequest")
class QueryClientConnectionsRequest(Message):
    """Ask for the connections of a client."""

    client_id: str = string(1)


@message("ibc.core.connection.v1.QueryClientConnectionsResponse")
class QueryClientConnectionsResponse(Message):
    """The answer."""

    connection_paths: tuple[str, ...] = repeated(1, str)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryChannelRequest")
class QueryChannelRequest(Message):
    """Ask for one end."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.QueryChannelResponse")
class QueryChannelResponse(Message):
    """The answer."""

    channel: Channel | None = optional(1, Channel)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryChannelsRequest")
class QueryChannelsRequest(Message):
    """Ask for all ends."""

    pagination: PageRequest | None = optional(1, PageRequest)


@message("ibc.core.channel.v1.QueryChannelsResponse")
class QueryChannelsResponse(Message):
    """The answer."""

    channels: tuple[IdentifiedChannel, ...] = repeated(1, IdentifiedChannel)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryConnectionChannelsRequest")
class QueryConnectionChannelsRequest(Message):
    """Ask for the ends on a connection."""

    connection: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)


@message("ibc.core.channel.v1.QueryConnectionChannelsResponse")
class QueryConnectionChannelsResponse(Message):
    """The answer."""

    channels: tuple[IdentifiedChannel, ...] = repeated(1, IdentifiedChannel)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryChannelClientStateRequest")
class QueryChannelClientStateRequest(Message):
    """Ask for the client under a channel."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.QueryChannelClientStateResponse")
class QueryChannelClientStateResponse(Message):
    """The answer."""

    identified_client_state: IdentifiedClientState | None = optional(1, IdentifiedClientState)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryPacketCommitmentRequest")
class QueryPacketCommitmentRequest(Message):
    """Ask for one commitment."""

    port_id: str = string(1)
    channel_id: str = string(2)
    sequence: int = uint64(3)


@message("ibc.core.channel.v1.QueryPacketCommitmentResponse")
class QueryPacketCommitmentResponse(Message):
    """The answer."""

    commitment: bytes = octets(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryPacketCommitmentsRequest")
class QueryPacketCommitmentsRequest(Message):
    """Ask for all commitments of a channel."""

    port_id: str = string(1)
    channel_id: str = string(2)
    pagination: PageRequest | None = optional(3, PageRequest)


@message("ibc.core.channel.v1.QueryPacketCommitmentsResponse")
class QueryPacketCommitmentsResponse(Message):
    """The answer."""

    commitments: tuple[PacketState, ...] = repeated(1, PacketState)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryPacketReceiptRequest")
class QueryPacketReceiptRequest(Message):
    """Ask for one receipt."""

    port_id: str = string(1)
    channel_id: str = string(2)
    sequence: int = uint64(3)


@message("ibc.core.channel.v1.QueryPacketReceiptResponse")
class QueryPacketReceiptResponse(Message):
    """The answer."""

    received: bool = boolean(2)
    proof: bytes = octets(3)
    proof_height: Height = nested(4, Height)


@message("ibc.core.channel.v1.QueryPacketAcknowledgementRequest")
class QueryPacketAcknowledgementRequest(Message):
    """Ask for one acknowledgement."""

    port_id: str = string(1)
    channel_id: str = string(2)
    sequence: int = uint64(3)


@message("ibc.core.channel.v1.QueryPacketAcknowledgementResponse")
class QueryPacketAcknowledgementResponse(Message):
    """The answer."""

    acknowledgement: bytes = octets(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryPacketAcknowledgementsRequest")
class QueryPacketAcknowledgementsRequest(Message):
    """Ask for acknowledgements of a channel."""

    port_id: str = string(1)
    channel_id: str = string(2)
    pagination: PageRequest | None = optional(3, PageRequest)
    packet_commitment_sequences: tuple[int, ...] = repeated_uint64(4)


@message("ibc.core.channel.v1.QueryPacketAcknowledgementsResponse")
class QueryPacketAcknowledgementsResponse(Message):
    """The answer."""

    acknowledgements: tuple[PacketState, ...] = repeated(1, PacketState)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryUnreceivedPacketsRequest")
class QueryUnreceivedPacketsRequest(Message):
    """Ask for those sequences that did not arrive."""

    port_id: str = string(1)
    channel_id: str = string(2)
    packet_commitment_sequences: tuple[int, ...] = repeated_uint64(3)


@message("ibc.core.channel.v1.QueryUnreceivedPacketsResponse")
class QueryUnreceivedPacketsResponse(Message):
    """The answer."""

    sequences: tuple[int, ...] = repeated_uint64(1)
    height: Height = nested(2, Height)


@message("ibc.core.channel.v1.QueryUnreceivedAcksRequest")
class QueryUnreceivedAcksRequest(Message):
    """Ask for those sequences whose acknowledgement did not arrive."""

    port_id: str = string(1)
    channel_id: str = string(2)
    packet_ack_sequences: tuple[int, ...] = repeated_uint64(3)


@message("ibc.core.channel.v1.QueryUnreceivedAcksResponse")
class QueryUnreceivedAcksResponse(Message):
    """The answer."""

    sequences: tuple[int, ...] = repeated_uint64(1)
    height: Height = nested(2, Height)


@message("ibc.core.channel.v1.QueryNextSequenceReceiveRequest")
class QueryNextSequenceReceiveRequest(Message):
    """Ask for the next sequence that arrives in order."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.QueryNextSequenceReceiveResponse")
class QueryNextSequenceReceiveResponse(Message):
    """The answer."""

    next_sequence_receive: int = uint64(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v1.QueryNextSequenceSendRequest")
class QueryNextSequenceSendRequest(Message):
    """Ask for the next sequence that is sent."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.QueryNextSequenceSendResponse")
class QueryNextSequenceSendResponse(Message):
    """The answer."""

    next_sequence_send: int = uint64(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)
