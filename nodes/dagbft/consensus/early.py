"""Early finality: blocks whose place in their shard can no longer change, before a leader orders them.

Our rules, after Lemonshark (Hu et al., arXiv 2604.03974); they were written without its full text.

Invariant: what is final stays final. Each shard has one frontier, the lowest slot that is neither resolved nor final;
only a slot on the frontier can become final, and it is checked again only after an event that can make it final: a
block in the round above it, a coin value, a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from nodes.dagbft.consensus.dag import Block, Dag, Slot, members


class Early(NamedTuple):
    """A block's place in the order of its shard is final: `position` counts from 0, `after` is the block before it."""

    block: Slot
    shard: int
    position: int
    after: Slot | None


class Leaders(Protocol):
    def may_lead(self, round: int, author: int) -> bool: ...


class Floor(Protocol):
    @property
    def floor(self) -> int: ...


class Frontiers:
    """The frontier of each shard and the number of blocks before it: the part that early rules share."""

    def __init__(self, dag: Dag, leaders: Leaders, order: Floor) -> None:
        self._dag = dag
        self._leaders = leaders
        self._order = order
        self._n = n = dag.committee.n
        self._quorum = dag.committee.quorum
        self._support = dag.committee.faults + 1
        self._next = [1] * n  # by shard: the round of its frontier
        self._waiting = {1: (1 << n) - 1}  # by round: the authors whose slot is a frontier
        self._final: dict[int, int] = {}  # by round: authors whose block is final, committed since or not
        self._length = [0] * n  # by shard: blocks ordered or final
        self._latest: list[Slot | None] = [None] * n  # by shard: the last of these

    def resume(self, lengths: Iterable[int], latest: Iterable[Slot | None], blocks: Iterable[Slot]) -> None:
        """Begin above the floor of the order: `lengths` blocks of each shard were ordered, the last being `latest`,
        and then `blocks`, in order.
        """
        self._length, self._latest = list(lengths), list(latest)
        begin = max(self._order.floor + 1, 1)
        self._next = [begin] * self._n
        self._waiting = {begin: (1 << self._n) - 1}
        self.note_ordered(blocks)

    def resolved(self, round: int, author: int) -> bool:
        """Whether the slot is ordered, or certainly never will be, so that it needs no early finality."""
        raise NotImplementedError

    def safe(self, round: int, author: int) -> bool:
        """Whether the slot's block is held and its place is final, given that all slots below are resolved or final."""
        raise NotImplementedError

    def is_final(self, round: int, author: int) -> bool:
        """Whether the block has become early-final; it may have been ordered since."""
        return bool(self._final.get(round, 0) >> author & 1)

    def on_round(self, round: int) -> list[Early]:
        """Check the frontiers in the round below: this round has a new block, or its leader has become known."""
        waiting = self._waiting.get(round - 1)
        if not waiting:
            return []
        shard = self._dag.committee.shard
        return self._look(shard(author, round - 1) for author in members(waiting))

    def note_ordered(self, blocks: Iterable[Slot]) -> None:
        """A leader ordered these blocks: those that were not final before are appended to their shards."""
        for round, author in blocks:
            if not self._final.get(round, 0) >> author & 1:
                self._append((round, author), (author + round - 1) % self._n)

    def on_commit(self) -> list[Early]:
        """Check all frontiers: blocks were ordered, the floor rose, and leaders up to the last one are decided."""
        return self._look(range(self._n))

    def _append(self, slot: Slot, shard: int) -> Early:
        event = Early(slot, shard, self._length[shard], self._latest[shard])
        self._length[shard] += 1
        self._latest[shard] = slot
        return event

    def _look(self, shards: Iterable[int]) -> list[Early]:
        """Advance the frontiers of these shards as far as possible."""
        found: list[Early] = []
        for shard in shards:
            begin = round = self._next[shard]
            while True:
                author = (shard - round + 1) % self._n
                if not self.resolved(round, author):
                    if not self.safe(round, author):
                        break
                    self._final[round] = self._final.get(round, 0) | 1 << author
                    found.append(self._append((round, author), shard))
                round += 1
            if round != begin:
                self._next[shard] = round
                self._waiting[begin] &= ~(1 << (shard - begin + 1) % self._n)
                self._waiting[round] = self._waiting.get(round, 0) | 1 << author
        return found

    def collect(self, floor: int) -> None:
        """Drop rounds up to and with `floor`; all frontiers are above it."""
        for table in (self._waiting, self._final):
            for round in [round for round in table if round <= floor]:
                del table[round]


