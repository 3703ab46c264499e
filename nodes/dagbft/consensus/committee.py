"""The committee: its size and quorums, the leaders of rounds, and the owner of each shard in a round.

Invariant: all numbers begin with 0, but rounds with 1. A shard has exactly one owner in each round and
an author owns exactly one shard in each round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from emulator.model.errors import Unfit


@dataclass(frozen=True, slots=True)
class Committee:
    """n validators and as many shards; up to `faults` of them may be Byzantine."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 4:
            raise Unfit(f"{self.n} validators", "at least 4")

    @property
    def faults(self) -> int:
        """f: the most validators that may be faulty."""
        return (self.n - 1) // 3

    @property
    def quorum(self) -> int:
        """q = n - f, and not 2f + 1: two quorums must share f + 1 validators for every n."""
        return self.n - self.faults

    def shard(self, author: int, round: int) -> int:
        """The shard that an author's block of a round is in charge of."""
        return (author + round - 1) % self.n

    def owner(self, shard: int, round: int) -> int:
        """The author whose block is in charge of a shard in a round."""
        return (shard - round + 1) % self.n


class Schedule(Protocol):
    """The predetermined leaders: of the even rounds (partially synchronous) or of the odd rounds (asynchronous)."""

    def author(self, turn: int) -> int:
        """The leader of a turn, counted from 0."""
        ...


class Turns:
    """Leaders from a list, cyclically. `Turns(range(n))` is round-robin; one author makes a fixed leader."""

    def __init__(self, authors: Sequence[int]) -> None:
        if not authors:
            raise Unfit("no leaders", "at least one author")
        self._authors = tuple(authors)

    def author(self, turn: int) -> int:
        return self._authors[turn % len(self._authors)]


class Hashed:
    """Leaders drawn by hash from a seed, never the same one twice in a row. All validators know them in advance."""

    def __init__(self, n: int, seed: int) -> None:
        self._n = n
        self._seed = seed
        self._authors = [self._draw(0, n)]

    def _draw(self, turn: int, among: int) -> int:
        digest = hashlib.blake2b(f"leader/{self._seed}/{turn}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % among

    def author(self, turn: int) -> int:
        while len(self._authors) <= turn:
            step = 1 + self._draw(len(self._authors), self._n - 1)
            self._authors.append((self._authors[-1] + step) % self._n)
        return self._authors[turn]
