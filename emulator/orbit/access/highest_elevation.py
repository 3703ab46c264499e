"""The highest satellite in the sky: the least air on the path, hence the best signal; close to the nearest one."""

from __future__ import annotations

import numpy as np

from emulator.network import Ints
from emulator.orbit.access import Held, Sight


def highest_elevation(sight: Sight, held: Held) -> Ints:
    """Largest elevation above the mask; -1 where nothing is visible. What is held does not matter."""
    height = np.where(sight.visible, sight.sin_elevation, -np.inf)
    best = height.argmax(axis=1)
    return np.where(sight.visible[np.arange(len(best)), best], best, -1).astype(np.int32)