class EarlyRule(Frontiers):
    """Our early-finality rule, after Lemonshark: persist (P), leader check (L), chain (C); and rules T1 to T3 for
    reads.

    Why a final block b of round r keeps its place. By P every block two rounds above has b in its past, so a leader
    that is committed without b is of round r + 1 at most. Only the block in charge of the same shard in round r + 1
    could order a later block of the shard without b, and L excludes that it is such a leader. Slots below r are
    ordered, dead below the floor, or final themselves (C), so no later block comes before them either; and a batch
    takes lower rounds first. b is not lost: the first leader committed with b follows one of round r + 1 at most, which
    determines its floor.
    """

    def resolved(self, round: int, author: int) -> bool:
        """C, the chain: a slot counts as settled only if its block is ordered or the floor has passed it. A slot whose
        block is not held stops the chain, because it may arrive later and be ordered first.
        """
        return self._dag.ordered(round, author) or round <= self._order.floor

    def safe(self, round: int, author: int) -> bool:
        return self.persists(round, author) and self.passes_leader_check(round, author, self._heir(round, author))

    def persists(self, round: int, author: int) -> bool:
        """P: f + 1 children meet the q parents of every block two rounds above, so that all of these have the block in
        their past."""
        return self._dag.kids(round, author).bit_count() >= self._support

    def _heir(self, round: int, author: int) -> int:
        """The author in charge of the same shard in the round above."""
        return (author - 1) % self._n

    def passes_leader_check(self, round: int, author: int, above: int) -> bool:
        """L: the block (round + 1, `above`) is never ordered without this one: it is its child, or cannot lead."""
        return bool(self._dag.kids(round, author) >> above & 1) or not self._leaders.may_lead(round + 1, above)

    def may_read(
        self,
        block: Block,
        shard: int,
        keys: AbstractSet[str],
        written: Callable[[int, int], AbstractSet[str] | None],
    ) -> bool:
        """Whether keys that an early-final block reads from a foreign shard are final too.

        `written(round, author)` returns the keys that a block may write, or None if its summary is not held. If the
        result is True, the block reads the state after the shard's ordered and early-final blocks of lower rounds.
        """
        return (
            self.is_final(block.round, block.author)
            and self.knows_what_is_before(block, shard)
            and self.is_not_written_beside(block, shard, keys, written)
            and self.passes_foreign_leader_check(block, shard)
        )

    def knows_what_is_before(self, block: Block, shard: int) -> bool:
        """T1: all slots of the foreign shard below this round are settled or final, and a final one of the previous
        round is ordered first: it is a parent, or this block cannot lead and so is not ordered without it.
        """
        below, author = block.round - 1, self._dag.committee.owner(shard, block.round - 1)
        if self._next[shard] < block.round:
            return False
        if below == 0 or self.resolved(below, author) or block.parents >> author & 1:
            return True
        return not self._leaders.may_lead(block.round, block.author)

    def is_not_written_beside(
        self,
        block: Block,
        shard: int,
        keys: AbstractSet[str],
        written: Callable[[int, int], AbstractSet[str] | None],
    ) -> bool:
        """T2: the foreign shard's block of the same round, which may come before or after, is ordered or writes none
        of the keys.
        """
        author = self._dag.committee.owner(shard, block.round)
        if self._dag.ordered(block.round, author):
            return True
        if not self._dag.holds(block.round, author):
            return False
        summary = written(block.round, author)
        return summary is not None and keys.isdisjoint(summary)

    def passes_foreign_leader_check(self, block: Block, shard: int) -> bool:
        """T3: the foreign shard's block of the round above cannot be ordered without this one."""
        above = self._dag.committee.owner(shard, block.round + 1)
        return self.passes_leader_check(block.round, block.author, above)
