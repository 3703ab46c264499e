"""A link end on which a later packet may arrive first: where its delay falls, or where jitter may reorder.

Invariant: a packet arrives at its departure + the delay that holds then (+ its jitter), whoever else is in flight; of
packets that arrive at one time the first to leave comes first. Such an end takes none of the short ways of `End`, which
lean on order, and wakes at every departure, because a packet that waits may arrive before those in flight.
"""

from __future__ import annotations

from math import inf

from emulator.link.end import End
from emulator.link.item import Item
from emulator.network import Effects


class OvertakingEnd(End):
    """One direction of a link whose packets keep no order."""

    overtaking = True
    __slots__ = ()

    def next_s(self) -> float:
        """When to call `due` next: the next arrival, departure or change of the values that hold for what waits."""
        arrival = self.flying[0][0] if self.flying else inf
        return min(arrival, self.departs_s, self.stop_s) if self.waiting else arrival

    def _fly(self, item: Item) -> None:
        flying, arrival = self.flying, item[0]
        place = len(flying)
        while place and flying[place - 1][0] > arrival:
            place -= 1
        flying.insert(place, item)

    def _load(self, t: float) -> None:
        super()._load(t)
        self.random, self.plain, self.commit_s = True, False, -1.0  # each packet by `_launch`


def end_for(effects: Effects) -> type[End]:
    """The kind of link end that these effects ask for."""
    return OvertakingEnd if effects.overtaking else End
