"""Headers and certificates that are suspended until the parents and batches that they lack have arrived.

Invariant: an item is removed when the last thing that it lacks has arrived, or when its round is collected.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from nodes.dagbft.consensus.dag import Slot

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class SuspendedItems(Generic[K, T]):
    """Items, one a slot; `K` names what an item lacks."""

    def __init__(self) -> None:
        self._items: dict[Slot, tuple[T, set[K]]] = {}
        self._waiting: dict[K, set[Slot]] = {}

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._items

    def __len__(self) -> int:
        return len(self._items)

    def get(self, slot: Slot) -> T | None:
        """The item of a slot."""
        found = self._items.get(slot)
        return found[0] if found is not None else None

    def drop_oldest(self, author: int, before: int) -> bool:
        """Remove an author's item of the lowest round, if that is below `before`; returns whether there was one."""
        oldest = min((slot for slot in self._items if slot[1] == author), default=None)
        if oldest is None or oldest[0] >= before:
            return False
        self._take_out(oldest)
        return True

    def count(self, author: int) -> int:
        """The number of suspended items of an author."""
        return sum(slot[1] == author for slot in self._items)

    def lacks(self, author: int) -> int:
        """The number of things that the items of an author lack, together."""
        return sum(len(lacks) for slot, (_, lacks) in self._items.items() if slot[1] == author)

    def suspend(self, slot: Slot, item: T, missing: Iterable[K]) -> None:
        """Keep an item until all of `missing` have arrived. Its slot must be free."""
        lacks = set(missing)
        self._items[slot] = (item, lacks)
        for key in lacks:
            self._waiting.setdefault(key, set()).add(slot)

    def arrived(self, key: K) -> list[T]:
        """Remove and return the items for which `key` was the last missing thing."""
        ready = []
        for slot in sorted(self._waiting.pop(key, ())):
            item, lacks = self._items[slot]
            lacks.discard(key)
            if not lacks:
                del self._items[slot]
                ready.append(item)
        return ready

    def needs(self, key: K) -> bool:
        """Whether an item lacks this."""
        return key in self._waiting

    def collect(self, floor: int) -> list[T]:
        """Remove and return the items of rounds up to and with `floor`."""
        return [self._take_out(slot) for slot in [slot for slot in self._items if slot[0] <= floor]]

    def _take_out(self, slot: Slot) -> T:
        item, lacks = self._items.pop(slot)
        for key in lacks:
            slots = self._waiting[key]
            slots.discard(slot)
            if not slots:
                del self._waiting[key]
        return item
