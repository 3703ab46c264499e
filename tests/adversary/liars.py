"""Liars of a schedule: authors that choose their parents, rounds and readers. They see every certificate at once.

Invariant: what a liar makes has a quorum of parents and finds a quorum of voters, or it is no block.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block, members

PARENTS = ("all", "few", "circle", "no leader", "shun")
READERS = ("all", "all", "late", "circle", "hidden")


class Liar:
    """One of them. Its circle is a quorum, itself included, that it can live with for as long as it likes."""

    def __init__(
        self, me: int, committee: Committee, leads: Callable[[int, int], bool], kept: int, random: Random
    ) -> None:
        self.me = me
        self.made = 0  # the round of its last block
        self.hides_until = 0
        self._committee = committee
        self._leads = leads
        self._kept = kept
        self._random = random
        others = [author for author in range(committee.n) if author != me]
        self.circle = frozenset((me, *random.sample(others, committee.quorum - 1)))
        if random.random() < 0.4:  # a chain longer than what is kept
            self.hides_until = random.randint(kept, 3 * kept)
        self.change()

    def change(self) -> None:
        """Another habit."""
        random = self._random
        self.parents = random.choice(PARENTS)
        self.readers = random.choice(READERS)
        self.lag = random.choice((0, 0, 0, 1, 3, 6))  # rounds behind the others
        self.skips = random.choice((0.0, 0.0, 0.3))
        self._until = self.made + random.choice((2, 5, 20))

    def behave(self) -> None:
        """As an honest one, from now on."""
        self.parents, self.readers, self.lag, self.skips, self.hides_until = "all", "all", 0, 0.0, 0
        self._until = 1 << 40

    def next_round(self, top: int, passed: int) -> int:
        """The round to make a block of, where `top` is the highest with a quorum; 0: none now. `passed` is the round
        of which all honest ones of the circle have made a header.
        """
        if self.made < self.hides_until:  # who votes for the next block, and so sees the last, must be past it
            return self.made + 1 if self.made < min(passed, top + 1) else 0
        if self.made >= self._until:
            self.change()
        round = top + 1 - self.lag
        if round <= self.made:
            return 0
        if self._random.random() < self.skips:
            self.made = round
            return 0
        return round

    def hides(self, round: int) -> bool:
        return round <= self.hides_until

    def block(self, round: int, below: int) -> Block:
        """A block on some of the certified blocks of the round below."""
        random, committee = self._random, self._committee
        if round == 1:
            return Block(1, self.me, 0)
        kind = "circle" if self.hides(round) else self.parents
        if kind == "all":
            return Block(round, self.me, below)
        shard = committee.shard(self.me, round)
        avoided = {
            "few": frozenset[int](),
            "circle": frozenset(range(committee.n)) - self.circle,
            "no leader": frozenset(author for author in range(committee.n) if self._leads(round - 1, author)),
            "shun": frozenset((committee.owner(shard, round - 1),)),
        }[kind]
        liked = [author for author in members(below) if author not in avoided]
        rest = [author for author in members(below) if author in avoided]
        random.shuffle(liked)
        random.shuffle(rest)
        count = random.randint(committee.quorum, max(len(liked), committee.quorum))
        return Block(round, self.me, sum(1 << author for author in (liked + rest)[:count]))
