"""The floor of round times, on networks whose rounds can be worked out by hand."""

from __future__ import annotations

import pytest

from scenarios.lemonshark.floor import round_floor_s


def star(legs_s: list[float]) -> list[list[float]]:
    """Validators around a hub: the way from a to b is both their legs."""
    return [[0.0 if a == b else x + y for b, y in enumerate(legs_s)] for a, x in enumerate(legs_s)]


def test_equal_delays_give_three_trips() -> None:
    assert round_floor_s(star([0.05] * 4), 3) == pytest.approx(0.3)
    assert round_floor_s(star([0.05] * 4), 3, grace_s=0.1) == pytest.approx(0.3), "all come at once: none to wait for"


def test_a_far_validator_is_not_waited_for_but_in_the_grace() -> None:
    """Three are 20 ms apart, the fourth 500 ms: the three do rounds of 60 ms, which the fourth follows; with a grace
    they are as much longer, since its block comes after that."""
    delays = star([0.01, 0.01, 0.01, 0.49])
    assert round_floor_s(delays, 3) == pytest.approx(0.06)
    assert round_floor_s(delays, 3, grace_s=0.1) == pytest.approx(0.16)


def test_who_is_absent_costs_the_whole_grace() -> None:
    delays = star([0.01] * 4)
    assert round_floor_s(delays, 3, frozenset({2})) == pytest.approx(0.06)
    assert round_floor_s(delays, 3, frozenset({2}), grace_s=0.1) == pytest.approx(0.16)
    with pytest.raises(ValueError, match="2 validators of a quorum of 3; wanted a quorum at least"):
        round_floor_s(delays, 3, frozenset({1, 2}))
