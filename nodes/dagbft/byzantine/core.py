"""The base of all Byzantine primaries: a correct core whose messages are changed before they are sent.

Invariant: every message is signed with the validator's own key, so that it can be refused only for its content and not
for its signature; votes on a forged header are counted here, and the header is certified if there are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from nodes.dagbft.messages import Header, Message, Vote
from nodes.dagbft.primary.ballot import Ballot
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.payload import Keys
from nodes.dagbft.primary.proposer import replace_signature

Sent = tuple[int, Message]  # receiver (or ALL) and message


class ByzantineCore:
    """Replaces a `PrimaryCore`. Subclasses change the messages that the correct core sends."""

    def __init__(self, core: PrimaryCore) -> None:
        self.core = core
        self.lies = 0  # messages that a correct validator would not have sent, or that were held back
        self.certified = 0  # headers with a quorum, among those whose votes are counted here
        self.now_s = 0.0
        self._forged: dict[bytes, Ballot] = {}  # by header id
        self._more: list[Sent] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    @property
    def __class__(self) -> Any:
        """The class of the replaced core, so that `isinstance` sees that core."""
        return type(self.core)

    @__class__.setter
    def __class__(self, other: Any) -> None:
        raise TypeError("a Byzantine core replaces one core only")

    # The interface of a core

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator's primary."""
        self.now_s = now_s
        if isinstance(message, Vote) and (ballot := self._forged.get(message.header_id)) is not None:
            self._count(ballot, message)
        else:
            self.receive(peer, message)

    def on_batch(self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, *more: Any) -> None:
        """An own worker has stored a batch."""
        self.now_s = now_s
        self.core.on_batch(digest, worker, keys, own, now_s, *more)

    def on_sealed(self, worker: int, round: int, inline: bytes, now_s: float) -> None:
        """An own worker has sealed its batches for the header of a round."""
        self.now_s = now_s
        self.core.on_sealed(worker, round, inline, now_s)

    def tick(self, now_s: float) -> None:
        """Process deadlines up to `now_s`."""
        self.now_s = now_s
        self.core.tick(now_s)

    def take(self) -> Effects:
        """The effects of the correct core, with changed messages."""
        effects = self.core.take()
        sent = [each for receiver, message in effects.send for each in self.outgoing(receiver, message)]
        more, self._more = self._more, []
        effects.send = sent + more
        return effects

    def next_deadline_s(self) -> float:
        return self.core.next_deadline_s()

    # For subclasses

    def receive(self, peer: int, message: Message) -> None:
        """Process a received message, other than a vote on a forged header."""
        self.core.on_message(peer, message, self.now_s)

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        """The messages to send instead of `message`."""
        return ((receiver, message),)

    def send_more(self, receiver: int, message: Message) -> None:
        """Send a message with the next effects."""
        self._more.append((receiver, message))

    def others(self, receiver: int = ALL) -> Iterator[int]:
        """The validators that a receiver stands for."""
        for other in range(self.core.roster.committee.n) if receiver == ALL else (receiver,):
            if other != self.core.me:
                yield other

    def forge(self, header: Header, **changes: Any) -> Header:
        """Another header of the same slot, signed; votes on it are counted from now on."""
        if "parents" in changes and "mode" not in changes:
            mode = self.core.blocks.mode_of(header.author, header.round, changes["parents"])
            changes["mode"] = header.mode if mode is None else mode
        unsigned = replace(header, **changes)
        forged = replace_signature(unsigned, self.core._signer.sign(unsigned.id))
        if forged.id != header.id:
            self.count_votes(forged)
            self.lies += 1
        return forged

    def count_votes(self, header: Header) -> None:
        """Count the votes on this header and certify it with a quorum, whatever the correct core does."""
        ballot = self._forged[header.id] = Ballot(header)
        ballot.votes[self.core.me] = self.core._signer.sign(ballot.digest)
        for id in [id for id, old in self._forged.items() if old.header.round < header.round - 20]:
            del self._forged[id]

    def _count(self, ballot: Ballot, vote: Vote) -> None:
        if vote.voter in ballot.votes:
            return
        ballot.votes[vote.voter] = vote.signature
        if certificate := ballot.certificate(self.core.roster.committee.quorum):
            del self._forged[ballot.header.id]
            self.certified += 1
            self.send_more(ALL, certificate)
            if self.core.certificate_at((certificate.round, certificate.author)) is None:
                self.core.on_message(self.core.me, certificate, self.now_s)
