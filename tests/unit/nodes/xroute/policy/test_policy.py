"""The policy language by example: canonical bytes, words of refusals, contradictions, evaluation, conjunction."""

from __future__ import annotations

from dataclasses import replace

import pytest
from xroute_policies import identity_of

from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Condition, LimitKind, Policy
from nodes.xroute.policy.conjunction import strictest
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.policy.parser import parse, read
from nodes.xroute.policy.power import nakamoto, top1_share_ppm
from nodes.xroute.policy.terms import Attribute, Comparison, Kind, PolicyError, Scope
from nodes.xroute.policy.text import explain, show

EXAMPLE = (
    "xroute/1; require each transit nakamoto >= 8; require each hop client_type in {tendermint}; require each hop "
    "freshness <= 120s; avoid {chain-x}; limit hops 3; limit fee 100000ufee; prefer fee, latency; on expired reroute"
)

POLICY_ID = "0110f16d2b16706cf6356450789c081b97b1d7c51e50ad0d8c733c4291dd9885"


def hop(name: str, **values: object) -> HopAttributes:
    known = HopAttributes(identity_of(name), name, client_type="tendermint", freshness_ns=10**9, nakamoto=9)
    return replace(known, **values)  # type: ignore[arg-type]


def failing(text: str, *hops: HopAttributes, **more: object) -> int | None:
    return first_failing(parse(f"xroute/1; {text}"), RouteAttributes(hops, **more))  # type: ignore[arg-type]


def test_an_example_in_canonical_form() -> None:
    policy = parse(EXAMPLE)
    assert show(policy).split("\n") == [
        "xroute/1",
        "require each hop freshness <= 2min",
        "require each transit nakamoto >= 8",
        "require each hop client_type in {tendermint}",
        "require avoid {chain-x}",
        "limit hops 3",
        "limit fee 100000ufee",
        "prefer fee, latency",
        "on expired reroute",
    ]
    assert policy.encode().hex() == (
        "0a0d1001180720012880e0ba84bf030a061002180128080a12080110012004320a74656e6465726d696e740a0f0802100120053207636861"
        "696e2d78120408011003120c080210a08d061a04756665651a020102220408011001"
    )
    assert policy.policy_id.hex() == POLICY_ID
    assert read(policy.encode()) == policy
    assert len(list(explain(policy))) == len(policy.clauses) == 8


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("require each chain nakamoto > 7", "require route nakamoto >= 8"),
        ("require each chain not in {b, a}", "avoid {a, b}"),
        ("require each hop freshness <= 120s", "require each hop freshness <= 2min"),
        ("require each hop trust_level >= 1/4", "require each hop trust_level >= 25.0%"),
        ("avoid {a}\nlimit hops 2", "limit hops 2 ;; require avoid {a}; avoid {a}"),
    ],
)
def test_what_means_the_same_has_the_same_id(one: str, other: str) -> None:
    assert parse(f"xroute/1; {one}").policy_id == parse(f"xroute/1; {other}").policy_id


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with ''; expected 'xroute/1'"),
        ("xroute/2; limit hops 3", "begins with 'xroute/2'"),
        ("xroute/1; limit hops 3; foo", "clause 2, `foo`: 'foo'; expected 'require' or 'prefer' or 'limit' or 'on'"),
        ("xroute/1; avoid {a}; via x {b}", "clause 2, `via x {b}`: 'x'; expected 'any' or 'all'"),
        ("xroute/1; require each transit nakmoto >= 8", "nakmoto >= 8`: 'nakmoto'; expected one of nakamoto"),
        ("xroute/1; require each hop fee <= 3", "fee is a claim of relayers, which no chain can prove"),
        ("xroute/1; require each hop freshness <= 5 s", "'5'; expected a duration such as 120s"),
        ("xroute/1; require each hop trust_level >= 101%", "101%; expected a share such as 25%, 12.5% or 1/3, from 0"),
        ("xroute/1; require each chain nakamoto >= 0", ">= 0; expected a whole number, from 1 to 65535"),
        ("xroute/1; require each hop client_type in {a", "its end; expected ',' or '}'"),
        ("xroute/1; avoid {}", "'}'; expected a name such as chain-x.zone"),
        ("xroute/1; avoid {a, a}", "a twice; expected each name once"),
        ("xroute/1; avoid {A}", "'A'; expected a name"),
        ("xroute/1; require each hop hops < 3", "hops in this scope; expected `route hops`"),
        ("xroute/1; require route client_type in {a}", "client_type in this scope; expected `each hop client_type`"),
        ("xroute/1; require route nakamoto <= 4", "expected >=, or `any hop nakamoto`"),
        ("xroute/1; require mode {e3e}", "mode e3e; expected modes of e2e, hop, quorum, zk-model"),
        ("xroute/1; limit fee 10", "'10'; expected an amount with its denom"),
        ("xroute/1; limit bytes 99999999999999999999", "expected a number of bytes"),
        ("xroute/1; limit bytes 0", "expected a number of bytes"),
        ("xroute/1; limit hops 3; limit hops 2", "clause 2, `limit hops 2`: hops for the second time"),
        ("xroute/1; prefer fee, fee", "fee for the second time"),
        ("xroute/1; limit hops 3 4", "'4'; expected its end"),
        ("xroute/1; on expired relax 2000", "relax 2000; expected percent"),
        ("xroute/1; require any hop in {a}; via any {b}; via all {c, d, e}", "expected 4 together at most"),
        ("xroute/1; avoid {é}", "character 18, 'é'; expected printable ASCII"),
        ("xroute/1" + "; limit hops 3" * 33, "33 clauses; expected at most 32"),
        ("xroute/1;" + " " * 1024, "1033 characters; expected at most 1024"),
    ],
)  # fmt: skip
def test_refusals_name_the_clause_and_what_is_expected(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "require each transit nakamoto >= 8; require each chain nakamoto <= 5",
        "require source nakamoto = 3; require source nakamoto != 3",
        "require each hop client_type in {a}; require each hop client_type in {b}",
        "require each transit in {a, b}; avoid {a, b}",
        "avoid {a}; via all {a, b}",
        "avoid {a, b}; via any {a, b}",
        "limit hops 1; via any {a}",
        "limit hops 3; via all {a, b, c}",
        "limit hops 2; require route hops >= 3",
        "require each hop freshness <= 5s; require any hop freshness >= 6s",
        "require disjoint 2; via all {a}",
        "require disjoint 3; via any {a, b}",
        "require disjoint 2; limit hops 1",
    ],
)
def test_contradictions_are_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse(f"xroute/1; {text}")
    for clause in text.split(";"):
        parse(f"xroute/1; {clause}")


