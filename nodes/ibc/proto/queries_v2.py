"""Questions about packets of IBC v2, and their answers (`ibc.core.channel.v2.Query` and `ibc.core.client.v2.Query`)."""

from __future__ import annotations

from nodes.ibc.proto.channel_v2 import PacketState
from nodes.ibc.proto.cosmos_base import PageRequest, PageResponse
from nodes.ibc.proto.ibc import CounterpartyInfo, Height
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


@message("ibc.core.channel.v2.QueryNextSequenceSendRequest")
class QueryNextSequenceSendRequest(Message):
    """Ask for the next sequence that is sent."""

    client_id: str = string(1)


@message("ibc.core.channel.v2.QueryNextSequenceSendResponse")
class QueryNextSequenceSendResponse(Message):
    """The answer."""

    next_sequence_send: int = uint64(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v2.QueryPacketCommitmentRequest")
class QueryPacketCommitmentRequest(Message):
    """Ask for one commitment."""

    client_id: str = string(1)
    sequence: int = uint64(2)


@message("ibc.core.channel.v2.QueryPacketCommitmentResponse")
class QueryPacketCommitmentResponse(Message):
    """The answer."""

    commitment: bytes = octets(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v2.QueryPacketCommitmentsRequest")
class QueryPacketCommitmentsRequest(Message):
    """Ask for all commitments of a client."""

    client_id: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)


@message("ibc.core.channel.v2.QueryPacketCommitmentsResponse")
class QueryPacketCommitmentsResponse(Message):
    """The answer."""

    commitments: tuple[PacketState, ...] = repeated(1, PacketState)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v2.QueryPacketAcknowledgementRequest")
class QueryPacketAcknowledgementRequest(Message):
    """Ask for one acknowledgement."""

    client_id: str = string(1)
    sequence: int = uint64(2)


@message("ibc.core.channel.v2.QueryPacketAcknowledgementResponse")
class QueryPacketAcknowledgementResponse(Message):
    """The answer."""

    acknowledgement: bytes = octets(1)
    proof: bytes = octets(2)
    proof_height: Height = nested(3, Height)


@message("ibc.core.channel.v2.QueryPacketAcknowledgementsRequest")
class QueryPacketAcknowledgementsRequest(Message):
    """Ask for acknowledgements of a client."""

    client_id: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)
    packet_commitment_sequences: tuple[int, ...] = repeated_uint64(3)


@message("ibc.core.channel.v2.QueryPacketAcknowledgementsResponse")
class QueryPacketAcknowledgementsResponse(Message):
    """The answer."""

    acknowledgements: tuple[PacketState, ...] = repeated(1, PacketState)
    pagination: PageResponse | None = optional(2, PageResponse)
    height: Height = nested(3, Height)


@message("ibc.core.channel.v2.QueryPacketReceiptRequest")
class QueryPacketReceiptRequest(Message):
    """Ask for one receipt."""

    client_id: str = string(1)
    sequence: int = uint64(2)


@message("ibc.core.channel.v2.QueryPacketReceiptResponse")
class QueryPacketReceiptResponse(Message):
    """The answer."""

    received: bool = boolean(2)
    proof: bytes = octets(3)
    proof_height: Height = nested(4, Height)


@message("ibc.core.channel.v2.QueryUnreceivedPacketsRequest")
class QueryUnreceivedPacketsRequest(Message):
    """Ask for those sequences that did not arrive."""

    client_id: str = string(1)
    sequences: tuple[int, ...] = repeated_uint64(2)


@message("ibc.core.channel.v2.QueryUnreceivedPacketsResponse")
class QueryUnreceivedPacketsResponse(Message):
    """The answer."""

    sequences: tuple[int, ...] = repeated_uint64(1)
    height: Height = nested(2, Height)


@message("ibc.core.channel.v2.QueryUnreceivedAcksRequest")
class QueryUnreceivedAcksRequest(Message):
    """Ask for those sequences whose acknowledgement did not arrive."""

    client_id: str = string(1)
    packet_ack_sequences: tuple[int, ...] = repeated_uint64(2)


@message("ibc.core.channel.v2.QueryUnreceivedAcksResponse")
class QueryUnreceivedAcksResponse(Message):
    """The answer."""

    sequences: tuple[int, ...] = repeated_uint64(1)
    height: Height = nested(2, Height)


@message("ibc.core.client.v2.QueryCounterpartyInfoRequest")
class QueryCounterpartyInfoRequest(Message):
    """Ask for the counterparty of a client."""

    client_id: str = string(1)


@message("ibc.core.client.v2.QueryCounterpartyInfoResponse")
class QueryCounterpartyInfoResponse(Message):
    """The answer."""

    counterparty_info: CounterpartyInfo | None = optional(1, CounterpartyInfo)
