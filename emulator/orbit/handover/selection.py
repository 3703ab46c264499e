"""Selection of the satellites that serve each station: by a policy's wishes and a least dwell, or all in view.

A station with several antennas asks the policy once for each; each time the satellites that the others have are out of
its sight. Invariants: state goes in and comes out (`Held`); a policy sees one instant (`Sight`) and keeps nothing; no
satellite serves two antennas of a station; a satellite that serves on stays with its antenna.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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

    def without(self, satellite: Ints) -> Sight:
        """The same sky, in which each station does not see the satellite given for it."""
        return replace(self, visible=self.visible & (self.satellite != satellite[:, None]))


@dataclass(frozen=True, slots=True)
class Held:
    """Serving satellite of each antenna (-1: none) and the time since which it serves, station after station."""

    satellite: Ints
    since_s: Floats

    @staticmethod
    def nothing(antennas: int) -> Held:
        return Held(np.full(antennas, -1, dtype=np.int32), np.zeros(antennas))


Policy = Callable[[Sight, Held], Ints]


def choose(policy: Policy, sight: Sight, held: Held, min_dwell_s: float, antennas: int = 1) -> Held:
    """The selection that holds from this instant on, for stations with so many antennas each.

    A satellite that sets is left at once, and one that serves for less than `min_dwell_s` is otherwise kept.
    """
    before = held.satellite.reshape(-1, antennas)
    since_s = held.since_s.reshape(-1, antennas)
    young = sight.t_s - since_s < min_dwell_s - 1e-9
    kept = np.where(young & _seen(sight, before), before, np.int32(-1))
    for antenna in range(antennas if antennas > 1 else 0):
        sight = sight.without(kept[:, antenna])
    wished = kept.copy()
    for antenna in range(antennas):
        wish = policy(sight, Held(before[:, antenna], since_s[:, antenna]))
        wished[:, antenna] = np.where(kept[:, antenna] >= 0, kept[:, antenna], wish)
        sight = sight.without(wished[:, antenna])
    stays = (before[:, :, None] == wished[:, None, :]).any(axis=2) & (before >= 0)
    new = ~(wished[:, :, None] == before[:, None, :]).any(axis=2) & (wished >= 0)
    return _placed(sight.t_s, held, stays, np.where(new, wished, np.int32(-1)))


def all_in_view(sight: Sight, held: Held, antennas: int) -> Held:
    """The selection in which every satellite in view serves, the highest ones first where there are more than antennas.

    A satellite keeps its antenna until it sets; none is given up for a higher one.
    """
    before = held.satellite.reshape(-1, antennas)
    new = sight.visible & ~(sight.satellite[:, :, None] == before[:, None, :]).any(axis=2)
    order = np.argsort(np.where(new, -sight.sin_elevation, np.inf), axis=1, kind="stable")
    risen = np.take_along_axis(np.where(new, sight.satellite, np.int32(-1)), order, axis=1)[:, :antennas]
    risen = np.pad(risen, ((0, 0), (0, antennas - risen.shape[1])), constant_values=-1)
    return _placed(sight.t_s, held, _seen(sight, before), risen)


def _seen(sight: Sight, satellite: Ints) -> Bools:
    """Whether each station sees each of the satellites (S, A) of its antennas."""
    return np.stack([sight.sees(column) for column in satellite.T], axis=1)


def _placed(t_s: float, held: Held, stays: Bools, new: Ints) -> Held:
    """What antennas (S, A) hold that keep their satellite where it `stays`; the others take `new` ones in order."""
    before = held.satellite.reshape(stays.shape)
    free_first = np.argsort(stays, axis=1, kind="stable")
    new_first = np.argsort(new < 0, axis=1, kind="stable")
    taken = np.empty_like(before)
    np.put_along_axis(taken, free_first, np.take_along_axis(new, new_first, axis=1), axis=1)
    serving = np.where(stays, before, taken).reshape(-1).astype(np.int32)
    return Held(serving, np.where(serving == held.satellite, held.since_s, t_s))
