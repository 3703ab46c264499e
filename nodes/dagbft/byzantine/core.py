"""What all Byzantine primaries have in common: an honest core inside, and a false mouth.

Invariant: everything that leaves is signed with the validator's own key, so that a lie is refused for what it says and
not for its signature; and whoever forges a header counts the votes that it gets, and certifies it if it can.
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
    """Stands in for a `PrimaryCore`. Subclasses say what becomes of a message that the honest core would send."""

    def __init__(self, core: PrimaryCore) -> None:
        self.core = core
        self.lies = 0  # messages that were not what an honest validator would have sent, or not sent
        self.certified = 0  # headers that found a quorum among those whose votes the liar itself counts
        self.now_s = 0.0
        self._forged: dict[bytes, Ballot] = {}  # by header id
        self._more: list[Sent] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    @property
    def __class__(self) -> Any:
        """The core's, so that whoever asks which core drives a validator is told of the one that is stood in for."""
        return type(self.core)

    @__class__.setter
    def __class__(self, other: Any) -> None:
        raise TypeError("a liar stands in for one core in all its life")

    # The doors of a core

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator's primary."""
        self.now_s = now_s
        if isinstance(message, Vote) and (ballot := self._forged.get(message.header_id)) is not None:
            self._count(ballot, message)
        else:
            self.hear(peer, message)

    def on_batch(self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, *more: Any) -> None:
        """An own worker has stored a batch."""
        self.now_s = now_s
        self.core.on_batch(digest, worker, keys, own, now_s, *more)

    def on_sealed(self, worker: int, round: int, inline: bytes, now_s: float) -> None:
        """An own worker has sealed what waited for the header of a round."""
        self.now_s = now_s
        self.core.on_sealed(worker, round, inline, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        self.now_s = now_s
        self.core.tick(now_s)

    def take(self) -> Effects:
        """What the honest core wants done, with what is sent twisted."""
        effects = self.core.take()
        sent = [each for receiver, message in effects.send for each in self.say(receiver, message)]
        more, self._more = self._more, []
        effects.send = sent + more
        return effects

    def next_deadline_s(self) -> float:
        return self.core.next_deadline_s()

    # For subclasses

    def hear(self, peer: int, message: Message) -> None:
        """What to do with a message that is no vote on a forged header."""
        self.core.on_message(peer, message, self.now_s)

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        """What to send in place of a message."""
        return ((receiver, message),)

    def send_more(self, receiver: int, message: Message) -> None:
        """Send something with the next effects."""
        self._more.append((receiver, message))

    def others(self, receiver: int = ALL) -> Iterator[int]:
        """The validators behind a receiver."""
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
        """Make a certificate of this header if it finds a quorum, whatever the honest core does."""
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
