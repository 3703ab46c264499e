"""Messages of the Cosmos SDK that most others need: coins and pages."""

from __future__ import annotations

from nodes.ibc.proto.wire import Message, boolean, message, octets, string, uint64


@message("cosmos.base.v1beta1.Coin")
class Coin(Message):
    """An amount of one denomination; `amount` is a decimal number."""

    denom: str = string(1)
    amount: str = string(2)


@message("cosmos.base.query.v1beta1.PageRequest")
class PageRequest(Message):
    """Which part of a long answer is asked for."""

    key: bytes = octets(1)
    offset: int = uint64(2)
    limit: int = uint64(3)
    count_total: bool = boolean(4)
    reverse: bool = boolean(5)


@message("cosmos.base.query.v1beta1.PageResponse")
class PageResponse(Message):
    """Where the next part begins; empty at the end."""

    next_key: bytes = octets(1)
    total: int = uint64(2)
