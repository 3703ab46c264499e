"""The published figures of plurality consensus, reproduced in memory: rounds, samples and win rates of 1,000 agents."""

from __future__ import annotations

from statistics import mean, stdev

import pytest

from nodes.plurality.core import DejaVu, rule_of
from nodes.plurality.exact import expected_samples, two_opinions
from nodes.plurality.simulate import Outcome, poisson, synchronous


def close(values: list[float], given: float, rounding: float = 0.05) -> bool:
    """Within four standard errors of ours and of theirs (2,000 runs), and their rounding to one figure."""
    error = stdev(values) * (1 / len(values) + 1 / 2000) ** 0.5
    assert abs(mean(values) - given) <= 4 * error + rounding, f"{mean(values):.2f} ± {error:.2f}, given {given}"
    return True


def check(outcomes: list[Outcome], agents: int, rounds: float, samples: float) -> None:
    assert close([outcome.time for outcome in outcomes], rounds)
    assert close([outcome.samples / agents for outcome in outcomes], samples)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "h", "runs", "rounds", "samples"),
    [("dejavu", 0, 200, 4.1, 17.2), ("h-majority", 8, 100, 4.0, 32.0), ("3-majority", 0, 25, 15.6, 46.9)],
)
def test_a_thousand_agents_and_32_opinions(protocol: str, h: int, runs: int, rounds: float, samples: float) -> None:
    counts = [132] + [28] * 31
    outcomes = [synchronous(rule_of(protocol, 32, h), counts, seed) for seed in range(runs)]
    check(outcomes, 1000, rounds, samples)
    assert mean(outcome.winner == 0 for outcome in outcomes) >= 0.9


@pytest.mark.slow
def test_poisson_clocks_are_another_process() -> None:
    outcomes = [poisson(DejaVu(), [202] + [114] * 7, seed) for seed in range(60)]
    assert close([outcome.time for outcome in outcomes], 9.2)


@pytest.mark.parametrize(
    ("protocol", "own", "rounds", "samples"),
    [("dejavu", False, 6.2, 19.5), ("dejavu", True, 6.2, 13.3), ("undecided", False, 20.2, 20.2),
     ("2-choices", False, 13.7, 27.4)],
)  # fmt: skip
def test_eight_opinions(protocol: str, own: bool, rounds: float, samples: float) -> None:
    rule = rule_of(protocol, 8, 0, own)
    check([synchronous(rule, [202] + [114] * 7, seed) for seed in range(12)], 1000, rounds, samples)


@pytest.mark.parametrize(("counts", "rounds", "samples"), [([14, 6, 6, 6], 5.16, 13.4), ([22] + [6] * 7, 4.17, 12.0)])
def test_small_sizes(counts: list[int], rounds: float, samples: float) -> None:
    check([synchronous(DejaVu(), counts, seed) for seed in range(300)], sum(counts), rounds, samples)


def test_two_opinions_follow_the_exact_chain() -> None:
    win, rounds = two_opinions(DejaVu(), 16)
    outcomes = [synchronous(DejaVu(), [10, 6], seed) for seed in range(1000)]
    wins = mean(outcome.winner == 0 for outcome in outcomes)
    assert abs(wins - win[10]) <= 4 * (win[10] * (1 - win[10]) / 1000) ** 0.5
    assert close([outcome.time for outcome in outcomes], float(rounds[10]), rounding=0.0)


@pytest.mark.parametrize("k", [2, 4, 8, 16, 32])
def test_answers_an_update_follow_the_formula(k: int) -> None:
    """Within 3 %: the expectation of every round from the counts that it began with, over all rounds of a few runs."""
    rest = 900 // k
    counts = [1000 - rest * (k - 1)] + [rest] * (k - 1)
    seen = expected = 0.0
    for seed in range(3):
        outcome = synchronous(DejaVu(), counts, seed)
        seen += outcome.samples
        expected += sum(1000 * expected_samples(DejaVu(), tally) for tally in outcome.tallies[:-1])
    assert seen == pytest.approx(expected, rel=0.03)
