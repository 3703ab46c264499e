"""Bent pipes: gateways with antennas that follow satellites, one feeder link an antenna, and the fibre behind them.

A gateway points one antenna at each satellite that any of its terminals uses, so terminals on one satellite share its
feeder, as they do in the sky. Invariant: per slot each terminal has one gateway, drawn among those that see its
satellite and have an antenna to spare; the odds fall with the way through it to the terminal's point of presence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.model.network import Bools, Floats, Ints
from emulator.model.streams import gumbel, key
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.visibility import Stations


@dataclass(frozen=True, slots=True)
class FeederAssignment:
    """Which satellite each antenna follows (A; -1: none), and the gateway of each terminal (S; -1: none). A terminal is
    one antenna of a station."""

    satellite: Ints
    gateway: Ints


class FeederLinks:
    """Gateways `sites`, each with as many antennas as `antennas`; antenna a belongs to gateway a // antennas.

    `fibre_s` (S, G): delay from each gateway to the point of presence of each terminal. `spread_s`: how much longer a
    way may be to be taken with 1/e of the odds.
    """

    def __init__(
        self,
        sites: Stations,
        antennas: int,
        fibre_s: Floats,
        spread_s: float,
        names: Sequence[str],
        seed: int,
        slot_of: Callable[[float], int],
        starts: Callable[[float], bool],
    ) -> None:
        self.sites, self.antennas = sites, antennas
        self._fibre_s, self._spread_s = fibre_s, spread_s
        self._slot_of, self._starts = slot_of, starts
        self._keys = np.array([key(seed, "gateway", name) for name in names], dtype=np.uint64)

    def __len__(self) -> int:
        """Feeder links, up or not."""
        return len(self.sites) * self.antennas

    def unassigned(self) -> FeederAssignment:
        return FeederAssignment(np.full(len(self), -1, dtype=np.int32), np.full(len(self._keys), -1, dtype=np.int32))

    def satellites_in_view(self, positions: Floats, candidates: Ints) -> Bools:
        """Which satellites (N) see a gateway; only `candidates` are looked at, the others do not count."""
        few = np.unique(candidates[candidates >= 0])
        in_view = np.zeros(len(positions), dtype=bool)
        in_view[few] = self._sees(positions[few])[0].any(axis=1)
        return in_view

    def next(self, t_s: float, positions: Floats, serving: Ints, old: FeederAssignment) -> FeederAssignment:
        """The assignment from t_s on: drawn anew at the start of a slot, and where a link was lost within it."""
        used = np.where(serving >= 0, serving, 0)
        visible, range_m = self._sees(positions[used])
        visible &= (serving >= 0)[:, None]
        if not self._starts(t_s) and self._holds(old, serving, visible):
            return old
        way_s = range_m / SPEED_OF_LIGHT_M_S + self._fibre_s
        luck = gumbel(self._keys[:, None], self._slot_of(t_s), np.arange(len(self.sites)))
        score = np.where(visible, luck - way_s / max(self._spread_s, 1e-9), -np.inf)
        return self._assign(np.argsort(-score, axis=1, kind="stable").astype(np.int32), visible, serving)

    def _sees(self, satellites: Floats) -> tuple[Bools, Floats]:
        """Whether each gateway sees each of these satellites (S, 3), and how far it is, both (S, G)."""
        along = satellites[:, None] - self.sites.position
        metres: Floats = np.sqrt(np.einsum("sgd,sgd->sg", along, along))
        height = satellites @ self.sites.up.T - np.einsum("gd,gd->g", self.sites.position, self.sites.up)
        with np.errstate(invalid="ignore"):
            visible: Bools = height >= np.sin(self.sites.min_elevation_rad) * metres
        return visible, metres

    def _holds(self, old: FeederAssignment, serving: Ints, visible: Bools) -> bool:
        """Whether every terminal that could have a gateway still has its own, with an antenna on its satellite."""
        has = old.gateway >= 0
        if (visible.any(axis=1) & ~has).any():
            return False
        antenna = old.satellite.reshape(-1, self.antennas)
        for terminal in np.flatnonzero(has):
            gateway = old.gateway[terminal]
            if not visible[terminal, gateway] or serving[terminal] not in antenna[gateway]:
                return False
        return True

    def _assign(self, order: Ints, visible: Bools, serving: Ints) -> FeederAssignment:
        """Gateways in each terminal's order; one that has no antenna left is passed over."""
        assignment = self.unassigned()
        antenna = assignment.satellite.reshape(-1, self.antennas)
        for terminal, satellite in enumerate(serving.tolist()):
            for gateway in order[terminal].tolist():
                if satellite < 0 or not visible[terminal, gateway]:
                    break
                free = np.flatnonzero((antenna[gateway] == satellite) | (antenna[gateway] < 0))
                if len(free):
                    same = np.flatnonzero(antenna[gateway] == satellite)
                    antenna[gateway, same[0] if len(same) else free[0]] = satellite
                    assignment.gateway[terminal] = gateway
                    break
        return assignment
