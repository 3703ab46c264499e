"""The certificates of a primary: those in the DAG, and those that wait for their ancestors.

Invariant: consensus is fed with a certificate only when it has all its parents, so what is in the DAG is causally
complete above the floor. Certificates of the floor's own round are known by name only: their children need to say whom
they reference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from nodes.dagbft.consensus.core import Consensus, Event
from nodes.dagbft.consensus.dag import Block, Refused, Slot
from nodes.dagbft.messages import Certificate
from nodes.dagbft.primary.coin import Coin
from nodes.dagbft.primary.suspended import SuspendedItems


class SafetyViolation(RuntimeError):
    """What cannot happen while at most f validators are faulty. The validator must stop; `evidence` shows it."""

    def __init__(self, text: str, *evidence: Certificate) -> None:
        super().__init__(text)
        self.evidence = evidence


class Blocks:
    """What is held of the DAG."""

    def __init__(self, consensus: Consensus, coin: Coin | None) -> None:
        self._consensus = consensus
        self._coin = coin
        self._held: dict[bytes, Certificate] = {}
        self._slots: dict[Slot, Certificate] = {}
        self._suspended: SuspendedItems[bytes, Certificate] = SuspendedItems()
        self._waiting: set[bytes] = set()  # digests of suspended certificates

    @property
    def floor(self) -> int:
        return self._consensus.dag.floor

    def __len__(self) -> int:
        return len(self._held) + len(self._suspended)

    @property
    def suspended(self) -> int:
        """How many certificates wait for their ancestors."""
        return len(self._suspended)

    def get(self, digest: bytes) -> Certificate | None:
        return self._held.get(digest)

    def at(self, slot: Slot) -> Certificate | None:
        return self._slots.get(slot)

    def newest(self) -> list[Certificate]:
        """One block of the highest round of which one is held; none where none is."""
        top = max((round for round, _ in self._slots), default=0)
        return [certificate for (round, _), certificate in self._slots.items() if round == top][:1]

    def knows(self, digest: bytes) -> bool:
        """Whether the certificate is held, or waits for its ancestors."""
        return digest in self._held or digest in self._waiting

    def of_use(self, certificate: Certificate) -> bool:
        """Whether a certificate is above the floor, or is missed by one that is."""
        if certificate.round > self.floor:
            return True
        return certificate.round == self.floor and self._suspended.needs(certificate.digest)

    def missing(self, certificate: Certificate) -> list[bytes]:
        """The parents that must come first."""
        if certificate.round <= self.floor:
            return []
        return [parent for parent in certificate.header.parents if parent not in self._held]

    def unknown(self, certificate: Certificate) -> list[bytes]:
        """The parents that nobody has sent yet."""
        return [parent for parent in self.missing(certificate) if parent not in self._waiting]

    def needs(self, digest: bytes) -> bool:
        """Whether something waits for this certificate."""
        return self._suspended.needs(digest)

    def suspend(self, certificate: Certificate) -> None:
        """Keep a certificate until its parents are in. Raises SafetyViolation for a second one of a slot."""
        slot = (certificate.round, certificate.author)
        if (other := self._suspended.get(slot) or self._slots.get(slot)) is not None:
            raise SafetyViolation(f"two certificates for {slot}", other, certificate)
        self._suspended.suspend(slot, certificate, self.missing(certificate))
        self._waiting.add(certificate.digest)

    def parents(self, header_round: int, digests: tuple[bytes, ...]) -> int | None:
        """The authors, as a mask, of a header's parents, all held; None where one is of another round or repeated."""
        mask = 0
        for digest in digests:
            parent = self._held[digest]
            if parent.round != header_round - 1 or mask >> parent.author & 1:
                return None
            mask |= 1 << parent.author
        return mask

    def mode_of(self, author: int, round: int, parents: Sequence[bytes]) -> int | None:
        """How a block of this author with these parents, all held, votes; None where its past has been collected."""
        mask = self.parents(round, tuple(parents)) or 0
        return self._consensus.rule.mode_for(Block(round, author, mask))

    def add(self, certificate: Certificate) -> Iterator[tuple[Certificate, Block | None, list[Event]]]:
        """Feed consensus with a certificate that lacks nothing and those that waited for it; what it says of each."""
        queue = deque((certificate,))
        while queue:
            one = queue.popleft()
            if one.digest in self._held:
                continue
            block, events = self._feed(one) if one.round > self.floor else (None, [])
            self._held[one.digest] = self._slots[one.round, one.author] = one
            self._waiting.discard(one.digest)
            queue.extend(self._suspended.arrived(one.digest))
            yield one, block, events

    def _feed(self, certificate: Certificate) -> tuple[Block, list[Event]]:
        parents = self.parents(certificate.round, certificate.header.parents)
        if parents is None:
            raise SafetyViolation(
                f"a certificate for {certificate.round, certificate.author} with parents that no vote is for",
                certificate,
            )
        block = Block(certificate.round, certificate.author, parents, certificate.digest, certificate.header.mode)
        try:
            events = self._consensus.add(block)
        except Refused as refused:
            held = self._slots.get((certificate.round, certificate.author))
            evidence = (certificate,) if held is None else (held, certificate)
            raise SafetyViolation(f"{refused} ({refused.reason})", *evidence) from None
        if self._coin is not None and (value := self._coin.reveal(block, certificate.header.coin_share)):
            events += self._consensus.coin(*value)
        return block, events

    def collect(self) -> list[Certificate]:
        """Forget what is below the floor. What waited at the floor itself lacks nothing now, and is to be added."""
        floor = self.floor
        for slot in [slot for slot in self._slots if slot[0] < floor]:
            del self._held[self._slots.pop(slot).digest]
        dropped = self._suspended.collect(floor)
        self._waiting.difference_update(certificate.digest for certificate in dropped)
        return [certificate for certificate in dropped if certificate.round == floor]
