"""Formulas of plurality consensus against enumeration and against the numbers of independent computations."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb, factorial, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.plurality.core import MORE, DejaVu, Majority, Rule, Stream, rule_of
from nodes.plurality.exact import (
    _binomial,
    all_differ,
    expected_answers,
    expected_samples,
    expected_tally,
    law,
    ramanujan_q,
    samples_of,
    seen_shares,
    two_opinions,
)

GIVEN = {2: 2.5, 4: 3.219, 8: 4.245, 16: 5.704, 32: 7.774, 64: 10.706, 128: 14.855, 1024: 40.776}


@pytest.mark.parametrize(("k", "answers"), GIVEN.items())
def test_equal_shares_need_one_more_than_ramanujans_q(k: int, answers: float) -> None:
    assert 1 + ramanujan_q(k) == pytest.approx(answers, abs=5e-4)
    assert 1 + ramanujan_q(k) == pytest.approx(sqrt(pi * k / 2) + 2 / 3, rel=0.03)
    assert expected_answers([1 / k] * k) == pytest.approx(answers, abs=5e-4)


def test_chances_that_all_answers_differ_are_factorials_of_elementary_polynomials() -> None:
    assert all_differ([0.2, 0.3, 0.5]) == pytest.approx([1, 1, 2 * 0.31, 6 * 0.03])


def enumerate_law(rule: Rule, p: list[Fraction], own: int) -> tuple[list[Fraction], Fraction]:
    """Law of one step and mean answers by trying all answers, in exact arithmetic. Ties are found by their stream."""
    after, answers = [Fraction(0)] * len(p), Fraction(0)

    def walk(heard: tuple[int, ...], weight: Fraction) -> None:
        nonlocal answers
        for more in itertools.product(range(len(p)), repeat=rule.width):
            now = heard + more
            reached = weight
            for opinion in more:
                reached *= p[opinion]
            answers += reached * rule.width
            if isinstance(rule, Majority):
                tied = [i for i in set(now) if now.count(i) == max(map(now.count, now))]
                assert rule.adopt(own, now, Stream("ties")) in tied
                for i in tied:
                    after[i] += reached / len(tied)
                continue
            adopted = rule.adopt(own, now, Stream("none"))
            if adopted == MORE:
                walk(now, reached)
            else:
                after[adopted] += reached

    walk((), Fraction(1))
    return after, answers


RULES = [
    rule_of("dejavu", 4),
    rule_of("dejavu", 4, 3),
    rule_of("dejavu", 4, 2),
    rule_of("dejavu", 4, 1),
    rule_of("dejavu", 4, 0, True),
    rule_of("dejavu", 4, 2, True),
    rule_of("h-majority", 4, 1),
    rule_of("h-majority", 4, 2),
    rule_of("3-majority", 4),
    rule_of("h-majority", 4, 4),
    rule_of("h-majority", 4, 5),
    rule_of("2-choices", 4),
    rule_of("undecided", 3),
    rule_of("voter", 4),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{type(rule).__name__}{vars(rule)}")
@pytest.mark.parametrize("own", [0, 3])
def test_laws_equal_enumeration(rule: Rule, own: int) -> None:
    p = [Fraction(4, 10), Fraction(3, 10), Fraction(1, 10), Fraction(2, 10)]
    after, answers = enumerate_law(rule, p, own)
    shares = [float(share) for share in p]
    assert law(rule, shares, own) == pytest.approx([float(x) for x in after])
    assert samples_of(rule, shares, own) == pytest.approx(float(answers))


@pytest.mark.parametrize(("k", "h", "most"), [(2, 3, 2.5), (3, 4, 2.889)])
def test_few_opinions_have_the_law_of_a_majority_with_fewer_answers(k: int, h: int, most: float) -> None:
    for p in ([0.7, 0.3], [0.5, 0.5]) if k == 2 else ([0.5, 0.3, 0.2], [1 / 3] * 3):
        assert law(DejaVu(), p, 0) == pytest.approx(law(Majority(h), p, 0))
        assert expected_answers(p) <= most + 5e-4
    assert expected_answers([1 / k] * k) == pytest.approx(most, abs=5e-4)


def test_a_cap_of_two_is_two_choices() -> None:
    p = [0.5, 0.25, 0.125, 0.125]
    for own in range(4):
        assert law(DejaVu(2), p, own) == pytest.approx(law(rule_of("2-choices", 4), p, own))


def test_sampling_leaves_out_oneself() -> None:
    assert seen_shares([3, 2], 0) == pytest.approx([0.5, 0.5])
    assert expected_samples(DejaVu(), [2, 2]) == pytest.approx(2 + 2 * (1 / 3) * (2 / 3))
    assert expected_samples(Majority(5), [2, 2]) == 5.0
    assert expected_tally(DejaVu(), [5, 3, 2]).sum() == pytest.approx(10)


def test_small_chains() -> None:
    win, rounds = two_opinions(DejaVu(), 16)
    assert win[10] == pytest.approx(0.875, abs=0.003)  # given to three figures, of 2,000 runs
    assert win[8] == pytest.approx(0.5)
    assert win + win[::-1] == pytest.approx(np.ones(17))
    assert rounds[0] == rounds[16] == 0.0
    assert two_opinions(Majority(3), 16)[0] == pytest.approx(win)
    voter, _ = two_opinions(rule_of("voter", 2), 8)
    assert voter == pytest.approx(np.arange(9) / 8)


# Beyond 170 answers, whose factorial is more than a float holds: against whole numbers and fractions.


def exactly_differ(counts: list[int], total: int) -> list[Fraction]:
    """j! e_j(counts / total) for j = 0, 1, …"""
    e = [1] + [0] * len(counts)
    for place, count in enumerate(counts):
        for j in range(place + 1, 0, -1):
            e[j] += count * e[j - 1]
    return [Fraction(factorial(j) * value, total**j) for j, value in enumerate(e)]


def dejavu_exactly(counts: list[int], total: int, own: int, rule: DejaVu) -> list[Fraction]:
    """p_i² sum_j (j+1)! e_j(p without i) in fractions; with a cap, own keeps what is left. Not where own counts."""
    after = []
    for i, count in enumerate(counts):
        differ = exactly_differ(counts[:i] + counts[i + 1 :], total)
        most = rule.cap - 1 if rule.cap else len(differ)
        after.append(Fraction(count, total) ** 2 * sum((j + 1) * each for j, each in enumerate(differ[:most])))
    if rule.cap:
        after[own] += 1 - sum(after)
    return after


MANY = [7, 5, 5, 3] + [2] * 36 + [1] * 160  # agents by opinion, 200 opinions


@pytest.mark.parametrize("rule", [DejaVu(), DejaVu(190), DejaVu(6)], ids=["uncapped", "cap 190", "cap 6"])
def test_two_hundred_opinions(rule: DejaVu) -> None:
    counts = [MANY[0] - 1, *MANY[1:]]
    exact = dejavu_exactly(counts, sum(counts), 0, rule)
    shares = seen_shares(MANY, 0)
    assert law(rule, shares, 0) == pytest.approx([float(each) for each in exact], rel=1e-11, abs=0)
    differ = exactly_differ(counts, sum(counts))
    answers = sum(differ[: rule.cap] if rule.cap else differ)
    assert expected_answers(shares, rule.cap) == pytest.approx(float(answers), rel=1e-12)


def test_own_counts_among_two_hundred_opinions() -> None:
    after = law(DejaVu(own_counts=True), seen_shares(MANY, 3), 3)
    assert after.sum() == pytest.approx(1.0, rel=1e-12)
    assert (after > 0).all()


def majority_exactly(counts: list[int], h: int) -> list[Fraction]:
    """Law of a majority of h answers among three opinions, in fractions, ties shared."""
    total, after = sum(counts), [Fraction(0)] * 3
    for a in range(h + 1):
        for b in range(h + 1 - a):
            heard = (a, b, h - a - b)
            ways = comb(h, a) * comb(h - a, b)
            for count, times in zip(counts, heard, strict=True):
                ways *= count**times
            tied = [i for i in range(3) if heard[i] == max(heard)]
            for i in tied:
                after[i] += Fraction(ways, len(tied))
    return [each / total**h for each in after]


@pytest.mark.parametrize("h", [1, 2, 7, 171, 230])
def test_majority_of_many_answers(h: int) -> None:
    counts = [9, 8, 5]
    exact = [float(each) for each in majority_exactly(counts, h)]
    assert law(Majority(h), np.array(counts) / sum(counts), 0) == pytest.approx(exact, rel=1e-10, abs=0)


@given(
    tally=st.lists(st.integers(0, 60), min_size=1, max_size=220).filter(lambda tally: sum(tally) >= 2),
    rule=st.one_of(st.builds(DejaVu, st.integers(0, 400), st.booleans()), st.just(DejaVu(1)), st.just(DejaVu())),
)
@settings(max_examples=60)
def test_laws_of_many_opinions_are_probabilities(tally: list[int], rule: DejaVu) -> None:
    after = expected_tally(rule, tally)
    assert after.sum() == pytest.approx(sum(tally))
    assert (after >= -1e-9).all()
    assert 1.0 <= expected_samples(rule, tally) <= 1 + sum(1 for count in tally if count)


@given(tally=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(lambda tally: sum(tally) >= 2),
       h=st.integers(1, 40))  # fmt: skip
@settings(max_examples=60)
def test_laws_of_majorities_are_probabilities(tally: list[int], h: int) -> None:
    after = expected_tally(Majority(h), tally)
    assert after.sum() == pytest.approx(sum(tally))
    assert (after >= 0).all()


def test_what_takes_too_long_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"law of 64 opinions, 1 different counts and 2000 answers at once.*; expected"
    ):
        expected_tally(Majority(2000), [4] * 64)
    with pytest.raises(ValueError, match=r"law of 5000 opinions, 100 different counts.*; expected"):
        expected_tally(DejaVu(), [*range(1, 101), *[1] * 4900])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{type(rule).__name__}{vars(rule)}")
def test_expected_counts_are_the_sum_over_all_agents(rule: Rule) -> None:
    """Opinions of equal counts are worked out once."""
    tally = [3, 2, 3, 2]
    after = sum(count * law(rule, seen_shares(tally, own), own) for own, count in enumerate(tally))
    assert expected_tally(rule, tally) == pytest.approx(after)


def test_binomials_of_many_agents() -> None:
    """comb(1100, 550) has 330 digits, more than a float holds."""
    exact = [comb(1100, k) * Fraction(1, 4) ** k * Fraction(3, 4) ** (1100 - k) for k in range(1101)]
    assert _binomial(1100, 0.25) == pytest.approx([float(each) for each in exact], rel=1e-12, abs=1e-300)
