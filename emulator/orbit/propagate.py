"""Where every satellite is: SGP4 over a whole constellation at once, in the Earth-fixed frame.

Invariant: positions are metres in float64, shape (times, satellites, 3), never rounded; a satellite that SGP4 cannot
place (decayed, bad elements) is NaN, and NaN is neither visible nor in line of sight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulator.model.network import Floats
from emulator.orbit.elements import Constellation
from emulator.orbit.frames import gmst_rad, teme_to_ecef


class Propagator:
    """Positions of a constellation by scenario time, in seconds from its epoch: 0.7 µs a satellite and instant."""

    def __init__(self, constellation: Constellation) -> None:
        from sgp4.api import SatrecArray

        self.epoch = constellation.epoch
        self._records = constellation.records
        self._array = SatrecArray(list(constellation.records))

    def teme(self, t_s: Floats) -> tuple[Floats, Floats]:
        """Positions (m) and velocities (m/s) in the true-equator mean-equinox frame, each (T, N, 3)."""
        jd, fraction = self.epoch.after(t_s)
        errors, position, velocity = self._array.sgp4(jd, fraction)
        position = np.ascontiguousarray(position.transpose(1, 0, 2)) * 1e3
        velocity = np.ascontiguousarray(velocity.transpose(1, 0, 2)) * 1e3
        position[errors.T != 0] = np.nan
        return position, velocity

    def ecef(self, t_s: Floats) -> Floats:
        """Earth-fixed positions (T, N, 3) in metres."""
        jd, fraction = self.epoch.after(t_s)
        errors, position, _ = self._array.sgp4(jd, fraction)
        position = position.transpose(1, 0, 2) * 1e3
        position[errors.T != 0] = np.nan
        return teme_to_ecef(position, gmst_rad(jd, fraction))

    def some(self, satellites: Sequence[int]) -> Propagator:
        """The same for a few satellites only, in the order given."""
        from sgp4.api import SatrecArray

        few = Propagator.__new__(Propagator)
        few.epoch = self.epoch
        few._records = tuple(self._records[satellite] for satellite in satellites)
        few._array = SatrecArray(list(few._records))
        return few
