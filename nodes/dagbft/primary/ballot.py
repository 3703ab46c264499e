"""Votes: those on own headers, and the record of what this validator has voted for.

Invariant: one header id for each (round, author), for ever: a second header of a slot is never voted for, and the
record is on disk before the vote leaves.
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
    again_s: float = float("inf")  # when it is sent again to those that have not voted

    @property
    def digest(self) -> bytes:
        """What is signed."""
        return vote_digest(self.header.id, self.header.round, self.header.author)

    def certificate(self, quorum: int) -> Certificate | None:
        """The certificate, once there are enough votes."""
        if len(self.votes) < quorum:
            return None
        return Certificate(self.header, tuple(sorted(self.votes.items())))


class VoteLog:
    """What this validator has voted for.

    For rounds up to `quiet` it never votes and makes no header: a former life, of which it has no memory, may have.
    """

    def __init__(self) -> None:
        self.quiet = 0
        self._votes: dict[Slot, bytes] = {}

    def find(self, slot: Slot) -> bytes | None:
        """The header id that was voted for."""
        return self._votes.get(slot)

    def enter(self, slot: Slot, header_id: bytes) -> None:
        if self._votes.setdefault(slot, header_id) != header_id:
            raise AssertionError(f"a second vote for {slot}")

    def collect(self, floor: int) -> list[Slot]:
        """Forget rounds up to and with `floor`; which slots these were."""
        gone = [slot for slot in self._votes if slot[0] <= floor]
        for slot in gone:
            del self._votes[slot]
        return gone
