"""Formulas of plurality consensus against enumeration and against the numbers of independent computations."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import pi, sqrt

import numpy as np
import pytest

from nodes.plurality.core import MORE, DejaVu, Majority, Rule, Stream, rule_of
from nodes.plurality.exact import (
    elementary,
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
    if k <= 128:  # 1024! is more than a float holds
        assert expected_answers([1 / k] * k) == pytest.approx(answers, abs=5e-4)


def test_elementary_polynomials() -> None:
    assert elementary([2.0, 3.0, 5.0]) == pytest.approx([1, 10, 31, 30])


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
