"""Theory of one step of plurality consensus: expected answers, the law of the next opinion, small Markov chains.

e_j are the elementary symmetric polynomials of the opinion shares p. An agent that asks until an opinion repeats
continues after j answers exactly if all j differ, which has probability j! e_j(p); all formulas follow from that. The
tests check them against enumeration and exact fractions. Node processes do not import this module, as it needs numpy.

Invariant: shares are those of the agents that may be asked. In a network of n agents that never ask themselves, an
agent of opinion o has the shares (counts - [o]) / (n - 1), see `seen_shares`. Only probabilities are added and
multiplied, never bare factorials, so nothing overflows for any number of opinions and answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log, sqrt

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from nodes.plurality.core import DejaVu, Majority, Rule, TwoChoices, Undecided, Voter

Shares = NDArray[np.float64]
MOST_OPERATIONS = 1e9  # multiplications for the law of one round, at most: up to four seconds
CALL = 1000  # multiplications in the time of one numpy call
NEGLIGIBLE = 1e-30  # a probability without effect on a sum of order 1, even multiplied by the number of answers


def all_differ(shares: Sequence[float] | Shares) -> Shares:
    """j! e_j for j = 0, 1, …: the probability that j answers all differ (and each is one of these opinions).

    A further opinion of share s adds j s times the probability that the other j - 1 answers differ, as it may be the
    answer to any of the j questions. The list ends where all further entries are below NEGLIGIBLE.
    """
    known = np.asarray(shares, float)
    known = known[known > 0]
    differ = np.zeros(_degree(len(known)) + 1)
    differ[0] = 1.0
    number = np.arange(1.0, len(differ))
    for share in known:
        differ[1:] += share * number * differ[:-1]
    return differ


def _degree(opinions: int) -> int:
    """The number of answers beyond which the probability that all differ is negligible: it is at most exp(-j(j-1)/2k),
    nearly reached by equal shares (Maclaurin's inequality)."""
    return min(opinions, ceil(1 + sqrt(-2 * opinions * log(NEGLIGIBLE))))


def expected_answers(shares: Sequence[float] | Shares, cap: int = 0, own: int | None = None) -> float:
    """Mean number of answers in one DéjàVu update: the sum of j! e_j(p). With `cap`, at most that many; with `own`, the
    agent's own opinion counts as one answer before the first."""
    known = np.asarray(shares, float)
    going_on = all_differ(known if own is None else np.delete(known, own))
    return float(going_on[:cap].sum() if cap else going_on.sum())


def ramanujan_q(k: int) -> float:
    """Q(k) = 1 + (k-1)/k + (k-1)(k-2)/k² + …; DéjàVu needs 1 + Q(k) answers on average for k equal shares."""
    term, total = 1.0, 0.0
    for j in range(1, k + 1):
        total += term
        term *= (k - j) / k
    return total


def samples_of(rule: Rule, shares: Sequence[float] | Shares, own: int) -> float:
    """Mean number of answers in one update of an agent of opinion `own`."""
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
    """p_i² sum_j (j+1)! e_j(p without i), with j other opinions answered before the repetition. Opinions of equal
    shares have equal probabilities, which are computed once."""
    after = np.zeros(len(p))
    alike: dict[float, float] = {}
    for i in range(len(p)):
        if rule.own_counts and i == own:  # the first such answer ends the update
            stopping = p[i] * all_differ(np.delete(p, i))  # by the number of different answers before
            after[i] = stopping[: rule.cap].sum() if rule.cap else stopping.sum()
            continue
        if p[i] not in alike:
            differ = all_differ(np.delete(p, [i, own] if rule.own_counts else [i]))
            stopping = p[i] ** 2 * np.arange(1, len(differ) + 1) * differ
            alike[p[i]] = float(stopping[: max(0, rule.cap - 1)].sum() if rule.cap else stopping.sum())
        after[i] = alike[p[i]]
    if rule.cap:
        after[own] += 1.0 - after.sum()
    return after


def _majority_law(h: int, p: Shares) -> Shares:
    """Opinion i has m of h answers, the others at most m each, t of them exactly m; then i is adopted with probability
    1/(t+1).

    The numbers of answers are independent Poisson variables with means h p_j, given that they add up to h. As 1/(t+1)
    is the integral of u^t from 0 to 1, a tie weighs u: for each u, what remains are polynomials of one variable, whose
    exponent counts answers. The integrand is a polynomial in u, so Gauss's rule gives the integral exactly.
    """
    after = np.zeros(len(p))
    held = [i for i in range(len(p)) if p[i] > 0]
    chances = {i: _poisson(h * float(p[i]), h) for i in held}
    given = float(_poisson(float(h), h)[h])  # that they add up to h
    for m in range(1, h + 1):
        others = min(h // m, len(held)) - 1  # that may tie with the winner
        places, weights = np.polynomial.legendre.leggauss(others // 2 + 1)
        for u, weight in zip((places + 1) / 2, weights / 2, strict=True):
            factors = [np.append(chances[i][:m], u * chances[i][m]) for i in held]
            rest = _all_but_one(factors, h - m)
            for i, chance in zip(held, rest, strict=True):
                after[i] += weight * chances[i][m] * chance / given
    return after


def _poisson(mean: float, most: int) -> Shares:
    """Probabilities of 0 … `most` Poisson events of this mean, by logarithms, as powers and factorials overflow."""
    number = np.arange(1, most + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(mean / number))])
    return np.asarray(np.exp(logs - mean))


def _all_but_one(factors: list[Shares], degree: int) -> list[float]:
    """Of the product of all polynomials but each one in turn: the coefficient of a degree."""
    before = [np.array([1.0])]
    for factor in factors[:-1]:
        before.append(np.convolve(before[-1], factor)[: degree + 1])
    found, after = [], np.array([1.0])
    for factor, head in zip(reversed(factors), reversed(before), strict=True):
        least = max(0, degree + 1 - len(after))  # of the exponents of `head` that can be completed to `degree`
        tail = after[max(0, degree + 1 - len(head)) : degree + 1]
        found.append(float(head[least : degree + 1] @ tail[::-1]))
        after = np.convolve(after, factor)[: degree + 1]
    return found[::-1]


def seen_shares(tally: Sequence[int], own: int) -> Shares:
    """Opinion shares among the others of an agent that holds `own`."""
    counts = np.array(tally, float)
    counts[own] -= 1.0
    return np.asarray(counts / counts.sum())


def expected_samples(rule: Rule, tally: Sequence[int]) -> float:
    """Mean number of answers per update in a round that begins with these counts, if every agent may ask all others."""
    if not isinstance(rule, DejaVu):
        return float(rule.width)
    total = 0.0
    for alike in _alike(rule, tally):
        own = alike[0]
        total += len(alike) * tally[own] * samples_of(rule, seen_shares(tally, own), own)
    return total / sum(tally)


def expected_tally(rule: Rule, tally: Sequence[int]) -> Shares:
    """Expected counts after one synchronous round from these. ValueError if that takes too long."""
    groups = _alike(rule, tally)
    operations = _operations(rule, groups)
    if operations > MOST_OPERATIONS:
        raise Unfit(
            f"an exact law of {sum(map(len, groups))} opinions, {len(groups)} different counts and {rule.width} "
            f"answers at once, about {operations:.0e} operations",
            f"{MOST_OPERATIONS:.0e} at most",
        )
    after = np.zeros(len(tally))
    for alike in groups:
        chances = law(rule, seen_shares(tally, alike[0]), alike[0])
        chances[alike] = chances[alike].mean()  # each of them once in the part of one's own opinion
        after += len(alike) * tally[alike[0]] * chances
    return after


def _alike(rule: Rule, tally: Sequence[int]) -> list[list[int]]:
    """The held opinions, grouped by equal counts: their agents have the same shares in another order. The undecided
    form their own group."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for opinion, count in enumerate(tally):
        if count:
            unlike = isinstance(rule, Undecided) and opinion == rule.undecided
            groups.setdefault((count, unlike), []).append(opinion)
    return list(groups.values())


def _operations(rule: Rule, groups: list[list[int]]) -> float:
    """The approximate number of multiplications of `expected_tally`."""
    held = sum(map(len, groups))
    if isinstance(rule, DejaVu):  # for each group, the chances of each group
        return len(groups) * (len(groups) + 1) * held * (CALL + _degree(held))
    if isinstance(rule, Majority):
        h = rule.width
        products = len(groups) * 3 * held
        return products * (h * (1 + log(h) / 2) * CALL + h**3 / 6)
    return float(len(groups) * held)


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
    """Probabilities of 0 … n successes, by Pascal's triangle of probabilities."""
    chances = np.zeros(n + 1)
    chances[0] = 1.0
    for _ in range(n):
        chances[1:] = (1.0 - p) * chances[1:] + p * chances[:-1]
        chances[0] *= 1.0 - p
    return chances
