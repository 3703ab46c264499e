"""Messages of ICS-4: channels and packets of IBC v1 (`ibc.core.channel.v1`, ibc-go v10)."""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import Message, enum, message, nested, octets, repeated, string, uint64


class State(IntEnum):
    """State of one end of a channel."""

    UNINITIALIZED = 0
    INIT = 1
    TRYOPEN = 2
    OPEN = 3
    CLOSED = 4
    FLUSHING = 5
    FLUSHCOMPLETE = 6


class Order(IntEnum):
    """Whether packets must arrive in the order of their sequences."""

    NONE = 0
    UNORDERED = 1
    ORDERED = 2


class ResponseResultType(IntEnum):
    """What a packet message did: nothing where it was redundant."""

    UNSPECIFIED = 0
    NOOP = 1
    SUCCESS = 2
    FAILURE = 3


@message("ibc.core.channel.v1.Counterparty")
class Counterparty(Message):
    """The other end."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.Channel")
class Channel(Message):
    """One end of a channel, as it is stored and proven."""

    state: State = enum(1, State)
    ordering: Order = enum(2, Order)
    counterparty: Counterparty = nested(3, Counterparty)
    connection_hops: tuple[str, ...] = repeated(4, str)
    version: str = string(5)
    upgrade_sequence: int = uint64(6)


@message("ibc.core.channel.v1.IdentifiedChannel")
class IdentifiedChannel(Message):
    """One end with its name."""

    state: State = enum(1, State)
    ordering: Order = enum(2, Order)
    counterparty: Counterparty = nested(3, Counterparty)
    connection_hops: tuple[str, ...] = repeated(4, str)
    version: str = string(5)
    port_id: str = string(6)
    channel_id: str = string(7)
    upgrade_sequence: int = uint64(8)


@message("ibc.core.channel.v1.Packet")
class Packet(Message):
    """A packet. Timeouts are a height of the destination and a time in ns; zero stands for none."""

    sequence: int = uint64(1)
    source_port: str = string(2)
    source_channel: str = string(3)
    destination_port: str = string(4)
    destination_channel: str = string(5)
    data: bytes = octets(6)
    timeout_height: Height = nested(7, Height)
    timeout_timestamp: int = uint64(8)


@message("ibc.core.channel.v1.PacketState")
class PacketState(Message):
    """A commitment or acknowledgement with the packet that it is of."""

    port_id: str = string(1)
    channel_id: str = string(2)
    sequence: int = uint64(3)
    data: bytes = octets(4)


@message("ibc.core.channel.v1.MsgChannelOpenInit")
class MsgChannelOpenInit(Message):
    """First step, on chain A."""

    port_id: str = string(1)
    channel: Channel = nested(2, Channel)
    signer: str = string(3)


@message("ibc.core.channel.v1.MsgChannelOpenInitResponse")
class MsgChannelOpenInitResponse(Message):
    """Name and version of the new end."""

    channel_id: str = string(1)
    version: str = string(2)


@message("ibc.core.channel.v1.MsgChannelOpenTry")
class MsgChannelOpenTry(Message):
    """Second step, on chain B."""

    port_id: str = string(1)
    previous_channel_id: str = string(2)
    channel: Channel = nested(3, Channel)
    counterparty_version: str = string(4)
    proof_init: bytes = octets(5)
    proof_height: Height = nested(6, Height)
    signer: str = string(7)


@message("ibc.core.channel.v1.MsgChannelOpenTryResponse")
class MsgChannelOpenTryResponse(Message):
    """Name and version of the new end."""

    version: str = string(1)
    channel_id: str = string(2)


@message("ibc.core.channel.v1.MsgChannelOpenAck")
class MsgChannelOpenAck(Message):
    """Third step, on chain A."""

    port_id: str = string(1)
    channel_id: str = string(2)
    counterparty_channel_id: str = string(3)
    counterparty_version: str = string(4)
    proof_try: bytes = octets(5)
    proof_height: Height = nested(6, Height)
    signer: str = string(7)


@message("ibc.core.channel.v1.MsgChannelOpenAckResponse")
class MsgChannelOpenAckResponse(Message):
    """Nothing."""


@message("ibc.core.channel.v1.MsgChannelOpenConfirm")
class MsgChannelOpenConfirm(Message):
    """Last step, on chain B."""

    port_id: str = string(1)
    channel_id: str = string(2)
    proof_ack: bytes = octets(3)
    proof_height: Height = nested(4, Height)
    signer: str = string(5)


@message("ibc.core.channel.v1.MsgChannelOpenConfirmResponse")
class MsgChannelOpenConfirmResponse(Message):
    """Nothing."""


@message("ibc.core.channel.v1.MsgChannelCloseInit")
class MsgChannelCloseInit(Message):
    """Close one end."""

    port_id: str = string(1)
    channel_id: str = string(2)
    signer: str = string(3)


@message("ibc.core.channel.v1.MsgChannelCloseInitResponse")
class MsgChannelCloseInitResponse(Message):
    """Nothing."""


@message("ibc.core.channel.v1.MsgChannelCloseConfirm")
class MsgChannelCloseConfirm(Message):
    """Close the other end."""

    port_id: str = string(1)
    channel_id: str = string(2)
    proof_init: bytes = octets(3)
    proof_height: Height = nested(4, Height)
    signer: str = string(5)
    counterparty_upgrade_sequence: int = uint64(6)


@message("ibc.core.channel.v1.MsgChannelCloseConfirmResponse")
class MsgChannelCloseConfirmResponse(Message):
    """Nothing."""


@message("ibc.core.channel.v1.MsgRecvPacket")
class MsgRecvPacket(Message):
    """Deliver a packet."""

    packet: Packet = nested(1, Packet)
    proof_commitment: bytes = octets(2)
    proof_height: Height = nested(3, Height)
    signer: str = string(4)


@message("ibc.core.channel.v1.MsgTimeout")
class MsgTimeout(Message):
    """Undo a packet that can no longer arrive."""

    packet: Packet = nested(1, Packet)
    proof_unreceived: bytes = octets(2)
    proof_height: Height = nested(3, Height)
    next_sequence_recv: int = uint64(4)
    signer: str = string(5)


@message("ibc.core.channel.v1.MsgTimeoutOnClose")
class MsgTimeoutOnClose(Message):
    """Undo a packet whose destination is closed."""

    packet: Packet = nested(1, Packet)
    proof_unreceived: bytes = octets(2)
    proof_close: bytes = octets(3)
    proof_height: Height = nested(4, Height)
    next_sequence_recv: int = uint64(5)
    signer: str = string(6)
    counterparty_upgrade_sequence: int = uint64(7)


@message("ibc.core.channel.v1.MsgAcknowledgement")
class MsgAcknowledgement(Message):
    """Bring the answer to a packet."""

    packet: Packet = nested(1, Packet)
    acknowledgement: bytes = octets(2)
    proof_acked: bytes = octets(3)
    proof_height: Height = nested(4, Height)
    signer: str = string(5)


@message("ibc.core.channel.v1.MsgRecvPacketResponse")
class MsgRecvPacketResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)


@message("ibc.core.channel.v1.MsgTimeoutResponse")
class MsgTimeoutResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)


@message("ibc.core.channel.v1.MsgTimeoutOnCloseResponse")
class MsgTimeoutOnCloseResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)


@message("ibc.core.channel.v1.MsgAcknowledgementResponse")
class MsgAcknowledgementResponse(Message):
    """Whether anything was done."""

    result: ResponseResultType = enum(1, ResponseResultType)
