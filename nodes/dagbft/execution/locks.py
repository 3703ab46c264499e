"""Locks of keys, for transactions that run later than at their place in the order.

A part of a gamma transaction locks its keys in its shard until all parts can run. A transaction that touches a locked
key queues behind it, in the order of the shard, and locks its own keys too. Invariant: the queue of each key is first
in, first out; a request that is first in all its queues is free; a gamma transaction runs when all its parts have
been ordered and are free. So which transactions run, and on which values, depends on the order of each shard and not
on how the shards interleave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from nodes.dagbft.execution.transactions import Operations

B = TypeVar("B")


@dataclass(slots=True, eq=False)
class GammaGroup:
    """A gamma transaction of which parts have been ordered."""

    name: bytes
    parts: int  # how many the transaction has
    deadline: int
    requests: list[LockRequest[Any]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class LockRequest(Generic[B]):
    """A transaction, or a part of one, that has been placed in the order and has not run."""

    block: B  # contains the transaction
    index: int  # of its row in the block
    operations: Operations
    keys: tuple[int, ...]  # of its home shard, without repetitions
    foreign: dict[int, int] | None = field(default_factory=dict)  # foreign values at its place; None: not known yet
    group: GammaGroup | None = None
    ahead: int = 0  # keys in whose queue it is not first


class Locks(Generic[B]):
    """The queue of requests of each key, and the open gamma transactions."""

    def __init__(self) -> None:
        self.queues: dict[int, deque[LockRequest[B]]] = {}  # by key; the first of each queue holds the lock
        self.requests: dict[LockRequest[B], None] = {}  # in order of arrival
        self.groups: dict[bytes, GammaGroup] = {}
        self.closed: dict[bytes, int] = {}  # deadlines of gamma transactions that have run or been given up
        self.parts: dict[tuple[bytes, int], int] = {}  # deadlines of the parts that have been ordered

    def touches(self, keys: Iterable[int]) -> bool:
        """Whether any of these keys is locked."""
        return any(key in self.queues for key in keys)

    def open(self, name: bytes, part: int, parts: int, deadline: int) -> GammaGroup | None:
        """The group of a part; None if this part has been ordered before or the group is closed."""
        if (name, part) in self.parts or name in self.closed:
            return None
        return self.join(name, part, parts, deadline)

    def join(self, name: bytes, part: int, parts: int, deadline: int) -> GammaGroup:
        """The group of a part, created if it is new; repeated parts and closed groups are not checked."""
        self.parts[name, part] = deadline
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = GammaGroup(name, parts, deadline)
        return group

    def add(self, request: LockRequest[B]) -> None:
        """Append the request to the queues of all its keys."""
        for key in request.keys:
            queue = self.queues.get(key)
            if queue is None:
                queue = self.queues[key] = deque()
            elif queue:
                request.ahead += 1
            queue.append(request)
        self.requests[request] = None
        if request.group is not None:
            request.group.requests.append(request)

    def may_run(self, request: LockRequest[B]) -> bool:
        """Whether the request, or the gamma transaction that it is a part of, can run now."""
        group = request.group
        if group is None:
            return not request.ahead and request.foreign is not None
        if self.groups.get(group.name) is not group:
            return False  # closed: its requests are about to be removed
        return len(group.requests) == group.parts and not any(each.ahead for each in group.requests)

    def remove(self, request: LockRequest[B]) -> list[LockRequest[B]]:
        """Remove a request that has run or never will; returns the requests that this makes free."""
        freed = []
        del self.requests[request]
        for key in request.keys:
            queue = self.queues[key]
            first = queue[0] is request
            queue.remove(request)
            if not queue:
                del self.queues[key]
            elif first:
                queue[0].ahead -= 1
                if not queue[0].ahead:
                    freed.append(queue[0])
        return freed

    def close(self, group: GammaGroup) -> list[LockRequest[B]]:
        """Close a group that has run or is given up; returns its requests, which the caller removes."""
        if self.groups.pop(group.name, None) is not None:
            self.closed[group.name] = group.deadline
        return list(group.requests)

    def cycle(self, group: GammaGroup) -> GammaGroup | None:
        """The group to give up if this group waits, directly or through others, for itself; None if it does not.

        Of all groups on such a cycle it is the one with the largest name, so all validators choose the same.
        """
        reached = self._reached(group)
        if group not in reached:
            return None
        return max((each for each in reached if group in self._reached(each)), key=lambda each: each.name)

    def _reached(self, group: GammaGroup) -> set[GammaGroup]:
        """The groups that this one waits for, directly or through others."""
        found: set[GammaGroup] = set()
        seen: set[LockRequest[B]] = set()
        open: list[LockRequest[B]] = list(group.requests)
        while open:
            request = open.pop()
            for key in request.keys:
                for before in self.queues[key]:
                    if before is request:
                        break
                    if before in seen:
                        continue
                    seen.add(before)
                    if before.group is None:
                        open.append(before)
                    elif before.group not in found:
                        found.add(before.group)
                        open += before.group.requests
        return found

    def expired(self, floor: int) -> list[GammaGroup]:
        """Incomplete groups whose deadline the floor has passed, sorted by name: their last parts can never arrive."""
        late = [
            group for group in self.groups.values() if group.deadline <= floor and len(group.requests) < group.parts
        ]
        self.closed = {name: deadline for name, deadline in self.closed.items() if deadline > floor}
        self.parts = {part: deadline for part, deadline in self.parts.items() if deadline > floor}
        return sorted(late, key=lambda group: group.name)

    def copy_past(self, other: Locks[B]) -> None:
        """Take over closed groups and ordered parts from `other`."""
        self.resume(other.closed, other.parts)

    def resume(self, closed: Mapping[bytes, int], parts: Mapping[tuple[bytes, int], int]) -> None:
        """Set the closed groups and ordered parts, with their deadlines."""
        self.closed, self.parts = dict(closed), dict(parts)
