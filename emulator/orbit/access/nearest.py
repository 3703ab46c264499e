"""The nearest visible satellite: least access delay, and the most handovers."""

from __future__ import annotations

import numpy as np

from emulator.network import Ints
from emulator.orbit.access import Held, Sight


def nearest(sight: Sight, held: Held) -> Ints:
    """Smallest range above the mask; -1 where nothing is visible. What is held does not matter."""
    distance = np.where(sight.visible, sight.range_m, np.inf)
    best = distance.argmin(axis=1)
    return np.where(sight.visible[np.arange(len(best)), best], best, -1).astype(np.int32)
