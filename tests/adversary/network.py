"""The adversary's network: how long a block is on its way to whom, who sleeps, and how all of it changes.

Invariant: nothing is lost for good. Everything else is up to the adversary: it knows all leaders beforehand, those of
the coin too, and delays what it likes for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block, members

CALM_DELAY = (0.2, 0.5)  # in message delays, the unit of all times here
CALM_WAIT = 2.0


class Network:
    """Delays. `leads(round, author)` says whether a block may be a leader."""

    def __init__(self, committee: Committee, leads: Callable[[int, int], bool], random: Random) -> None:
        self.calm = False
        self._committee = committee
        self._leads = leads
        self._random = random
        self._change_chance = random.choice((0.02, 0.1, 0.3, 1.0))
        self._tempers = [self._temper() for _ in range(random.randint(1, 3))]
        self.change()

    def _temper(self) -> dict[str, float]:
        """What the adversary likes to do for a while. All are chances but for the first two."""
        choice = self._random.choice
        return {
            "blur": choice((0.1, 0.5, 2.0, 5.0)),
            "long": choice((1.5, 3.0, 6.0, 15.0)),  # how long what is held back is
            "slow": choice((0.0, 0.0, 0.6, 0.95)),  # blocks of slow authors
            "leaders": choice((0.0, 0.0, 0.5, 0.9)),
            "heralds": choice((0.0, 0.0, 0.6, 1.0)),  # headers that rest on a leader
            "heirs": choice((0.0, 0.0, 0.5, 0.9)),  # a block, from the next owner of its shard
            "deaf": choice((0.0, 0.0, 0.5)),  # a block, from the leader of the next round
            "split": choice((0.0, 0.0, 0.7)),
            "own": choice((0.0, 0.0, 0.1)),  # an own certificate
        }

    def change(self) -> None:
        """Another temper, other victims."""
        random, n = self._random, self._committee.n
        self._now = random.choice(self._tempers)
        self._slow = frozenset(random.sample(range(n), random.randint(0, self._committee.faults + 1)))
        self._spared = frozenset(random.sample(range(n), random.randint(0, self._committee.faults + 1)))
        self._group = frozenset(random.sample(range(n), random.randint(1, n - 1)))
        self.wait = random.choice((0.0, 0.0, 0.5, 2.0))  # how long authors wait for more than a quorum
        self.few_voters = random.random() < 0.7

    def new_round(self) -> None:
        """A round has begun."""
        if not self.calm and self._random.random() < self._change_chance:
            self.change()

    def quick(self) -> float:
        """The delay of what is not held back."""
        return self._random.uniform(*CALM_DELAY) if self.calm else 0.1 + self._now["blur"] * self._random.random()

    def header(self, block: Block) -> float:
        """From the making of a header to its voters, who get its parents with it."""
        delay, now, chance = self.quick(), self._now, self._random.random
        if self.calm or not any(self._leads(block.round - 1, author) for author in members(block.parents)):
            return delay
        return delay + now["long"] * chance() if chance() < now["heralds"] else delay

    def pause(self) -> float:
        return CALM_WAIT if self.calm else self.wait * self._random.random()

    def delay(self, block: Block, receiver: int) -> float:
        """From the certificate of a block to a validator."""
        delay, now, chance = self.quick(), self._now, self._random.random
        if self.calm:
            return delay
        if block.author == receiver:
            return now["long"] if chance() < now["own"] else 0.0
        if block.author in self._slow and chance() < now["slow"]:
            delay += now["long"] * chance()
        if receiver in self._spared:
            return delay
        if self._leads(block.round, block.author) and chance() < now["leaders"]:
            delay += now["long"] * chance()
        if (block.author - receiver) % self._committee.n == 1 and chance() < now["heirs"]:
            delay += now["long"] * chance()
        if self._leads(block.round + 1, receiver) and chance() < now["deaf"]:
            delay += now["long"] * chance()
        if (block.author in self._group) != (receiver in self._group) and chance() < now["split"]:
            delay += now["long"] * chance()
        return delay
