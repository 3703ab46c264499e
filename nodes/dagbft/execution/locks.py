"""Locks: what waits for what, where transactions run later than at their place in the order.

A part of a gamma transaction locks its keys in its shard until all parts can run; what touches a locked key waits
behind it, in the order of the shard, and locks its own keys in turn. Invariant: whoever stands first for all its keys
is free, a gamma transaction runs when all its parts are there and free, and nobody overtakes on a key. So what runs,
and with which values, depends on the orders of the shards and not on how these interleave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nodes.dagbft.execution.transactions import Operations

B = TypeVar("B")


@dataclass(slots=True, eq=False)
class Group:
    """A gamma transaction of which parts have been ordered."""

    name: bytes
    parts: int  # that there must be
    deadline: int
    waiting: list[Waiting[Any]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Waiting(Generic[B]):
    """A transaction, or a part of one, that has its place but has not run."""

    block: B  # that carries it
    index: int  # among the rows of the block
    operations: Operations
    keys: tuple[int, ...]  # of its home shard, each once
    foreign: dict[int, int] | None = field(default_factory=dict)  # values read at its place; None: not known yet
    group: Group | None = None
    ahead: int = 0  # keys for which others stand before it


class Locks(Generic[B]):
    """Who waits for which key, and the gamma transactions that are open."""

    def __init__(self) -> None:
        self.queues: dict[int, deque[Waiting[B]]] = {}  # by key; the first of each queue holds the lock
        self.waiting: dict[Waiting[B], None] = {}  # in the order in which they came
        self.groups: dict[bytes, Group] = {}
        self.closed: dict[bytes, int] = {}  # gamma transactions that have run or been given up: their deadlines
        self.parts: dict[tuple[bytes, int], int] = {}  # parts that have come: their deadlines

    def touches(self, keys: Iterable[int]) -> bool:
        """Whether any of these keys is locked."""
        return any(key in self.queues for key in keys)

    def open(self, name: bytes, part: int, parts: int, deadline: int) -> Group | None:
        """The group that a part belongs to; None where this part has come before, or the group is closed."""
        if (name, part) in self.parts or name in self.closed:
            return None
        return self.join(name, part, parts, deadline)

    def join(self, name: bytes, part: int, parts: int, deadline: int) -> Group:
        """The group that a part belongs to, without a question."""
        self.parts[name, part] = deadline
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name, parts, deadline)
        return group

    def add(self, waiting: Waiting[B]) -> None:
        """It stands last for all its keys."""
        for key in waiting.keys:
            queue = self.queues.get(key)
            if queue is None:
                queue = self.queues[key] = deque()
            elif queue:
                waiting.ahead += 1
            queue.append(waiting)
        self.waiting[waiting] = None
        if waiting.group is not None:
            waiting.group.waiting.append(waiting)

    def may_run(self, waiting: Waiting[B]) -> bool:
        """Whether nothing keeps it, or the gamma transaction that it is a part of, from running now."""
        group = waiting.group
        if group is None:
            return not waiting.ahead and waiting.foreign is not None
        if self.groups.get(group.name) is not group:
            return False  # closed: what is left of it only waits to be removed
        return len(group.waiting) == group.parts and not any(each.ahead for each in group.waiting)

    def remove(self, waiting: Waiting[B]) -> list[Waiting[B]]:
        """It has run, or never will; those that now stand before nobody are free."""
        freed = []
        del self.waiting[waiting]
        for key in waiting.keys:
            queue = self.queues[key]
            first = queue[0] is waiting
            queue.remove(waiting)
            if not queue:
                del self.queues[key]
            elif first:
                queue[0].ahead -= 1
                if not queue[0].ahead:
                    freed.append(queue[0])
        return freed

    def close(self, group: Group) -> list[Waiting[B]]:
        """It has run or is given up; gives its parts, which are still to be removed."""
        if self.groups.pop(group.name, None) is not None:
            self.closed[group.name] = group.deadline
        return list(group.waiting)

    def cycle(self, group: Group) -> Group | None:
        """Where the group waits, over others, for itself: of all on such cycles the one with the largest name."""
        reached = self._reached(group)
        if group not in reached:
            return None
        return max((each for each in reached if group in self._reached(each)), key=lambda each: each.name)

    def _reached(self, group: Group) -> set[Group]:
        """The groups that this one waits for, directly or over others."""
        found: set[Group] = set()
        seen: set[Waiting[B]] = set()
        open: list[Waiting[B]] = list(group.waiting)
        while open:
            waiting = open.pop()
            for key in waiting.keys:
                for before in self.queues[key]:
                    if before is waiting:
                        break
                    if before in seen:
                        continue
                    seen.add(before)
                    if before.group is None:
                        open.append(before)
                    elif before.group not in found:
                        found.add(before.group)
                        open += before.group.waiting
        return found

    def expired(self, floor: int) -> list[Group]:
        """The groups of which a part can never come any more, as the floor has passed their deadline; by name."""
        late = [group for group in self.groups.values() if group.deadline <= floor and len(group.waiting) < group.parts]
        self.closed = {name: deadline for name, deadline in self.closed.items() if deadline > floor}
        self.parts = {part: deadline for part, deadline in self.parts.items() if deadline > floor}
        return sorted(late, key=lambda group: group.name)

    def copy_past(self, other: Locks[B]) -> None:
        """What came before is as the other has it."""
        self.resume(other.closed, other.parts)

    def resume(self, closed: Mapping[bytes, int], parts: Mapping[tuple[bytes, int], int]) -> None:
        """These came before."""
        self.closed, self.parts = dict(closed), dict(parts)
