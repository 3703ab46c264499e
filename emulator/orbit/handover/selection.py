"""Selection of the serving satellite of each station: by a policy's wish, and a least dwell.

Invariant: state goes in and comes out (`Held`); a policy sees one instant (`Sight`) and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emulator.model.network import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Sight:
    """What the stations see at an instant: tables (S, K), a row a station, columns in ascending order of satellite."""

    t_s: float
    satellite: Ints  # -1 in columns that a station does not need
    range_m: Floats
    sin_elevation: Floats
    visible: Bools  # above the mask
    remaining_s: Callable[[int, Ints], Floats]  # (station, satellites) -> how long each stays above the mask from now
    direction: Callable[[], Floats] = lambda: np.empty((0, 0, 3))  # -> unit vectors (S, K, 3), Earth-fixed

    def best(self, score: Floats) -> Ints:
        """Per station the visible satellite with the greatest score (S, K), the lowest number of equals; -1: none."""
        rows = np.arange(len(score))
        column = np.where(self.visible, score, -np.inf).argmax(axis=1)
        return np.where(self.visible[rows, column], self.satellite[rows, column], -1).astype(np.int32)

    def sees(self, satellite: Ints) -> Bools:
        """Whether each station sees the satellite given for it (-1: no)."""
        seen: Bools = ((self.satellite == satellite[:, None]) & self.visible).any(axis=1) & (satellite >= 0)
        return seen


@dataclass(frozen=True, slots=True)
class Held:
    """Serving satellite of each station (-1: none) and the time since which it serves."""

    satellite: Ints
    since_s: Floats

    @staticmethod
    def nothing(stations: int) -> Held:
        return Held(np.full(stations, -1, dtype=np.int32), np.zeros(stations))


Policy = Callable[[Sight, Held], Ints]


def choose(policy: Policy, sight: Sight, held: Held, min_dwell_s: float) -> Held:
    """The selection that holds from this instant on.

    A satellite that sets is left at once, and one that serves for less than `min_dwell_s` is otherwise kept.
    """
    wish = policy(sight, held)
    young = sight.t_s - held.since_s < min_dwell_s - 1e-9
    serving = np.where(sight.sees(held.satellite) & young, held.satellite, wish).astype(np.int32)
    return Held(serving, np.where(serving == held.satellite, held.since_s, sight.t_s))
