"""Plurality consensus in memory, 1,000 agents, against the figures of independent simulations: prints a line a case.

python -m benchmarks.plurality [RUNS]     by default 200 runs a case; all of them take two or three minutes
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from nodes.plurality.core import DejaVu, Rule, TwoChoices, Undecided, rule_of
from nodes.plurality.simulate import Outcome, poisson, synchronous


@dataclass(frozen=True)
class Case:
    """A rule from initial counts, and what others found: win rate, rounds, samples per agent."""

    name: str
    rule: Rule
    counts: Sequence[int]
    rounds: float
    samples: float
    clock: str = "rounds"


K32, K8 = [132] + [28] * 31, [202] + [114] * 7
CASES = [
    Case("k=32 DejaVu", DejaVu(), K32, 4.1, 17.2),
    Case("k=32 8-majority", rule_of("h-majority", 32, 8), K32, 4.0, 32.0),
    Case("k=32 3-majority", rule_of("3-majority", 32), K32, 15.6, 46.9),
]
MORE = [
    Case("k=32 2-choices", TwoChoices(), K32, 15.2, 30.3),
    Case("k=32 undecided-state", Undecided(32), K32, 17.6, 17.6),
    Case("k=8 DejaVu", DejaVu(), K8, 6.2, 19.5),
    Case("k=8 DejaVu, own opinion counts", DejaVu(own_counts=True), K8, 6.2, 13.3),
    Case("k=8 5-majority", rule_of("h-majority", 8, 5), K8, 6.2, 31.0),
    Case("k=8 DejaVu, Poisson clocks", DejaVu(), K8, 9.2, float("nan"), "Poisson"),
]


def play(case: Case, runs: int) -> list[Outcome]:
    """The case with seeds 0 … runs-1."""
    run = poisson if case.clock == "Poisson" else synchronous
    return [run(case.rule, case.counts, seed) for seed in range(runs)]


def figures(outcomes: list[Outcome], agents: int) -> tuple[float, float, float, float, float]:
    """Win rate; rounds and its standard error; samples per agent and its standard error."""
    rounds = [outcome.time for outcome in outcomes]
    samples = [outcome.samples / agents for outcome in outcomes]
    root = len(outcomes) ** 0.5
    wins = mean(outcome.winner == 0 for outcome in outcomes)
    return wins, mean(rounds), stdev(rounds) / root, mean(samples), stdev(samples) / root


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'':32} {'win':>5} {'rounds':>16} {'given':>6} {'samples an agent':>17} {'given':>6} {'trips':>6} {'s':>6}")
    for case in CASES + MORE:
        begun = time.perf_counter()
        outcomes = play(case, runs)
        wins, rounds, rounds_error, samples, samples_error = figures(outcomes, sum(case.counts))
        trips = mean(outcome.critical_trips for outcome in outcomes)
        print(
            f"{case.name:32} {wins:5.3f} {rounds:8.2f} ± {rounds_error:5.2f} {case.rounds:6.1f}"
            f" {samples:9.2f} ± {samples_error:5.2f} {case.samples:6.1f} {trips:6.1f}"
            f" {time.perf_counter() - begun:6.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
