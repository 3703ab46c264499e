"""Fits the score of the satellite choice: `python -m benchmarks.access_choice ELEMENTS [EXCLUSION_DEG]`.

ELEMENTS is a file of element sets (data/orbits/tle/starlink-2022-09-14.tle). Weights are fitted so that elevation
quantiles, northern share and share of the nearest satellite at Louvain are as published (SatInView: 7,000 s of serving
satellites); the expectation over all draws is computed, not sampled. Then the draw itself is run, for dwell times.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import minimize

from emulator.orbit import element_files
from emulator.orbit.handover import Sight
from emulator.orbit.handover.starlink import SlotDraw, Weights, poleward
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import Stations, look, near

WHERE = Stations.at([50.67], [4.61], [120.0], 25.0)
ELEVATION_DEG, NORTH, NEAREST = np.array([42.0, 60.0, 77.0]), 0.63, 0.096
SPAN_S, SLOT_S = 7000.0, 15.0


def skies(path: str) -> list[Sight]:
    """What Louvain sees at the start of each slot."""
    constellation = element_files.read(path, True)
    propagator = Propagator(constellation)
    found = []
    for t_s in np.arange(0.0, SPAN_S, SLOT_S):
        positions = propagator.ecef(np.array([t_s]))[0]
        nearby = near(WHERE, positions)
        range_m, sine = look(WHERE, positions, nearby)
        direction = (positions[nearby] - WHERE.position[:, None]) / range_m[:, :, None]
        found.append(Sight(t_s, nearby, range_m, sine, sine >= np.sin(WHERE.min_elevation_rad),
                           lambda station, few: np.zeros(len(few)), lambda direction=direction: direction))  # fmt: skip
    return found


def policy(weights: Weights, seed: int = 1) -> SlotDraw:
    return SlotDraw(weights, WHERE, ["louvain"], seed, lambda t_s: int(t_s // SLOT_S), lambda t_s: True)


def expected(weights: Weights, seen: list[Sight]) -> tuple[np.ndarray, float, float]:
    """Elevation p5/50/95 in degrees, share on the northern side, share of the nearest one."""
    draw = policy(weights)
    elevation, odds, north, nearest = [], [], [], []
    for sight in seen:
        score = np.where(sight.visible, draw.biased(sight), -np.inf)[0]
        share = np.exp(score - score.max())
        share /= share.sum()
        elevation.append(np.degrees(np.arcsin(sight.sin_elevation[0])))
        odds.append(share)
        north.append(share[(sight.direction()[0] @ poleward(WHERE)[0]) > 0].sum())
        nearest.append(share[np.where(sight.visible, sight.range_m, np.inf)[0].argmin()])
    values, weight = np.concatenate(elevation), np.concatenate(odds)
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    quantiles = np.interp(np.array([0.05, 0.5, 0.95]) * total[-1], total, values[order])
    return quantiles, float(np.mean(north)), float(np.mean(nearest))


def main() -> None:
    seen = skies(sys.argv[1])
    exclusion_deg = float(sys.argv[2]) if len(sys.argv) > 2 else 18.0
    print(f"satellites above the mask: median {np.median([sight.visible.sum() for sight in seen]):g}")

    def weights(values: np.ndarray) -> Weights:
        return Weights(float(values[0]), abs(float(values[1])), float(values[2]), exclusion_deg)

    def miss(values: np.ndarray) -> float:
        quantiles, north, nearest = expected(weights(values), seen)
        wrong = np.sum(((quantiles - ELEVATION_DEG) / 5) ** 2)
        return float(wrong + ((north - NORTH) / 0.05) ** 2 + ((nearest - NEAREST) / 0.03) ** 2)

    best = minimize(miss, [65.0, 12.0, 0.0], method="Nelder-Mead", options={"maxiter": 120, "fatol": 1e-3})
    found = weights(best.x)
    quantiles, north, nearest = expected(found, seen)
    print(f"{found}\nelevation {quantiles.round(1)}°, north {north:.3f}, nearest {nearest:.3f}")
    dwells = []
    for seed in range(10):
        draw = policy(found, seed)
        chosen = np.array([draw.draw(sight)[0] for sight in seen])
        dwells.append(np.diff(np.flatnonzero(np.diff(chosen))) * SLOT_S)
    print(f"dwell median {np.median(np.concatenate(dwells)):g} s, mean {np.concatenate(dwells).mean():.1f} s")


if __name__ == "__main__":
    main()
