"""Between the graph in which a relayer looks for routes and what relayers tell each other.

Invariant: what others say becomes a fact of the graph only by proof; their claims stand beside the facts, and an edge
that nothing proves is there without facts, so that no route uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from nodes.ibc.client.tendermint import TYPE, Status
from nodes.xroute.flooding.ads import Ad, ChainAd, ChainClaims, ClientStatus, EdgeAd, EdgeClaims
from nodes.xroute.flooding.claims import ClaimedEdge, claimed_chains, claimed_edges
from nodes.xroute.flooding.database import Database
from nodes.xroute.flooding.facts import EdgeFacts
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.routes.graph import Chain, Claims, Edge, EdgeKey, Graph

__all__ = ["advertised", "with_told"]

_PPM = 1_000_000
_NS = 10**9
_STATUS = {Status.ACTIVE: ClientStatus.ACTIVE, Status.EXPIRED: ClientStatus.EXPIRED, Status.FROZEN: ClientStatus.FROZEN}
_PROVED = {each: status for status, each in _STATUS.items()}


def advertised(
    graph: Graph,
    measured: Mapping[EdgeKey, EdgeClaims] | None = None,
    loads: Mapping[ChainIdentity, ChainClaims] | None = None,
) -> Iterator[Ad]:
    """What a relayer says of its own graph: each edge, with what it measured of it, and each chain that it measured."""
    for edge in graph.edges:
        yield EdgeAd(
            edge.verifier,
            edge.tracked,
            edge.client,
            edge.counterparty,
            edge.client_type or "",
            ClientStatus.UNKNOWN if edge.status is None else _STATUS[edge.status],
            delay_s=(edge.delay_ns or 0) // _NS,
            claims=(measured or {}).get(edge.key),
        )
    for identity, claims in (loads or {}).items():
        yield ChainAd(identity, claims=claims)


def with_told(
    graph: Graph, database: Database, stakes: Mapping[bytes, int], proved: Iterable[EdgeFacts], now_ns: int
) -> Graph:
    """A relayer's own graph, with what others say: their claims of its chains and edges, and edges that are new to it.

    `proved` are facts from their advertisements (`facts.edge_facts`).
    """
    facts = {(each.verifier, each.client_id): each for each in proved}
    loads = claimed_chains(database, stakes)
    known = {edge.key: edge for edge in graph.edges}
    chains = {chain.identity: chain for chain in graph.chains}
    for (verifier, tracked, client), said in claimed_edges(database, stakes).items():
        key = ChainIdentity(verifier), ChainIdentity(tracked), client
        if key in known:
            known[key] = replace(known[key], claims=_claims(said.claims))
        else:
            known[key] = _edge(key, said, facts.get((key[0], client)), now_ns)
            for identity in key[:2]:
                chains.setdefault(identity, Chain(identity, identity.hex()))
    for identity, chain in chains.items():
        load = loads.get(identity)
        if load is not None and load.claims is not None:
            chains[identity] = replace(chain, load_ppm=load.claims.congestion_ppm)
    return Graph(chains.values(), known.values())


def _edge(key: EdgeKey, said: ClaimedEdge, facts: EdgeFacts | None, now_ns: int) -> Edge:
    """An edge that the relayer does not know itself."""
    verifier, tracked, client = key
    claims = _claims(said.claims)
    if facts is None:
        return Edge(verifier, tracked, client, said.counterparty_client_id, None, None, claims=claims)
    level = facts.trust_level
    return Edge(
        verifier,
        tracked,
        client,
        said.counterparty_client_id,
        _PROVED[facts.status(now_ns)],
        TYPE.partition("-")[2],
        trust_level_ppm=level.numerator * _PPM // level.denominator,
        trusting_left_ns=max(0, facts.latest_time_ns + facts.trusting_ns - now_ns),
        freshness_ns=max(0, now_ns - facts.latest_time_ns),
        claims=claims,
    )


def _claims(said: EdgeClaims | None) -> Claims:
    if said is None:
        return Claims()
    fee = said.recv_fee + said.ack_fee + said.update_cost
    return Claims(-(-fee // _PPM), said.rtt_ms + said.block_ms_p50, said.success_ppm)
