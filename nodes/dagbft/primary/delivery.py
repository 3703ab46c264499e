"""What can be executed: the events of consensus in their order, each once all batches of its blocks are held.

Invariant: events leave in the order in which they came, so a batch that is still on its way holds up what is behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.consensus.dag import Slot


class Delivery:
    """`lacks(slot)` says whether a batch of a block is not held."""

    def __init__(self, lacks: Callable[[Slot], bool]) -> None:
        self._lacks = lacks
        self._queue: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: Event) -> None:
        self._queue.append(event)

    @property
    def blocked(self) -> Slot | None:
        """The block that everything waits for."""
        return next(filter(self._lacks, _blocks(self._queue[0])), None) if self._queue else None

    def ready(self) -> list[Event]:
        """The events that can be executed now. They are taken out."""
        found: list[Event] = []
        while self._queue and not any(map(self._lacks, _blocks(self._queue[0]))):
            found.append(self._queue.popleft())
        return found


def _blocks(event: Event) -> tuple[Slot, ...]:
    return event.blocks if isinstance(event, Commit) else (event.block,)
