"""Policies and routes for property tests: clauses drawn from the grammar, and hops with any attributes."""

from __future__ import annotations

from hypothesis import strategies as st

from nodes.ibc.client.tendermint import Status
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes

CHAINS = tuple("abcdefgh")
KEYS = ("fee", "latency", "hops", "nakamoto", "load", "success", "spread")
_SCOPES = st.sampled_from(["each hop", "each chain", "each transit", "source", "any hop"])
_SIGNS = st.sampled_from([">=", "<=", "=", "!=", ">", "<"])


def identity_of(name: str) -> ChainIdentity:
    """The identity of a test's chain."""
    return ChainIdentity(name.encode().ljust(32, b"."))


def sets(names: tuple[str, ...] = CHAINS, most: int = 3) -> st.SearchStrategy[str]:
    chosen = st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True)
    return chosen.map(lambda each: "{" + ", ".join(each) + "}")


def joined(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(each) if isinstance(each, str) else each for each in parts)).map(" ".join)


def _numbers(low: int, high: int, unit: str = "") -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda number: f"{number}{unit}")


def conditions() -> st.SearchStrategy[str]:
    """Clauses `require` of all kinds, over chains a to h and small numbers."""
    member = st.sampled_from(["in", "not in"])
    return joined(
        "require",
        st.one_of(
            joined(_SCOPES, st.sampled_from(["nakamoto", "validators"]), _SIGNS, _numbers(1, 12)),
            joined(_SCOPES, st.sampled_from(["freshness", "trusting_left"]), _SIGNS, _numbers(1, 9, "s")),
            joined(_SCOPES, st.sampled_from(["top1_share", "trust_level"]), _SIGNS, _numbers(1, 99, "%")),
            joined(_SCOPES, "client_type", member, sets(("tendermint", "attestation", "solo"))),
            joined(_SCOPES, member, sets()),
            joined("route nakamoto >=", _numbers(1, 12)),
            joined("route hops", _SIGNS, _numbers(1, 5)),
            joined("via any", sets()),
            joined("via all", sets(most=2)),
            joined("avoid", sets()),
            st.just("each transit transit_ok = true"),
            st.just("names agree"),
            joined("mode", sets(("e2e", "hop", "quorum"))),
        ),
    )


def others() -> st.SearchStrategy[str]:
    """Clauses that are no conditions."""
    return st.one_of(
        joined("limit hops", _numbers(1, 6)),
        joined("limit fee", _numbers(1, 60, "ufee")),
        joined("limit time", _numbers(1, 60, "s")),
        st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).map(
            lambda keys: f"prefer {', '.join(keys)}"
        ),
        joined(
            "on", st.sampled_from(["expired", "frozen", "halted"]), st.sampled_from(["reroute", "hold 5s", "relax 9"])
        ),
    )


def texts(most: int = 4) -> st.SearchStrategy[str]:
    """Policies as text; some are refused, by clauses that contradict each other or stand twice."""
    clauses = st.lists(st.one_of(conditions(), others()), max_size=most)
    return clauses.map(lambda each: "; ".join(["xroute/1", *each]))


def hops(name: str) -> st.SearchStrategy[HopAttributes]:
    """A hop to a chain of that name, of which much is proven, and some is not."""

    def known(strategy: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
        return st.one_of(strategy, strategy, strategy, st.none())

    return st.builds(
        HopAttributes,
        identity=st.just(identity_of(name)),
        name=st.sampled_from([name, name, name, None]),
        client_type=st.sampled_from(["tendermint", "tendermint", "attestation", None]),
        status=st.just(Status.ACTIVE),
        trust_level_ppm=known(st.integers(333_333, 1_000_000)),
        trusting_left_ns=known(st.integers(0, 12 * 10**9)),
        freshness_ns=known(st.integers(0, 12 * 10**9)),
        nakamoto=known(st.integers(1, 12)),
        validators=known(st.integers(1, 12)),
        top1_share_ppm=known(st.integers(1, 1_000_000)),
        transit_ok=st.sampled_from([True, True, False, None]),
    )


@st.composite
def routes(draw: st.DrawFn) -> RouteAttributes:
    """A route of one to five hops over different chains."""
    names = draw(st.lists(st.sampled_from(CHAINS), min_size=1, max_size=5, unique=True))
    agree = draw(st.sampled_from([True, False, None]))
    return RouteAttributes(tuple(draw(hops(name)) for name in names), draw(st.sampled_from(["e2e", "hop"])), agree)
