"""Chains and the clients between them, as a relayer or a planner knows them.

Invariant: facts (what light clients and registries prove) and claims (what relayers say) stand apart. Claims never
decide whether the destination accepts a route, only which one is tried first. A `Graph` does not change: a change makes
another.

An edge leads from the chain that verifies to the chain that it tracks, as routes do: from destination to source.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from emulator.model.errors import Absent, Unfit
from nodes.ibc.client.tendermint import Status
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.attributes import HopAttributes

EdgeKey = tuple[ChainIdentity, ChainIdentity, str]  # verifying chain, tracked chain, client


class TransitRule(Enum):
    """What a chain says of messages that pass through it."""

    ALLOW = "allow"
    DENY = "deny"
    ONLY_TO = "only-to"  # destinations in a set
    ONLY_FROM = "only-from"  # sources in a set


@dataclass(frozen=True, slots=True)
class Transit:
    """A chain's own policy as a transit; chains of its set are named by name or by identity in hex."""

    rule: TransitRule = TransitRule.ALLOW
    chains: frozenset[str] = frozenset()

    def lets_pass(self, source: Chain, destination: Chain) -> bool:
        """Whether a route from source to destination may pass."""
        if self.rule in (TransitRule.ALLOW, TransitRule.DENY):
            return self.rule is TransitRule.ALLOW
        asked = destination if self.rule is TransitRule.ONLY_TO else source
        return not self.chains.isdisjoint((asked.name, asked.identity.hex()))


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain. Facts are None where nothing proves them; `load_ppm` is a claim."""

    identity: ChainIdentity
    name: str
    registry: str | None = None
    nakamoto: int | None = None
    validators: int | None = None
    top1_share_ppm: int | None = None
    stake_value: int | None = None
    misbehaviour_age_ns: int | None = None
    finality_ns: int | None = None
    transit: Transit | None = Transit()  # what no key of the chain's store says is allowed
    load_ppm: int | None = None  # gas used of the gas that fits, over the last blocks


@dataclass(frozen=True, slots=True)
class Claims:
    """What relayers say of delivering over an edge."""

    fee: int | None = None  # in units of the fee's denom
    latency_ms: int | None = None
    success_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A client on the chain `verifier` that tracks the chain `tracked`. Facts are None where nothing proves them."""

    verifier: ChainIdentity
    tracked: ChainIdentity
    client: str
    counterparty: str  # the client of the other direction, on the tracked chain
    status: Status | None = Status.ACTIVE
    client_type: str | None = "tendermint"
    trust_level_ppm: int | None = None
    trusting_left_ns: int | None = None
    freshness_ns: int | None = None
    delay_ns: int | None = None
    attest_m: int | None = None
    attest_n: int | None = None
    claims: Claims = Claims()

    @property
    def key(self) -> EdgeKey:
        """What no other edge has. On a chain a client tracks one chain; lists that people keep may claim two of it."""
        return self.verifier, self.tracked, self.client


def hop_of(edge: Edge, chain: Chain, transit_ok: bool | None) -> HopAttributes:
    """What is proved of a hop over an edge to its tracked chain."""
    return HopAttributes(
        identity=chain.identity,
        name=chain.name,
        registry=chain.registry,
        client_type=edge.client_type,
        status=edge.status,
        trust_level_ppm=edge.trust_level_ppm,
        trusting_left_ns=edge.trusting_left_ns,
        freshness_ns=edge.freshness_ns,
        delay_ns=edge.delay_ns,
        attest_m=edge.attest_m,
        attest_n=edge.attest_n,
        nakamoto=chain.nakamoto,
        validators=chain.validators,
        top1_share_ppm=chain.top1_share_ppm,
        transit_ok=transit_ok,
        stake_value=chain.stake_value,
        misbehaviour_age_ns=chain.misbehaviour_age_ns,
        finality_ns=chain.finality_ns,
    )


class Graph:
    """Chains by number (the order in which they were given), and edges that join them."""

    def __init__(self, chains: Iterable[Chain], edges: Iterable[Edge]) -> None:
        """Unfit where two chains share name or identity, two edges have one key, or an edge joins no two chains."""
        self.chains = tuple(chains)
        self.edges = tuple(edges)
        self.number = {chain.identity: number for number, chain in enumerate(self.chains)}
        self._by_name = {chain.name: chain for chain in self.chains}
        if min(len(self.number), len(self._by_name)) < len(self.chains):
            raise Unfit("two chains of one name or identity", "each once")
        self._by_key = {edge.key: edge for edge in self.edges}
        if len(self._by_key) < len(self.edges):
            raise Unfit("two edges of one client", "each once")
        for edge in self.edges:
            if edge.verifier == edge.tracked or not {edge.verifier, edge.tracked} <= self.number.keys():
                raise Unfit(f"client {edge.client} between chains that are one or unknown", "two chains of the graph")

    def chain(self, name: str) -> Chain:
        """The chain of a name, or the chain of an application's name (`app.chain.zone`). Absent where there is none."""
        for asked in (name, name.partition(".")[2]):
            if asked in self._by_name:
                return self._by_name[asked]
        raise Absent(f"chain {name!r}", f"a chain of the graph, such as {', '.join(sorted(self._by_name)[:5])}")

    def reverse(self, edge: Edge) -> Edge | None:
        """The edge of the other direction, by the clients that both name."""
        back = self._by_key.get((edge.tracked, edge.verifier, edge.counterparty))
        return back if back is not None and back.counterparty == edge.client else None

    def is_usable(self, edge: Edge) -> bool:
        """Whether both clients of a hop are active: one carries messages, the other their acknowledgements."""
        back = self.reverse(edge)
        return back is not None and edge.status is back.status is Status.ACTIVE

    def with_edges(self, changed: Iterable[Edge]) -> Graph:
        """The graph with edges in place of those of the same client, or beside the others."""
        edges: Mapping[EdgeKey, Edge] = self._by_key | {edge.key: edge for edge in changed}
        return Graph(self.chains, edges.values())

    def neighbours(self) -> dict[ChainIdentity, set[ChainIdentity]]:
        """The chains that each chain is joined with by usable edges."""
        found: dict[ChainIdentity, set[ChainIdentity]] = defaultdict(set)
        for edge in self.edges:
            if self.is_usable(edge):
                found[edge.verifier].add(edge.tracked)
        return found


def both_ways(edge: Edge) -> tuple[Edge, Edge]:
    """An edge, and the one of the other direction with the same values."""
    back = dataclasses.replace(
        edge, verifier=edge.tracked, tracked=edge.verifier, client=edge.counterparty, counterparty=edge.client
    )
    return edge, back
