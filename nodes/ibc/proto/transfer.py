"""Messages of ICS-20 transfers (`ibc.applications.transfer.v1`, ibc-go v10). Packet data as JSON: `nodes/ibc/core`."""

from __future__ import annotations

from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import Message, boolean, message, nested, optional, repeated, string, uint64


@message("ibc.applications.transfer.v1.MsgTransfer")
class MsgTransfer(Message):
    """Send coins to another chain. Timeouts as in a packet; with a client id as channel it goes by IBC v2."""

    source_port: str = string(1)
    source_channel: str = string(2)
    token: Coin = nested(3, Coin)
    sender: str = string(4)
    receiver: str = string(5)
    timeout_height: Height = nested(6, Height)
    timeout_timestamp: int = uint64(7)
    memo: str = string(8)
    encoding: str = string(9)
    use_aliasing: bool = boolean(10)


@message("ibc.applications.transfer.v1.MsgTransferResponse")
class MsgTransferResponse(Message):
    """The sequence that the packet got."""

    sequence: int = uint64(1)


@message("ibc.applications.transfer.v1.FungibleTokenPacketData")
class FungibleTokenPacketData(Message):
    """What a transfer's packet says. `amount` is a decimal number, `denom` the full path."""

    denom: str = string(1)
    amount: str = string(2)
    sender: str = string(3)
    receiver: str = string(4)
    memo: str = string(5)


@message("ibc.applications.transfer.v1.Hop")
class Hop(Message):
    """One channel that a token came through."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.applications.transfer.v1.Denom")
class Denom(Message):
    """A denomination and the way that it came, newest hop first."""

    base: str = string(1)
    trace: tuple[Hop, ...] = repeated(3, Hop)


@message("ibc.applications.transfer.v1.DenomTrace")
class DenomTrace(Message):
    """A denomination in the form of older releases."""

    path: str = string(1)
    base_denom: str = string(2)


@message("ibc.applications.transfer.v1.Params")
class Params(Message):
    """Whether transfers are on."""

    send_enabled: bool = boolean(1)
    receive_enabled: bool = boolean(2)


@message("ibc.applications.transfer.v1.QueryDenomRequest")
class QueryDenomRequest(Message):
    """Ask what `ibc/HASH` stands for."""

    hash: str = string(1)


@message("ibc.applications.transfer.v1.QueryDenomResponse")
class QueryDenomResponse(Message):
    """The denomination."""

    denom: Denom | None = optional(1, Denom)


@message("ibc.applications.transfer.v1.QueryDenomTraceRequest")
class QueryDenomTraceRequest(Message):
    """The same question in older releases."""

    hash: str = string(1)


@message("ibc.applications.transfer.v1.QueryDenomTraceResponse")
class QueryDenomTraceResponse(Message):
    """The same answer in older releases."""

    denom_trace: DenomTrace | None = optional(1, DenomTrace)


@message("ibc.applications.transfer.v1.QueryParamsRequest")
class QueryParamsRequest(Message):
    """Ask for the parameters."""


@message("ibc.applications.transfer.v1.QueryParamsResponse")
class QueryParamsResponse(Message):
    """The parameters."""

    params: Params | None = optional(1, Params)


@message("ibc.applications.transfer.v1.QueryEscrowAddressRequest")
class QueryEscrowAddressRequest(Message):
    """Ask for the account that holds what left by a channel."""

    port_id: str = string(1)
    channel_id: str = string(2)


@message("ibc.applications.transfer.v1.QueryEscrowAddressResponse")
class QueryEscrowAddressResponse(Message):
    """The account."""

    escrow_address: str = string(1)


@message("ibc.applications.transfer.v1.QueryTotalEscrowForDenomRequest")
class QueryTotalEscrowForDenomRequest(Message):
    """Ask how much of a denomination is in escrow."""

    denom: str = string(1)


@message("ibc.applications.transfer.v1.QueryTotalEscrowForDenomResponse")
class QueryTotalEscrowForDenomResponse(Message):
    """The amount."""

    amount: Coin = nested(1, Coin)
