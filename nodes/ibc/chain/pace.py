"""When the next block is due: a block in each interval, and the faults that a scenario gives a chain.

Invariant: no block is due within a halt. Times are of the scenario, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

__all__ = ["Pace", "Spell"]


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which blocks take `factor` times as long; infinity is a halt."""

    begin_s: float
    length_s: float
    factor: float = inf

    def holds(self, t_s: float) -> bool:
        return self.begin_s <= t_s < self.begin_s + self.length_s


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of one chain."""

    block_s: float
    spells: tuple[Spell, ...] = ()

    def next_s(self, last_s: float) -> float:
        """When the block after that of `last_s` is due; infinity where the chain halts for good."""
        slow = max((spell.factor for spell in self.spells if spell.holds(last_s) and spell.factor < inf), default=1.0)
        due_s = last_s + slow * self.block_s
        for spell in sorted(self.spells, key=lambda spell: spell.begin_s):
            if spell.factor == inf and spell.holds(due_s):
                due_s = spell.begin_s + spell.length_s
        return due_s


class RateLimit:
    """At most so many requests a second of each client, and as many at once. Old clients are forgotten."""

    MOST_CLIENTS = 1024

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._clients: dict[str, tuple[float, float]] = {}  # requests that it may still make, as of when

    def allows(self, client: str, now_s: float) -> bool:
        """Whether this client may ask now; if so it has asked."""
        left, then_s = self._clients.pop(client, (self._per_s, now_s))
        left = min(self._per_s, left + (now_s - then_s) * self._per_s)
        if len(self._clients) >= self.MOST_CLIENTS:
            del self._clients[next(iter(self._clients))]
        self._clients[client] = (left - 1 if left >= 1 else left), now_s
        return left >= 1
