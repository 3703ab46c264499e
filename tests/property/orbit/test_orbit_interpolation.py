"""Delays between knots: at the default step of 1 s within 1 µs of the exact geometry, whatever time and link."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.network import BuildOptions
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.handover import Held
from emulator.orbit.visibility import distance
from topologies.leo import Config, LeoTopology, build
from topologies.leo.selection import Instant

ORBITS = Path(__file__).resolve().parents[4] / "shared/data/orbits/tle"
TOLERANCE_S = 1e-6


@cache
def topo(name: str) -> LeoTopology:
    shell = {"elements": name} if name.endswith(".tle") else {"preset": name}
    tables = {"shell": shell, "ground": {"stations": ["singapore"], "min_elevation_deg": 0}}
    return build(Config.model_validate(tables), BuildOptions(directory=str(ORBITS), duration_s=7200.0))


def worst_error_s(name: str, step: int, share: float) -> float:
    """Largest error over every ISL that is up, and over the link to every visible satellite, at step + share."""
    timeline = topo(name).timeline
    grid = timeline.grid
    start, exact, end = timeline.propagator.ecef(np.array([step, step + share, step + 1.0]))
    held = timeline.isls_up(Instant(step, start, end, Held.nothing(1), ()))
    seen = timeline.sight(0.0, start)
    few = seen.satellite[seen.visible]
    errors = []
    for a, b in ((grid.a[held], grid.b[held]), (None, few)):
        first = [timeline.stations.position if a is None else place[a] for place in (start, exact, end)]
        lengths = [distance(one, place[b]) for one, place in zip(first, (start, exact, end), strict=True)]
        guess = lengths[0] + (lengths[2] - lengths[0]) * share
        errors.append(np.nanmax(np.abs(guess - lengths[1]), initial=0.0) / SPEED_OF_LIGHT_M_S)
    return float(max(errors))


@pytest.mark.parametrize("name", ["starlink-1", "starlink-3", "oneweb", "kuiper-1", "kuiper-3", "iridium"])
@settings(max_examples=40)
@given(step=st.integers(0, 2 * 86400), share=st.floats(0, 1))
def test_shells(name: str, step: int, share: float) -> None:
    assert worst_error_s(name, step, share) <= TOLERANCE_S


@pytest.mark.skipif(not ORBITS.is_dir(), reason="reference data ../shared/data/orbits/tle is absent")
@pytest.mark.parametrize("name", ["starlink-2022-09-14.tle", "oneweb-2022-09-14.tle"])
@settings(max_examples=40)
@given(step=st.integers(0, 7200), share=st.floats(0, 1))
def test_real_satellites(name: str, step: int, share: float) -> None:
    assert worst_error_s(name, step, share) <= TOLERANCE_S
