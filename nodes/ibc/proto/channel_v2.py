"""Messages of IBC v2: packets between two clients, without channels (`ibc.core.channel.v2`, ibc-go v10)."""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.channel import ResponseResultType
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import Message, enum, message, nested, octets, repeated, string, uint64


class PacketStatus(IntEnum):
    """What an application made of a packet."""

    UNSPECIFIED = 0
    SUCCESS = 1
    FAILURE = 2
    ASYNC = 3


@message("ibc.core.channel.v2.Payload")
class Payload(Message):
    """What one application says to another one."""

    source_port: str = string(1)
    destination_port: str = string(2)
    version: str = string(3)
    encoding: str = string(4)
    value: bytes = octets(5)


@message("ibc.core.channel.v2.Packet")
class Packet(Message):
    """A packet. `timeout_timestamp` is in seconds."""

    sequence: int = uint64(1)
    source_client: str = string(2)
    destination_client: str = string(3)
    timeout_timestamp: int = uint64(4)
    payloads: tuple[Payload, ...] = repeated(5, Payload)


@message("ibc.core.channel.v2.Acknowledgement")
class Acknowledgement(Message):
    """An answer for each payload."""

    app_acknowledgements: tuple[bytes, ...] = repeated(1, bytes)


@message("ibc.core.channel.v2.RecvPacketResult")
class RecvPacketResult(Message):
    """An application's answer to a payload."""

    status: PacketStatus = enum(1, PacketStatus)
    acknowledgement: bytes = octets(2)


@message("ibc.core.channel.v2.PacketState")
class PacketState(Message):
    """A commitment or acknowledgement with the packet that it is of."""

    client_id: str = string(1)
    sequence: int = uint64(2)
    data: bytes = octets(3)


@message("ibc.core.channel.v2.MsgSendPacket")
class MsgSendPacket(Message):
    """Send a packet. `timeout_timestamp` is in seconds."""

    source_client: str = string(1)
    timeout_timestamp: int = uint64(2)
    payloads: tuple[Payload, ...] = repeated(3, Payload)
    signer: str = string(4)


@message("ibc.core.channel.v2.MsgSendPacketResponse")
class MsgSendPacketResponse(Message):
    """The sequence that the packet got."""

    sequence: int = uint64(1)


@message("ibc.core.channel.v2.MsgRecvPacket")
class MsgRecvPacket(Message):
    """Deliver a packet."""

    packet: Packet = nested(1, Packet)
    proof_commitment: bytes = octets(2)
    proof_height: Height = nested(3, Height)
    signer: str = string(4)


@message("ibc.core.channel.v2.MsgTimeout")
class MsgTimeout(Message):
    """Undo a packet that can no longer arrive."""

    packet: Packet = nested(1, Packet)
    proof_unreceived: bytes = octets(2)
    proof_height: Height = nested(3, Height)
    signer: str = string(5)


@message("ibc.core.channel.v2.MsgAcknowledgement")
class MsgAcknowledgement(Message):
    """Bring the answer to a packet."""

    packet: Packet = nested(1, Packet)
    acknowledgement: Acknowledgement = nested(2, Acknowledgement)
    proof_acked: bytes = octets(3)
    proof_height: Height = nested(4, Height)
    signer: str = string(5)


@message("ibc.core.channel.v2.MsgRecvPacketResponse")
class MsgRecvPacketResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)


@message("ibc.core.channel.v2.MsgTimeoutResponse")
class MsgTimeoutResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)


@message("ibc.core.channel.v2.MsgAcknowledgementResponse")
class MsgAcknowledgementResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)
