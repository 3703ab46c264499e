"""What waits for something that is missing, and asking for what is missing.

Invariant: an item leaves a `Parking` when the last thing that it lacks has arrived, or when its round is collected;
what nothing waits for is not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodes.dagbft.consensus.dag import Slot

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Parking(Generic[K, T]):
    """Items of one slot each that lack things named by keys."""

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
        """Take out an author's item of the lowest round, if that is below `before`; whether there was one."""
        oldest = min((slot for slot in self._items if slot[1] == author), default=None)
        if oldest is None or oldest[0] >= before:
            return False
        self._take_out(oldest)
        return True

    def count(self, author: int) -> int:
        """How many items of an author wait."""
        return sum(slot[1] == author for slot in self._items)

    def lacks(self, author: int) -> int:
        """How many things the items of an author wait for."""
        return sum(len(lacks) for slot, (_, lacks) in self._items.items() if slot[1] == author)

    def park(self, slot: Slot, item: T, missing: Iterable[K]) -> None:
        """Keep an item until these have arrived. The slot must be free."""
        lacks = set(missing)
        self._items[slot] = (item, lacks)
        for key in lacks:
            self._waiting.setdefault(key, set()).add(slot)

    def arrived(self, key: K) -> list[T]:
        """The items that lack nothing any more, now that this is here. They are taken out."""
        ready = []
        for slot in sorted(self._waiting.pop(key, ())):
            item, lacks = self._items[slot]
            lacks.discard(key)
            if not lacks:
                del self._items[slot]
                ready.append(item)
        return ready

    def wants(self, key: K) -> bool:
        return key in self._waiting

    def collect(self, floor: int) -> list[T]:
        """Take out the items of rounds up to and with `floor`."""
        return [self._take_out(slot) for slot in [slot for slot in self._items if slot[0] <= floor]]

    def _take_out(self, slot: Slot) -> T:
        item, lacks = self._items.pop(slot)
        for key in lacks:
            slots = self._waiting[key]
            slots.discard(slot)
            if not slots:
                del self._waiting[key]
        return item


@dataclass(slots=True)
class _Wish:
    hints: tuple[int, ...]  # who should have it
    due_s: float
    fresh: tuple[int, ...]  # of these, who has not been asked
    wanted_s: float  # when it was last wanted


class Requests(Generic[K]):
    """Whom to ask for what, and when again: first who should have it, then `peers` others a time in turn.

    Whoever turns out later to have it is asked at once, so that a first one who keeps silent costs no more than a round
    trip. What is on its way anyway has `grace_s` to come by itself.
    """

    def __init__(self, me: int, n: int, retry_s: float, peers: int, grace_s: float = 0.0) -> None:
        self._others = [(me + step) % n for step in range(1, n)]
        self._retry_s = retry_s
        self._peers = peers
        self._grace_s = grace_s
        self._wishes: dict[K, _Wish] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._wishes)

    def want(self, key: K, hints: tuple[int, ...], now_s: float) -> None:
        """Ask for this when the grace is over, unless these have been asked already."""
        wish = self._wishes.get(key)
        known = wish.hints if wish is not None else ()
        fresh = tuple(hint for hint in dict.fromkeys(hints) if hint in self._others and hint not in known)
        if wish is None:
            self._wishes[key] = _Wish(fresh, now_s + self._grace_s, fresh, now_s)
            return
        wish.wanted_s = now_s
        if fresh:
            wish.hints, wish.fresh = known + fresh, wish.fresh + fresh
            wish.due_s = min(wish.due_s, now_s + self._grace_s)

    def got(self, key: K) -> bool:
        """It is here; whether it was wanted."""
        return self._wishes.pop(key, None) is not None

    def expire(self, before_s: float) -> None:
        """Drop what has not been wanted since."""
        for key in [key for key, wish in self._wishes.items() if wish.wanted_s < before_s]:
            del self._wishes[key]

    def keep(self, wanted: Callable[[K], bool]) -> None:
        """Drop what is not wanted any more."""
        for key in [key for key in self._wishes if not wanted(key)]:
            del self._wishes[key]

    def due(self, now_s: float) -> dict[K, tuple[int, ...]]:
        """What to ask for now, and whom."""
        asked: dict[K, tuple[int, ...]] = {}
        for key, wish in self._wishes.items():
            if wish.due_s > now_s:
                continue
            asked[key] = wish.fresh or self._next()
            wish.fresh = ()
            wish.due_s = now_s + self._retry_s
        return asked

    def _next(self) -> tuple[int, ...]:
        """Some peers, others each time; all of them in the long run."""
        others, count = self._others, min(self._peers, len(self._others))
        chosen = tuple(others[(self._turn + step) % len(others)] for step in range(count))
        self._turn = (self._turn + count) % len(others)
        return chosen

    @property
    def next_s(self) -> float:
        """When something is due; infinity where nothing is."""
        if not self._wishes:
            return float("inf")
        return min(wish.due_s for wish in self._wishes.values())
