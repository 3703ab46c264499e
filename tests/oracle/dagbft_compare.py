"""What must hold between any two validators of one committee: one's commits begin the other's, and what one calls
final is so.

Invariant: nothing is believed. A run that holds the whole DAG is the reference, and each claim of another run is
looked up in the order that the reference came to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from nodes.dagbft.consensus.core import Commit, Consensus, Event
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.consensus.early import Early, EarlyRule


class Reference:
    """A run that the others are compared with; it should have gone further than they."""

    def __init__(self, validator: Consensus, events: Iterable[Event]) -> None:
        self._committee = committee = validator.committee
        self._floor = validator.order.floor
        self._order = [slot for event in events if isinstance(event, Commit) for slot in event.blocks]
        self._place = {slot: place for place, slot in enumerate(self._order)}
        self._shards: list[list[Slot]] = [[] for _ in range(committee.n)]
        for round, author in self._order:
            self._shards[committee.shard(author, round)].append((round, author))

    def breaches(self, validator: Consensus, events: Iterable[Event]) -> list[str]:
        """What is wrong with a run, one text each: order, blocks ordered twice, leaders apart, early places that are
        wrong.
        """
        found: list[str] = []
        order: list[Slot] = []
        previous: Slot | None = None
        for event in events:
            if isinstance(event, Early):
                if not self._comes_true(event):
                    found.append(
                        f"{event.block} early at place {event.position} of shard {event.shard}, which it is not"
                    )
                continue
            order += event.blocks
            # A leader of the round just below need not be in the past: Shoal has leaders in every round.
            if (
                previous
                and validator.dag.floor < previous[0] < event.leader[0] - 1
                and not validator.dag.reaches(event.leader, *previous)
            ):
                found.append(f"leader {previous} is not in the past of the next, {event.leader}")
            previous = event.leader
        if order[: len(self._order)] != self._order[: len(order)]:
            found.append("the commits of neither run begin those of the other")
        if len(set(order)) != len(order):
            found.append("a block is ordered twice")
        if validator.check.wrong:
            found.append(f"{validator.check.wrong} early places did not come true in the run itself")
        return found

    def _comes_true(self, event: Early) -> bool:
        """Whether the reference has the block at its place, or may still put it there."""
        shard = self._shards[event.shard]
        if event.position < len(shard):
            return shard[event.position] == event.block
        return event.block not in self._place and event.block[0] > self._floor

    def foreign_reads(
        self, validator: Consensus, events: Iterable[Event], written: Callable[[int, int], AbstractSet[str]]
    ) -> tuple[int, list[str]]:
        """How many foreign reads of early-final blocks a run calls final at its end, and which of these are not.

        Each block that is final but not ordered reads one key of each foreign shard, k0. What it must see is what the
        reference orders before it in that shard, but for a block of its own round that does not write the key.
        """
        rule, count, found = validator.early, 0, []
        assert isinstance(rule, EarlyRule)
        ordered: dict[int, list[Slot]] = {shard: [] for shard in range(self._committee.n)}
        final: dict[int, list[Slot]] = {shard: [] for shard in range(self._committee.n)}
        done: set[Slot] = set()
        for event in events:
            if isinstance(event, Early):
                final[event.shard].append(event.block)
                continue
            done.update(event.blocks)
            for round, author in event.blocks:
                ordered[self._committee.shard(author, round)].append((round, author))
        for home, blocks in final.items():
            for slot in blocks:
                if slot in done or (place := self._place.get(slot)) is None:
                    continue
                block = validator.dag.layers[slot[0]].blocks[slot[1]]
                assert block is not None
                for shard in range(self._committee.n):
                    if shard == home or not rule.may_read(block, shard, {"k0"}, written):
                        continue
                    count += 1
                    seen = {*ordered[shard], *(each for each in final[shard] if each[0] < slot[0])}
                    true = {each for each in self._shards[shard] if self._place[each] < place}
                    beside = (slot[0], self._committee.owner(shard, slot[0]))
                    harmless = set() if "k0" in written(*beside) else {beside}
                    if seen - harmless != true - harmless:
                        found.append(f"{slot} reads shard {shard} as {sorted(seen)}, which is {sorted(true)}")
        return count, found
