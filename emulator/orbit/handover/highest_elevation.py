"""The highest satellite in the sky: the least air on the path, hence the best signal; close to the nearest one."""

from __future__ import annotations

from emulator.model.network import Ints
from emulator.orbit.handover.selection import Held, Sight


def highest_elevation(sight: Sight, held: Held) -> Ints:
    """Largest elevation above the mask; -1 where nothing is visible. What is held does not matter."""
    return sight.best(sight.sin_elevation)
