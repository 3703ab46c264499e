"""Deliveries for which relayers stand, judged: who signed, whether a stake stood behind it, and for which route.

Invariant: signatures are verified here again, and stakes are those of the chain's own events up to the announcement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from nodes.ibc.core.events import Event
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.keys import is_signed
from nodes.xroute.module.messages import Certificate
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.module.terms import LEAST_VOTES
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.proofs.messages import MOST_HOPS, route_id
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.routes.graph import Edge, Graph, hop_of

__all__ = ["STAKES", "Vouching"]

STAKES = ("xroute_stake", "xroute_slash")
"""Events that say what a relayer has at stake from then on."""


@dataclass(frozen=True, slots=True)
class _Vouched:
    route_id: bytes
    voters: int  # with a stake, whose signature holds


class Vouching:
    """What relayers have signed, by message."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.slashed = 0  # stakes that were lost
        self._stakes: defaultdict[ChainIdentity, dict[str, int]] = defaultdict(dict)
        self._vouched: dict[str, _Vouched] = {}
        self._from: defaultdict[ChainIdentity, list[Edge]] = defaultdict(list)
        for edge in graph.edges:
            self._from[edge.verifier].append(edge)

    def staked(self, chain: ChainIdentity, event: Event) -> None:
        """An event of `STAKES`."""
        self.slashed += event.type == "xroute_slash"
        self._stakes[chain][event["relayer"]] = 0 if event.type == "xroute_slash" else int(event["amount"])

    def announced(self, chain: ChainIdentity, parcel: Parcel, certificate: Certificate) -> None:
        """A chain has taken a certificate."""
        signed = sign_bytes(parcel.destination, certificate.statement)
        voters = {
            vote.relayer
            for vote in certificate.votes
            if self._stakes[chain].get(vote.relayer.hex()) and is_signed(vote.relayer, signed, vote.signature)
        }
        names_it = certificate.statement.message_id == parcel.id
        self._vouched[parcel.id.hex()] = _Vouched(certificate.statement.route_id, len(voters) if names_it else 0)

    def reason(self, parcel: Parcel, policy: Policy) -> str:
        """Why a message should not have been delivered; "" where it was rightly."""
        vouched = self._vouched.get(parcel.id.hex())
        wanted = max(LEAST_VOTES, parcel.envelope.threshold)
        if vouched is None or vouched.voters < wanted:
            return f"{vouched.voters if vouched else 0} relayers with a stake stand for it, where {wanted} are required"
        route = next((edges for name, edges in self._routes(parcel, ()) if name == vouched.route_id), None)
        if route is None:
            return "a route that is not there"
        hops = tuple(self._hop(parcel, edge) for edge in route)
        failing = first_failing(policy, RouteAttributes(hops, parcel.envelope.mode.word))
        return "" if failing is None else f"clause {failing}"

    def _routes(self, parcel: Parcel, edges: tuple[Edge, ...]) -> Iterator[tuple[bytes, tuple[Edge, ...]]]:
        """All routes from the destination to the source that go on from some edges, with their ids."""
        identities = (parcel.destination, *(edge.tracked for edge in edges))
        if identities[-1] == parcel.source:
            yield route_id(identities, tuple(edge.client for edge in edges)), edges
        elif len(edges) < MOST_HOPS:
            for edge in self._from[identities[-1]]:
                if edge.tracked not in identities:
                    yield from self._routes(parcel, (*edges, edge))

    def _hop(self, parcel: Parcel, edge: Edge) -> HopAttributes:
        source, destination, tracked = (
            self._graph.chains[self._graph.number[each]] for each in (parcel.source, parcel.destination, edge.tracked)
        )
        return hop_of(edge, tracked, tracked.transit is not None and tracked.transit.lets_pass(source, destination))
