"""Delivery to execution: the events of consensus in order, each once all batches of its blocks are held.

Invariant: events are delivered in the order of consensus, so a missing batch holds up all later events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.consensus.dag import Slot


class Delivery:
    """`lacks(slot)`: whether a batch of a block is missing."""

    def __init__(self, lacks: Callable[[Slot], bool]) -> None:
        self._lacks = lacks
        self._queue: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: Event) -> None:
        self._queue.append(event)

    @property
    def blocked(self) -> Slot | None:
        """The block whose missing batch holds up all events; None if there is none."""
        return next(filter(self._lacks, _blocks(self._queue[0])), None) if self._queue else None

    def ready(self) -> list[Event]:
        """Take out the events that can be executed now."""
        found: list[Event] = []
        while self._queue and not any(map(self._lacks, _blocks(self._queue[0]))):
            found.append(self._queue.popleft())
        return found


def _blocks(event: Event) -> tuple[Slot, ...]:
    return event.blocks if isinstance(event, Commit) else (event.block,)
