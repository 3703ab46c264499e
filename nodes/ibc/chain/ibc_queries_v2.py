"""Answers to the gRPC questions of ibc-go 10 about packets of v2, which go from client to client.

Invariant: every answer is read from the stores that proofs are about; what is not there is the gRPC error NotFound.
"""

from __future__ import annotations

from typing import Any as Anything

from nodes.ibc.chain.errors import not_found
from nodes.ibc.chain.queries import Question, paged
from nodes.ibc.core import paths
from nodes.ibc.core.state import Context
from nodes.ibc.proto import queries_v2 as queries
from nodes.ibc.proto.channel_v2 import PacketState
from nodes.ibc.proto.ibc import CounterpartyInfo
from nodes.ibc.proto.wire import Message

__all__ = ["questions_v2"]

_PACKETS = "/ibc.core.channel.v2.Query"


def questions_v2() -> tuple[Question[Anything], ...]:
    """All of them, with their paths."""
    return (
        Question("/ibc.core.client.v2.Query/CounterpartyInfo", queries.QueryCounterpartyInfoRequest, _counterparty),
        Question(f"{_PACKETS}/NextSequenceSend", queries.QueryNextSequenceSendRequest, _next_send),
        Question(f"{_PACKETS}/PacketCommitment", queries.QueryPacketCommitmentRequest, _commitment),
        Question(f"{_PACKETS}/PacketCommitments", queries.QueryPacketCommitmentsRequest, _commitments),
        Question(f"{_PACKETS}/PacketAcknowledgement", queries.QueryPacketAcknowledgementRequest, _ack),
        Question(f"{_PACKETS}/PacketAcknowledgements", queries.QueryPacketAcknowledgementsRequest, _acks),
        Question(f"{_PACKETS}/PacketReceipt", queries.QueryPacketReceiptRequest, _receipt),
        Question(f"{_PACKETS}/UnreceivedPackets", queries.QueryUnreceivedPacketsRequest, _unreceived),
        Question(f"{_PACKETS}/UnreceivedAcks", queries.QueryUnreceivedAcksRequest, _unreceived_acks),
    )


def _counterparty(context: Context, request: queries.QueryCounterpartyInfoRequest) -> Message:
    value = _found(context, paths.client_counterparty(request.client_id), f"counterparty of {request.client_id}")
    return queries.QueryCounterpartyInfoResponse(CounterpartyInfo.decode(value))


def _next_send(context: Context, request: queries.QueryNextSequenceSendRequest) -> Message:
    value = _found(context, paths.next_sequence_send_v2(request.client_id), f"sequence of {request.client_id}")
    return queries.QueryNextSequenceSendResponse(int.from_bytes(value), b"", context.height)


def _commitment(context: Context, request: queries.QueryPacketCommitmentRequest) -> Message:
    value = _found(context, paths.packet_commitment_v2(request.client_id, request.sequence), "packet commitment hash")
    return queries.QueryPacketCommitmentResponse(value, b"", context.height)


def _commitments(context: Context, request: queries.QueryPacketCommitmentsRequest) -> Message:
    found = _packets(context, paths.packet_commitments_v2(request.client_id), request.client_id)
    return queries.QueryPacketCommitmentsResponse(*paged(found, request.pagination), context.height)


def _ack(context: Context, request: queries.QueryPacketAcknowledgementRequest) -> Message:
    key = paths.packet_acknowledgement_v2(request.client_id, request.sequence)
    return queries.QueryPacketAcknowledgementResponse(
        _found(context, key, "packet acknowledgement hash"), b"", context.height
    )


def _acks(context: Context, request: queries.QueryPacketAcknowledgementsRequest) -> Message:
    found = _packets(context, paths.packet_acknowledgements_v2(request.client_id), request.client_id)
    if asked := set(request.packet_commitment_sequences):
        found = tuple(each for each in found if each.sequence in asked)
    return queries.QueryPacketAcknowledgementsResponse(*paged(found, request.pagination), context.height)


def _receipt(context: Context, request: queries.QueryPacketReceiptRequest) -> Message:
    received = _received(context, request.client_id, request.sequence)
    return queries.QueryPacketReceiptResponse(received, b"", context.height)


def _unreceived(context: Context, request: queries.QueryUnreceivedPacketsRequest) -> Message:
    missing = (each for each in request.sequences if not _received(context, request.client_id, each))
    return queries.QueryUnreceivedPacketsResponse(tuple(missing), context.height)


def _unreceived_acks(context: Context, request: queries.QueryUnreceivedAcksRequest) -> Message:
    waiting = (
        each
        for each in request.packet_ack_sequences
        if context.ibc.get(paths.packet_commitment_v2(request.client_id, each)) is not None
    )
    return queries.QueryUnreceivedAcksResponse(tuple(waiting), context.height)


def _packets(context: Context, prefix: bytes, client: str) -> tuple[PacketState, ...]:
    """What lies under a prefix of a client, by sequence."""
    found = ((key[len(prefix) :], value) for key, value in context.ibc.iterate(prefix))
    return tuple(PacketState(client, int.from_bytes(sequence), value) for sequence, value in found)


def _received(context: Context, client: str, sequence: int) -> bool:
    return context.ibc.get(paths.packet_receipt_v2(client, sequence)) is not None


def _found(context: Context, key: bytes, what: str) -> bytes:
    value = context.ibc.get(key)
    if value is None:
        raise not_found(what)
    return value
