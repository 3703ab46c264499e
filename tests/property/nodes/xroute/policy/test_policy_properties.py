"""The policy language on drawn texts and bytes: nothing hangs, nothing is read in two ways, one form is canonical."""

from __future__ import annotations

import time

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from xroute_policies import routes, texts

from nodes.ibc.client.tendermint import Status
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.conjunction import strictest
from nodes.xroute.policy.evaluation import first_failing, holds
from nodes.xroute.policy.parser import MOST_TEXT, parse, read
from nodes.xroute.policy.terms import Contradiction, PolicyError
from nodes.xroute.policy.text import explain, show

WORDS = (
    "xroute/1", ";", "\n", "require", "prefer", "limit", "on", "each", "hop", "transit", "chain", "route", "source",
    "any", "all", "via", "avoid", "disjoint", "mode", "registry", "names", "agree", "in", "not", "{", "}", ",", ">=",
    "<", "!=", "=", "nakamoto", "fee", "client_type", "hops", "time", "bytes", "reroute", "hold", "relax", "expired",
    "8", "25%", "1/3", "1/0", "120s", "100ufee", "a.b", "-", "0", "99999999999999999999",
)  # fmt: skip


def parsed(text: str) -> Policy | None:
    """The policy, or None where it is refused; anything else fails the test."""
    try:
        return parse(text)
    except PolicyError:
        return None


def check_one_meaning(text: str) -> None:
    began_s = time.process_time()
    policy = parsed(text)
    assert time.process_time() - began_s < 1
    if policy is None:
        return
    assert len(text) <= MOST_TEXT
    printed = parsed(show(policy)) if len(show(policy)) <= MOST_TEXT else policy
    assert printed == policy
    assert read(policy.encode()) == policy
    assert len(list(explain(policy))) == len(policy.clauses)


@settings(max_examples=500)
@given(texts(8))
def test_canonical_form_survives_printing(text: str) -> None:
    check_one_meaning(text)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(lambda words: "xroute/1;" + " ".join(words)))
def test_any_words_are_refused_or_mean_one_thing(text: str) -> None:
    check_one_meaning(text)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=1100), st.binary(max_size=1100).map(lambda data: data.decode("latin-1"))))
def test_any_characters_are_refused_or_mean_one_thing(text: str) -> None:
    check_one_meaning(text)
    check_one_meaning("xroute/1\n" + text)


@settings(max_examples=150)
@given(st.data())
def test_clauses_in_another_order_are_the_same_policy(data: st.DataObject) -> None:
    policy = parsed(data.draw(texts(6)))
    assume(policy is not None)
    assert policy is not None
    head, *clauses = show(policy).split("\n")
    assert parse("\n".join([head, *data.draw(st.permutations(clauses))])) == policy


@settings(max_examples=500)
@given(
    st.one_of(st.binary(max_size=200), texts(6).map(lambda text: policy.encode() if (policy := parsed(text)) else b"")),
    st.data(),
)
def test_bytes_are_refused_or_canonical(data: bytes, more: st.DataObject) -> None:
    """Also bytes near a policy: with one of them changed, left out or doubled."""
    if data and more.draw(st.booleans()):
        at = more.draw(st.integers(0, len(data) - 1))
        data = data[:at] + more.draw(st.binary(max_size=2)) + data[at + more.draw(st.integers(0, 1)) :]
    try:
        policy = read(data)
    except PolicyError:
        return
    assert policy.encode() == data


DIRECT = RouteAttributes(hops=(HopAttributes(b"a" * 32, status=Status.ACTIVE, validators=1, transit_ok=True),))


@settings(max_examples=150)
@given(texts(3), texts(3), routes())
@example("xroute/1; require each hop validators <= 1", "xroute/1; require each transit validators >= 2", DIRECT)
def test_the_conjunction_holds_where_both_hold(own: str, least: str, route: RouteAttributes) -> None:
    policy, minimum = parsed(own), parsed(least)
    assume(policy is not None)
    assume(minimum is not None)
    assert policy is not None
    assert minimum is not None
    both = first_failing(policy, route) is None and first_failing(minimum, route) is None
    try:
        assert (first_failing(strictest(policy, minimum), route) is None) == both
    except PolicyError:
        assert not both


@settings(max_examples=150)
@given(texts(6), routes())
def test_the_first_failing_clause_is_the_first(text: str, route: RouteAttributes) -> None:
    policy = parsed(text)
    assume(policy is not None)
    assert policy is not None
    index = first_failing(policy, route)
    held = [holds(condition, route) for condition in policy.conditions]
    assert held[:index] == [True] * len(held[:index])
    if index is not None and index < len(held):
        assert not held[index]


@settings(max_examples=150)
@given(texts(4), routes())
def test_a_contradiction_is_one(text: str, route: RouteAttributes) -> None:
    """A policy that is refused for a contradiction is satisfied by no route, clause by clause."""
    singles = [parsed(f"xroute/1;{clause}") for clause in text.split(";")[1:]]
    try:
        parse(text)
    except Contradiction:
        failing = [first_failing(each, route) for each in singles if each is not None]
        assert len(failing) == len(singles)
        assert len(route.hops) == 1 or any(index is not None for index in failing)
    except PolicyError:
        pass
