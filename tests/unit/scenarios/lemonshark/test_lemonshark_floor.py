"""The floor of round times, on networks whose rounds can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.lemonshark.floor import delays_of, round_floor_s


def star(legs_s: list[float]) -> list[list[float]]:
    """Validators around a hub: the way from a to b is both their legs."""
    return [[0.0 if a == b else x + y for b, y in enumerate(legs_s)] for a, x in enumerate(legs_s)]


def test_equal_delays_give_three_trips() -> None:
    assert round_floor_s(star([0.05] * 4), 3) == pytest.approx(0.3)


def test_a_far_validator_is_not_waited_for() -> None:
    """Three are 20 ms apart, the fourth 500 ms: the three do rounds of 60 ms, which the fourth follows."""
    assert round_floor_s(star([0.01, 0.01, 0.01, 0.49]), 3) == pytest.approx(0.06)


def test_the_slowest_of_a_quorum_decides_once_one_is_absent() -> None:
    delays = star([0.01, 0.01, 0.01, 0.03])
    assert round_floor_s(delays, 3) == pytest.approx(0.06)
    assert round_floor_s(delays, 3, frozenset({2})) > 0.1
    with pytest.raises(ValueError, match="2 validators of a quorum of 3; expected a quorum at least"):
        round_floor_s(delays, 3, frozenset({1, 2}))


def test_delays_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("a,b\n4,30\n20,0\n")
    delays = delays_of({"hosts": 3, "matrix": "two.csv", "local": "1 ms"}, str(tmp_path))
    assert delays == [[0.002, 0.015, 0.002], [0.010, 0.001, 0.010], [0.002, 0.015, 0.002]]
