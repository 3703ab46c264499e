"""Votes on own headers, and the record of this validator's own votes.

Invariant: this validator votes for at most one header id of each (round, author), also after restarts: the record is on
disk before the vote is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.messages import Certificate, Header


@dataclass(slots=True)
class Ballot:
    """An own header that has no certificate yet."""

    header: Header
    votes: dict[int, bytes] = field(default_factory=dict)  # signatures, by voter
    again_s: float = float("inf")  # when it is sent again to validators that have not voted

    @property
    def digest(self) -> bytes:
        """The digest that votes sign."""
        return vote_digest(self.header.id, self.header.round, self.header.author)

    def certificate(self, quorum: int) -> Certificate | None:
        """The certificate, once there are enough votes."""
        if len(self.votes) < quorum:
            return None
        return Certificate(self.header, tuple(sorted(self.votes.items())))


class VoteLog:
    """The votes of this validator.

    For rounds up to `quiet` it neither votes nor makes a header: it may have done so before it lost its disk.
    """

    def __init__(self) -> None:
        self.quiet = 0
        self._votes: dict[Slot, bytes] = {}

    def find(self, slot: Slot) -> bytes | None:
        """The header id that this validator voted for in a slot."""
        return self._votes.get(slot)

    def enter(self, slot: Slot, header_id: bytes) -> None:
        if self._votes.setdefault(slot, header_id) != header_id:
            raise AssertionError(f"a second vote for {slot}")

    def collect(self, floor: int) -> list[Slot]:
        """Drop rounds up to and with `floor`; returns their slots."""
        gone = [slot for slot in self._votes if slot[0] <= floor]
        for slot in gone:
            del self._votes[slot]
        return gone
