"""Floods: messages of every kind at a high rate.

Invariant: all messages are well formed and signed, so that only limits help against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.field_types import DIGEST_BYTES, MOST_DIGESTS, MOST_PAYLOAD
from nodes.dagbft.messages import Certificate, CertRequest, Header, Message, StateRequest, Vote
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.proposer import replace_signature


class Flooder(ByzantineCore):
    """Makes no correct header. Every `every_s` it sends: headers far ahead, headers a little ahead with parents that do
    not exist, huge headers with batches that do not exist, requests for everything, and false votes and certificates.
    """

    def __init__(self, core: PrimaryCore, random: Random, every_s: float = 0.05) -> None:
        super().__init__(core)
        self.every_s = every_s
        self._random = random
        self._due_s = 0.0

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        return () if isinstance(message, Header) else ((receiver, message),)

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        if now_s < self._due_s:
            return
        self._due_s = now_s + self.every_s
        top = self.core.pace.round
        window: int = self.core.config.window
        step = self.lies % window
        for header in (
            self._header(
                top + 2 + step % 8 | 1, batches=0, known=False
            ),  # odd rounds: the slots of even ones stay free
            self._header(top + 1, batches=MOST_PAYLOAD, known=True),
            self._header(top + 2 * window + step, batches=0, known=False),
        ):
            self.send_more(ALL, header)
        some = self._header(top + 2, batches=1, known=False)
        self.send_more(
            ALL, Vote(some.id, some.round, self.lies % self.core.roster.committee.n, self.core.me, bytes(64))
        )
        quorum = range(self.core.roster.committee.quorum)
        self.send_more(ALL, Certificate(some, tuple((voter, bytes(64)) for voter in quorum)))
        held = [certificate.digest for certificate in self._newest()]
        self.send_more(ALL, CertRequest(tuple(held * MOST_DIGESTS)[:MOST_DIGESTS]))
        self.send_more(ALL, CertRequest(self._digests(MOST_DIGESTS)))
        self.send_more(ALL, StateRequest(0))
        self.lies += 1

    def next_deadline_s(self) -> float:
        return min(self.core.next_deadline_s(), self._due_s)

    def _digests(self, count: int) -> tuple[bytes, ...]:
        return tuple(sorted(self._random.randbytes(DIGEST_BYTES) for _ in range(count)))

    def _newest(self) -> list[Certificate]:
        top, n = self.core.pace.round, self.core.roster.committee.n
        found = (self.core.blocks.at((top, author)) for author in range(n))
        return [certificate for certificate in found if certificate is not None]

    def _header(self, round: int, *, batches: int, known: bool) -> Header:
        """A header with parents that are held, or that do not exist."""
        committee = self.core.roster.committee
        parents = tuple(sorted(each.digest for each in self._newest())) if known else self._digests(committee.quorum)
        unsigned = Header(
            epoch=self.core.roster.epoch,
            author=self.core.me,
            round=round,
            payload=tuple((digest, 0) for digest in self._digests(batches)),
            inline=b"",
            parents=parents if round > 1 else (),
            shard=committee.shard(self.core.me, round),
            summary=bytes(DIGEST_BYTES),
            coin_share=b"",
            mode=0,
            run=self.core.roster.run,
            signature=bytes(64),
        )
        return replace_signature(unsigned, self.core._signer.sign(unsigned.id))
