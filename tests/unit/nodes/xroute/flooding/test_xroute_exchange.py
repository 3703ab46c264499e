"""What relayers tell each other, in the graphs in which they look for routes."""

from __future__ import annotations

from dataclasses import replace

from xroute_flood import Net, identity_of, key_of

from nodes.ibc.client.tendermint import Status
from nodes.ibc.proto.ibc import Fraction, Height
from nodes.xroute.flooding.ads import ChainClaims, EdgeClaims
from nodes.xroute.flooding.exchange import advertised, with_told
from nodes.xroute.flooding.facts import EdgeFacts
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.routes.graph import Chain, Claims, Edge, Graph, both_ways

NOW_NS = 10**18


def identity(name: str) -> ChainIdentity:
    return ChainIdentity(identity_of(name))


def graph(*pairs: str) -> Graph:
    """Chains that are joined both ways: "xy" joins x and y."""
    names = sorted(set("".join(pairs)))
    edges = [
        each
        for a, b in pairs
        for each in both_ways(Edge(identity(a), identity(b), f"client-{a}{b}", f"client-{b}{a}", delay_ns=0))
    ]
    return Graph([Chain(identity(name), name) for name in names], edges)


def told(**graphs: Graph) -> Net:
    """Relayers that have said what they know."""
    net = Net(sorted(graphs), [("a", "b")])
    for name, known in graphs.items():
        measured = {edge.key: EdgeClaims(20, 1_000, 0, 0, 500_000, 400_000, 1, 990_000) for edge in known.edges}
        for ad in advertised(known, measured, {known.chains[0].identity: ChainClaims(700_000)}):
            net.announce(name, ad)
    net.run(1_000)
    assert net.converged()
    return net


def facts_of(edge: Edge, **changes: object) -> EdgeFacts:
    made = EdgeFacts(
        edge.verifier, edge.client, "y-1", False, Height(1, 5), NOW_NS - 60, bytes(32), 100, Fraction(1, 3), NOW_NS
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_claims_of_known_edges_stand_beside_their_facts() -> None:
    own = graph("xy")
    net = told(a=own, b=own)
    found = with_told(own, net.relayers["a"].database, net.stakes, (), NOW_NS)
    claims = Claims(fee=1, latency_ms=1_020, success_ppm=990_000)
    assert found.edges == tuple(replace(edge, claims=claims) for edge in own.edges)
    assert [chain.load_ppm for chain in found.chains] == [700_000, None]
    assert [replace(chain, load_ppm=None) for chain in found.chains] == list(own.chains)


def test_an_edge_that_nothing_proves_is_known_and_not_used() -> None:
    own, other = graph("xy"), graph("yz")
    net = told(a=own, b=other)
    found = with_told(own, net.relayers["a"].database, net.stakes, (), NOW_NS)
    assert {edge.key for edge in found.edges} == {edge.key for edge in (*own.edges, *other.edges)}
    assert len(found.chains) == 3
    assert found.neighbours() == own.neighbours()
    assert all(edge.status is None is edge.trust_level_ppm for edge in found.edges if edge.key not in _keys(own))


def test_a_proved_edge_is_used_until_it_freezes_or_expires() -> None:
    own, other = graph("xy"), graph("yz")
    net = told(a=own, b=other)
    database = net.relayers["a"].database
    proved = [facts_of(edge) for edge in other.edges]
    found = with_told(own, database, net.stakes, proved, NOW_NS)
    assert found.neighbours()[identity("z")] == {identity("y")}
    edge = next(edge for edge in found.edges if edge.key not in _keys(own))
    assert (edge.status, edge.trusting_left_ns, edge.freshness_ns) == (Status.ACTIVE, 40, 60)
    assert edge.trust_level_ppm == 333_333
    late = with_told(own, database, net.stakes, proved, NOW_NS + 40)
    assert late.neighbours() == own.neighbours()
    frozen = with_told(own, database, net.stakes, [replace(each, is_frozen=True) for each in proved], NOW_NS)
    assert frozen.neighbours() == own.neighbours()


def test_who_has_no_stake_says_nothing() -> None:
    own, other = graph("xy"), graph("yz")
    net = told(a=own, b=other)
    net.stakes[key_of("b").public] = 0
    found = with_told(own, net.relayers["a"].database, net.stakes, (), NOW_NS)
    assert {edge.key for edge in found.edges} == _keys(own)


def _keys(of: Graph) -> set[object]:
    return {edge.key for edge in of.edges}
