"""The nearest visible satellite: least access delay, and the most handovers."""

from __future__ import annotations

from emulator.model.network import Ints
from emulator.orbit.handover.selection import Held, Sight


def nearest(sight: Sight, held: Held) -> Ints:
    """Smallest range above the mask; -1 where nothing is visible. What is held does not matter."""
    return sight.best(-sight.range_m)
