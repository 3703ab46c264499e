"""The forecast, on committees whose rounds, commits and early instants can be worked out by hand."""

from __future__ import annotations

import pytest

from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.primary.config import PrimaryConfig
from scenarios.lemonshark.floor import delays_of, round_floor_s
from scenarios.lemonshark.forecast import forecast

EQUAL = [[0.0 if a == b else 0.1 for b in range(4)] for a in range(4)]


def config(**rules: object) -> PrimaryConfig:
    return PrimaryConfig(rules=Rules(**rules), header_delay_s=0.0)  # type: ignore[arg-type]


def test_equal_links() -> None:
    """A round is three trips of 0.1 s: a header, its votes, its certificate. An author holds its own child of a block
    after 0.3 + 0.2 s and those of others a trip later, and it needs two.
    """
    known = forecast(EQUAL, config(), 1)
    assert known is not None
    assert known.round_s == pytest.approx(0.3)
    assert known.early_share == pytest.approx(1.0)
    assert known.early_s == pytest.approx(0.6)
    # Rounds r with a leader are every second one. It commits once a block of round r+2 is held, and a validator holds
    # its own 0.6 + 0.2 s after round r began. It orders itself and round r-1; the rest of round r waits for the next.
    assert known.commit_s == pytest.approx((0.8 + 4 * 1.1 + 3 * 1.4) / 8, abs=1e-3)


def test_without_early_finality_an_answer_is_the_commit() -> None:
    known = forecast(EQUAL, config(early=False), 1)
    assert known is not None
    assert (known.early_s, known.early_share) == (known.commit_s, 0.0)


def test_five_regions_are_as_fast_as_the_model_of_the_specification() -> None:
    """344 ms a round, 1354 ms to commit, 568 ms early: with approximate round trips and 5 % of jitter."""
    delays = delays_of({"hosts": 10}, ".")
    known = forecast(delays, PrimaryConfig(), 1)
    assert known is not None
    assert known.round_s == pytest.approx(0.344, rel=0.05)
    assert known.commit_s == pytest.approx(1.354, rel=0.05)
    assert known.early_s == pytest.approx(0.568, rel=0.05)
    assert known.round_s > round_floor_s(delays, 7)


def test_a_crash_costs_more_with_a_long_look_back() -> None:
    delays = delays_of({"hosts": 10}, ".")
    ratios = []
    for look_back in (2, 6, 50):
        known = forecast(delays, PrimaryConfig(rules=Rules(look_back=look_back)), 1, frozenset({3}))
        assert known is not None
        ratios.append(known.early_s / known.commit_s)
    assert ratios == sorted(ratios)
    assert ratios[0] < 0.7 < 0.95 < ratios[2]


def test_no_quorum() -> None:
    with pytest.raises(ValueError, match="2 validators of a quorum of 3; expected a quorum at least"):
        forecast(EQUAL, config(), 1, frozenset({0, 1}))
