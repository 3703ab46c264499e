"""What theory says of one step of plurality consensus: expected answers, the law of the next opinion, small chains.

e_j are the elementary symmetric polynomials of the opinion shares p. Asking until an opinion repeats means that after
j answers it goes on exactly when all j differ, which has probability j! e_j(p); everything here follows from that. The
formulas are checked against enumeration in the tests. Not imported by node processes: numpy lives here.

Invariant: shares are those of the agents that may be asked. In a network of n agents that never ask themselves, an
agent of opinion o sees (counts - [o]) / (n - 1), which `seen_shares` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

from nodes.plurality.core import DejaVu, Majority, Rule, TwoChoices, Undecided, Voter

Shares = NDArray[np.float64]


def elementary(shares: Sequence[float] | Shares, most: int | None = None) -> Shares:
    """e_0 … e_most of the shares (by default all of them)."""
    degree = len(shares) if most is None else most
    e = np.zeros(degree + 1)
    e[0] = 1.0
    for share in shares:
        e[1:] += share * e[:-1]
    return e


def _distinct(shares: Sequence[float] | Shares) -> Shares:
    """j! e_j for j = 0, 1, …: the probability that j answers all differ (and each is one of these opinions)."""
    e = elementary(shares)
    return np.array([factorial(j) * float(value) for j, value in enumerate(e)])


def expected_answers(shares: Sequence[float] | Shares, cap: int = 0, own: int | None = None) -> float:
    """Mean answers that DéjàVu hears in one update: sum of j! e_j(p). With `cap`, at most that many; with `own`, the
    agent's own opinion counts as heard once already."""
    known = np.asarray(shares, float)
    going_on = _distinct(known if own is None else np.delete(known, own))
    return float(going_on[:cap].sum() if cap else going_on.sum())


def ramanujan_q(k: int) -> float:
    """Q(k) = 1 + (k-1)/k + (k-1)(k-2)/k² + …; DéjàVu hears 1 + Q(k) answers where k opinions have equal shares."""
    term, total = 1.0, 0.0
    for j in range(1, k + 1):
        total += term
        term *= (k - j) / k
    return total


def samples_of(rule: Rule, shares: Sequence[float] | Shares, own: int) -> float:
    """Mean answers that an agent of opinion `own` hears in one update."""
    if isinstance(rule, DejaVu):
        return expected_answers(shares, rule.cap, own if rule.own_counts else None)
    return float(rule.width)


def law(rule: Rule, shares: Sequence[float] | Shares, own: int) -> Shares:
    """Probability of each opinion after one update of an agent that holds `own`. `shares` has as many entries as
    there are opinions; of undecided-state dynamics one more, the undecided."""
    p = np.asarray(shares, float)
    keep = np.zeros(len(p))
    keep[own] = 1.0
    if isinstance(rule, DejaVu):
        return _dejavu_law(rule, p, own)
    if isinstance(rule, Majority):
        return _majority_law(rule.width, p)
    if isinstance(rule, TwoChoices):
        return np.asarray(p**2 + keep * (1.0 - float((p**2).sum())))
    if isinstance(rule, Undecided):
        if own == rule.undecided:
            return p.copy()
        stays = p[own] + p[rule.undecided]
        after = np.asarray(keep * stays)
        after[rule.undecided] += 1.0 - stays
        return after
    assert isinstance(rule, Voter)
    return p.copy()


def _dejavu_law(rule: DejaVu, p: Shares, own: int) -> Shares:
    """p_i² sum_j j! e_{j-1}(p without i), j the number of different answers before the repetition."""
    after = np.zeros(len(p))
    for i in range(len(p)):
        if rule.own_counts and i == own:  # the first answer that says so ends it
            stopping = p[i] * _distinct(np.delete(p, i))  # by the number of different answers before
            after[i] = stopping[: rule.cap].sum() if rule.cap else stopping.sum()
            continue
        others = np.delete(p, [i, own] if rule.own_counts else [i])
        e = elementary(others)
        stopping = np.array([p[i] ** 2 * factorial(j + 1) * float(value) for j, value in enumerate(e)])
        after[i] = stopping[: max(0, rule.cap - 1)].sum() if rule.cap else stopping.sum()
    if rule.cap:
        after[own] += 1.0 - after.sum()
    return after


def _majority_law(h: int, p: Shares) -> Shares:
    """By generating functions: opinion i has m of h answers, the others at most m each, t of them exactly m; then i is
    adopted with probability 1/(t+1)."""
    after = np.zeros(len(p))
    for m in range(1, h + 1):
        ties = h // m
        term = np.array([1.0 / factorial(a) for a in range(m + 1)])
        for i in range(len(p)):
            if p[i] == 0.0:
                continue
            # ways[t, x]: weight of t others at m, and x answers spoken for
            ways = np.zeros((ties + 1, h + 1))
            ways[0, m] = p[i] ** m * term[m]
            for j in range(len(p)):
                if j == i or p[j] == 0.0:
                    continue
                more = np.zeros_like(ways)
                for a in range(m):
                    more[:, a:] += ways[:, : h + 1 - a] * (p[j] ** a * term[a])
                more[1:, m:] += ways[:-1, : h + 1 - m] * (p[j] ** m * term[m])
                ways = more
            after[i] += factorial(h) * float((ways[:, h] / np.arange(1, ties + 2)).sum())
    return after


def seen_shares(tally: Sequence[int], own: int) -> Shares:
    """Opinion shares among the others of an agent that holds `own`."""
    counts = np.array(tally, float)
    counts[own] -= 1.0
    return np.asarray(counts / counts.sum())


def expected_samples(rule: Rule, tally: Sequence[int]) -> float:
    """Mean answers an update in a round that begins with these counts, where everybody may ask all others."""
    if not isinstance(rule, DejaVu):
        return float(rule.width)
    held = [opinion for opinion, count in enumerate(tally) if count]
    total = sum(tally[own] * samples_of(rule, seen_shares(tally, own), own) for own in held)
    return float(total / sum(tally))


def expected_tally(rule: Rule, tally: Sequence[int]) -> Shares:
    """Expected counts after one synchronous round from these."""
    after = np.zeros(len(tally))
    for own, count in enumerate(tally):
        if count:
            after += count * law(rule, seen_shares(tally, own), own)
    return after


def two_opinions(rule: Rule, n: int) -> tuple[Shares, Shares]:
    """The exact Markov chain of n agents and two opinions: by the number of agents that hold opinion 0, the
    probability that it wins and the mean rounds to consensus. Not for undecided-state dynamics, which has three."""
    step = np.zeros((n + 1, n + 1))
    step[0, 0] = step[n, n] = 1.0
    for c in range(1, n):
        stay = law(rule, seen_shares((c, n - c), 0), 0)[0]
        come = law(rule, seen_shares((c, n - c), 1), 1)[0]
        step[c] = np.convolve(_binomial(c, float(stay)), _binomial(n - c, float(come)))
    inner = np.eye(n - 1) - step[1:n, 1:n]
    win, rounds = np.zeros(n + 1), np.zeros(n + 1)
    win[n] = 1.0
    win[1:n] = np.linalg.solve(inner, step[1:n, n])
    rounds[1:n] = np.linalg.solve(inner, np.ones(n - 1))
    return win, rounds


def _binomial(n: int, p: float) -> Shares:
    return np.array([comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)])
