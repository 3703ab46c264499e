"""The satellite that stays longest: kept until it sets, then replaced by the one with the longest remaining pass."""

from __future__ import annotations

import numpy as np

from emulator.model.network import Ints
from emulator.orbit.handover.selection import Held, Sight


def longest_pass(sight: Sight, held: Held) -> Ints:
    """What is held while it is visible, else the longest remaining pass; -1 where nothing is visible."""
    wish = np.where(sight.sees(held.satellite), held.satellite, -1).astype(np.int32)
    for station in np.flatnonzero(wish < 0):
        candidates = sight.satellite[station, sight.visible[station]]
        if len(candidates):
            wish[station] = candidates[int(np.argmax(sight.remaining_s(int(station), candidates)))]
    return wish