def test_what_only_looks_like_a_contradiction_is_accepted() -> None:
    identity = identity_of("a").hex()
    parse(f"xroute/1; require source in {{a}}; require source in {{{identity}}}")  # two names of one chain, perhaps
    parse(
        "xroute/1; limit hops 1; require each transit nakamoto >= 8; require each transit nakamoto <= 5"
    )  # no transit
    parse("xroute/1; require source nakamoto <= 5; require each transit nakamoto >= 8")
    parse("xroute/1; require source freshness <= 5s; require any hop freshness >= 6s")


def test_scopes() -> None:
    source, transit = hop("s", nakamoto=3), hop("t", nakamoto=9)
    assert failing("require each transit nakamoto >= 8", transit, source) is None
    assert failing("require each chain nakamoto >= 8", transit, source) == 0
    assert failing("require source nakamoto <= 3", transit, source) is None
    assert failing("require any hop nakamoto >= 9", transit, source) is None
    assert failing("require any hop nakamoto >= 10", transit, source) == 0
    assert failing("require each transit nakamoto >= 8", source) is None  # a direct route has no transit
    assert failing("require route hops = 2", transit, source) is None
    assert failing("limit hops 1; require each transit nakamoto >= 8", transit, source) == 1


def test_what_is_not_proven_satisfies_nothing() -> None:
    unknown = HopAttributes(identity_of("s"))
    for text in ("nakamoto >= 1", "nakamoto != 5", "client_type not in {a}", "not in {a}"):
        assert failing(f"require each hop {text}", unknown) == 0
    assert failing("require names agree", hop("s")) == 0
    assert failing("require registry {r}", hop("s")) == 0
    assert failing(f"avoid {{{identity_of('t').hex()}}}", unknown) is None  # its identity is known


