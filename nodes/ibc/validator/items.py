"""What validators put into one order: transactions, votes, and that a block is due.

Invariant: who says something is known from the order, whose blocks are signed; a vote is also signed by itself, for
light clients.
"""

from __future__ import annotations

from nodes.ibc.proto.comet import Vote
from nodes.ibc.proto.well_known import Timestamp
from nodes.ibc.proto.wire import Message, int64, message, nested, optional, optional_octets

__all__ = ["Due", "Item"]


@message("skyloom.ibc.Due")
class Due(Message):
    """The next block is due by this validator's pace; `time` is what its clock shows."""

    height: int = int64(1)
    time: Timestamp = nested(2, Timestamp)


@message("skyloom.ibc.Item", oneof=("tx", "vote", "due"))
class Item(Message):
    """One thing that a validator says."""

    tx: bytes | None = optional_octets(1)
    vote: Vote | None = optional(2, Vote)
    due: Due | None = optional(3, Due)
