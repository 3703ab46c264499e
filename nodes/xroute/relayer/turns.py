"""Whose turn a job is: of several relayers one tries it first, the next one some time later, and so on.

Invariant: relayers that know the same names have the same order for a pair of chains, without a word between them. The
order says who begins, never who may: a message waits for a relayer that is dead no longer than its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from nodes.xroute.identity import ChainIdentity

__all__ = ["Turns"]

Pair = tuple[ChainIdentity, ChainIdentity]


@dataclass
class Turns:
    """The turns of one relayer. By default it is always its own."""

    name: str = ""
    relayers: Sequence[str] = ()  # names of all, itself among them
    turn_ns: int = 0  # how long a relayer waits for the one before it
    _waits_ns: dict[Pair, int] = field(default_factory=dict)

    def wait_ns(self, near: ChainIdentity, far: ChainIdentity) -> int:
        """How long to leave what `far` is to be proved to hold to `near` to others. All jobs of a pair go together, as
        they need the same clients."""
        if not self.turn_ns:
            return 0
        if (near, far) not in self._waits_ns:
            order = sorted(self.relayers, key=lambda name: sha256(near + far + name.encode()).digest())
            self._waits_ns[near, far] = self.turn_ns * order.index(self.name)
        return self._waits_ns[near, far]
