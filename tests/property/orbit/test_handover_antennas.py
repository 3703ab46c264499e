"""Selection for several antennas a station: no satellite twice, none without need given up, none visible left out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.orbit.handover import POLICIES, Held, Sight, all_in_view, choose

SATELLITES = 6


@st.composite
def skies(draw: st.DrawFn) -> tuple[int, list[Sight]]:
    """Antennas a station, and what two stations see at some instants, 5 s apart."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        visible = draw(st.lists(st.booleans(), min_size=2 * SATELLITES, max_size=2 * SATELLITES))
        height = draw(st.permutations(range(2 * SATELLITES)))
        sine = (np.array(height).reshape(2, -1) + 1) / (2 * SATELLITES + 1)
        satellite = np.tile(np.arange(SATELLITES, dtype=np.int32), (2, 1))
        shown = np.array(visible).reshape(2, -1)
        found.append(Sight(5.0 * number, satellite, 1.0 / sine, sine, shown, lambda station, few: 100.0 - few))
    return draw(st.integers(1, 4)), found


@given(skies(), st.sampled_from(sorted(POLICIES)), st.sampled_from([0.0, 7.0]))
def test_antennas_of_a_policy(made: tuple[int, list[Sight]], policy: str, min_dwell_s: float) -> None:
    antennas, sky = made
    held = Held.nothing(2 * antennas)
    for sight in sky:
        before, held = held, choose(POLICIES[policy], sight, held, min_dwell_s, antennas)
        _check(sight, before, held, antennas)
        young = (sight.t_s - before.since_s < min_dwell_s) & (before.satellite >= 0)
        for antenna in np.flatnonzero(young):
            if sight.visible[antenna // antennas, before.satellite[antenna]]:
                assert held.satellite[antenna] == before.satellite[antenna]


@given(skies())
def test_antennas_on_all_in_view(made: tuple[int, list[Sight]]) -> None:
    antennas, sky = made
    held = Held.nothing(2 * antennas)
    for sight in sky:
        before, held = held, all_in_view(sight, held, antennas)
        _check(sight, before, held, antennas)
        for antenna, satellite in enumerate(before.satellite.tolist()):
            if satellite >= 0 and sight.visible[antenna // antennas, satellite]:
                assert held.satellite[antenna] == satellite, "it stays until it sets"


def _check(sight: Sight, before: Held, held: Held, antennas: int) -> None:
    for station in range(2):
        own = slice(station * antennas, (station + 1) * antennas)
        serving, earlier = held.satellite[own], before.satellite[own]
        used = serving[serving >= 0]
        assert len(set(used.tolist())) == len(used), "each satellite once"
        assert sight.visible[station, used].all()
        assert len(used) == min(antennas, sight.visible[station].sum())
        for satellite in set(used.tolist()) & set(earlier[earlier >= 0].tolist()):
            assert np.flatnonzero(serving == satellite) == np.flatnonzero(earlier == satellite), "on its antenna"
    assert np.array_equal(held.since_s[held.satellite != before.satellite] == sight.t_s,
                          np.ones((held.satellite != before.satellite).sum(), bool))  # fmt: skip
