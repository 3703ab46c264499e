"""The certificates of a primary: those in the DAG, and those that wait for ancestors.

Invariant: a certificate goes to consensus only after all its parents, so the DAG is causally complete above the floor.
Of certificates of the floor's own round only digest and author are kept, as their children reference them.
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
    """More than f validators are faulty, as `evidence` proves. The validator must stop."""

    def __init__(self, text: str, *evidence: Certificate) -> None:
        super().__init__(text)
        self.evidence = evidence


class Blocks:
    """The certificates that this validator holds."""

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
        """The number of certificates that wait for ancestors."""
        return len(self._suspended)

    def get(self, digest: bytes) -> Certificate | None:
        return self._held.get(digest)

    def at(self, slot: Slot) -> Certificate | None:
        return self._slots.get(slot)

    def newest(self) -> list[Certificate]:
        """One block of the highest round that has a block here; an empty list if there is no block."""
        top = max((round for round, _ in self._slots), default=0)
        return [certificate for (round, _), certificate in self._slots.items() if round == top][:1]

    def knows(self, digest: bytes) -> bool:
        """Whether the certificate is in the DAG or waits for its ancestors."""
        return digest in self._held or digest in self._waiting

    def of_use(self, certificate: Certificate) -> bool:
        """Whether a certificate is above the floor, or a certificate above the floor lacks it."""
        if certificate.round > self.floor:
            return True
        return certificate.round == self.floor and self._suspended.needs(certificate.digest)

    def missing(self, certificate: Certificate) -> list[bytes]:
        """The parents that are not in the DAG."""
        if certificate.round <= self.floor:
            return []
        return [parent for parent in certificate.header.parents if parent not in self._held]

    def unknown(self, certificate: Certificate) -> list[bytes]:
        """The parents that have not been received."""
        return [parent for parent in self.missing(certificate) if parent not in self._waiting]

    def needs(self, digest: bytes) -> bool:
        """Whether a suspended certificate lacks this one."""
        return self._suspended.needs(digest)

    def suspend(self, certificate: Certificate) -> None:
        """Keep a certificate until its parents are in the DAG. SafetyViolation for a second one of a slot."""
        slot = (certificate.round, certificate.author)
        if (other := self._suspended.get(slot) or self._slots.get(slot)) is not None:
            raise SafetyViolation(f"two certificates for {slot}", other, certificate)
        self._suspended.suspend(slot, certificate, self.missing(certificate))
        self._waiting.add(certificate.digest)

    def parents(self, header_round: int, digests: tuple[bytes, ...]) -> int | None:
        """The authors, as a mask, of a header's parents, all held; None if one is of another round or repeated."""
        mask = 0
        for digest in digests:
            parent = self._held[digest]
            if parent.round != header_round - 1 or mask >> parent.author & 1:
                return None
            mask |= 1 << parent.author
        return mask

    def mode_of(self, author: int, round: int, parents: Sequence[bytes]) -> int | None:
        """The mode of a block of this author with these parents, all held; None if its past has been collected."""
        mask = self.parents(round, tuple(parents)) or 0
        return self._consensus.rule.mode_for(Block(round, author, mask))

    def add(self, certificate: Certificate) -> Iterator[tuple[Certificate, Block | None, list[Event]]]:
        """Add a certificate whose parents are held, then those that waited for it; yields the events of each."""
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
                f"a certificate for {certificate.round, certificate.author} with parents for which nobody votes",
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
        """Drop everything below the floor; returns the certificates that need no parents any more, to be added."""
        floor = self.floor
        for slot in [slot for slot in self._slots if slot[0] < floor]:
            del self._held[self._slots.pop(slot).digest]
        dropped = self._suspended.collect(floor)
        self._waiting.difference_update(certificate.digest for certificate in dropped)
        return [certificate for certificate in dropped if certificate.round == floor]