def test_ways() -> None:
    route = (hop("a"), hop("b"), hop("s"))
    assert failing("via all {a, b}", *route) is None
    assert failing("via all {a, s}", *route) == 0  # the source is no transit
    assert failing("via any {x, b}", *route) is None
    assert failing("avoid {s}", *route) == 0
    assert failing(f"via any {{{identity_of('a').hex()}}}", *route) is None
    assert failing("require mode {hop}", *route) == 0
    assert failing("require mode {e2e}; require names agree", *route, names_agree=True) is None
    assert failing("require registry {r, q}", hop("a", registry="q"), hop("s", registry="r")) is None


def test_the_conjunction_is_stricter_than_both() -> None:
    policy = parse(
        "xroute/1; require mode {e2e, hop}; limit hops 3; limit fee 5ufee; prefer fee; require registry {a, b}"
    )
    minimum = parse(
        "xroute/1; require mode {hop, quorum}; limit hops 2; limit bytes 9; prefer hops; require disjoint 2; "
        "require registry {c, b, a}"
    )
    assert show(strictest(policy, minimum)).split("\n")[1:] == [
        "require disjoint 2",
        "require mode {hop}",
        "require registry {b, a}",
        "limit hops 2",
        "limit fee 5ufee",
        "limit bytes 9",
        "prefer fee",
    ]


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("require mode {e2e}", "require mode {hop}"),
        ("require registry {a}", "require registry {b}"),
        ("via any {a}", "avoid {a}"),
    ],
)
def test_a_conjunction_that_no_route_satisfies_is_refused(text: str, least: str) -> None:
    with pytest.raises(PolicyError, match="the policy and the receiver's minimum"):
        strictest(parse(f"xroute/1; {text}"), parse(f"xroute/1; {least}"))


@pytest.mark.parametrize(
    "policy",
    [
        Policy((Condition(Kind.ATTRIBUTE, Scope.EACH, Attribute.NONE, Comparison.AT_LEAST, 1),)),
        Policy((Condition(Kind.ATTRIBUTE, Scope.EACH, Attribute.FEE, Comparison.AT_LEAST, 1),)),
        Policy((Condition(Kind.ATTRIBUTE, Scope.EACH, Attribute.NAKAMOTO, Comparison.IN, 1),)),
        Policy((Condition(Kind.CHAINS, Scope.EACH, comparison=Comparison.IN, names=("b", "a")),)),
        Policy((Condition(Kind.CHAINS, Scope.EACH, comparison=Comparison.IN, names=("a}\nlimit hops 3\navoid {b",)),)),
        Policy((Condition(Kind.NAMES_AGREE, value=1),)),
    ],
)
def test_encodings_that_no_text_has_are_refused(policy: Policy) -> None:
    with pytest.raises(PolicyError):
        read(policy.encode())


def test_limits_and_disjoint_are_read_from_a_policy() -> None:
    policy = parse("xroute/1; limit time 90s; require disjoint 3")
    assert (policy.limit(LimitKind.TIME), policy.limit(LimitKind.HOPS), policy.disjoint) == (90 * 10**9, None, 3)


@pytest.mark.parametrize(
    ("powers", "coefficient"),
    [
        ([1], 1),
        ([1, 1, 1], 2),
        ([1] * 100, 34),
        ([34, 33, 33], 1),
        ([33, 33, 34], 1),
        ([100, 99, 98, 3], 2),
        ([9] * 9, 4),
    ],
)
def test_the_nakamoto_coefficient_needs_more_than_a_third(powers: list[int], coefficient: int) -> None:
    assert nakamoto(powers) == coefficient


def test_powers_that_pad_a_list_are_refused() -> None:
    for powers in ([], [5, 0], [5, -1]):
        with pytest.raises(ValueError, match="expected"):
            nakamoto(powers)
    assert top1_share_ppm([2, 1]) == 666_667
