"""The chains and the clients between them, as a relayer's own nodes say: the graph in which it looks for routes.

Invariant: every fact of the graph was read from a chain's state or headers by the relayer itself; what is only claimed
(latency, fees, load) comes from others, and decides nothing but the order of attempts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nodes.ibc.client.tendermint import TYPE, Status
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.proto import ibc, queries
from nodes.ibc.proto.cosmos_base import PageRequest
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.relayer.calls import Ask, Flow, SignedHeaderAt, Stored, Unanswered, ValidatorsAt, header_of, opened
from nodes.ibc.relayer.clients import QUERY
from nodes.ibc.relayer.follow import Followed
from nodes.xroute.identity import ChainIdentity, identity
from nodes.xroute.names.binding import key_of_binding
from nodes.xroute.names.labels import STORE as NAMES
from nodes.xroute.policy.power import nakamoto, top1_share_ppm
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.transit import TransitPolicy
from nodes.xroute.routes.graph import Chain, Edge, Graph, Transit, TransitRule

__all__ = ["Network"]

_PAGE = 1000
_PPM = 1_000_000


class Network:
    """What is known of the chains that a relayer serves."""

    def __init__(self, chains: Mapping[str, Followed], names: Mapping[str, str] | None = None) -> None:
        """`names` are those by which policies call chains, where these differ from what calls name them by."""
        self._followed = chains
        self._names = names or {}
        self.identities: dict[str, ChainIdentity] = {}
        self.chain_of: dict[ChainIdentity, str] = {}  # what calls name a chain
        self.graph = Graph((), ())
        self.version = 0  # of the graph

    def discover(self) -> Flow[None]:
        """Ask all chains anew. Unanswered where one does not answer; then what was known stays."""
        chains: list[Chain] = []
        edges: list[Edge] = []
        for name in self._followed:
            chains += ((yield from self._chain(name)),)
        for name in self._followed:
            edges += yield from self._edges(name)
        self.graph = Graph(chains, edges)
        self.version += 1

    def _chain(self, name: str) -> Flow[Chain]:
        height = self._followed[name].height
        first, validators = yield SignedHeaderAt(name, 1), ValidatorsAt(name, height)
        transit = yield from _held(Stored(name, paths.TRANSIT, height))
        anchor = header_of(first)
        made = self.identities[name] = identity(anchor.chain_id, 1, header_hash(anchor))
        self.chain_of[made] = name
        powers = [each.voting_power for each in validators]
        return Chain(
            made, self._names.get(name, name), None, nakamoto(powers), len(powers), top1_share_ppm(powers),
            transit=_transit(transit),
        )  # fmt: skip

    def _edges(self, name: str) -> Flow[list[Edge]]:
        """The clients of a chain that are bound to chains served here, and have a counterparty."""
        height = self._followed[name].height
        asked = queries.QueryClientStatesRequest(PageRequest(limit=_PAGE))
        (page,) = yield (Ask(name, f"{QUERY}/ClientStates", asked, queries.QueryClientStatesResponse),)
        found = []
        for each in page.client_states:
            bound = yield from _held(Stored(name, key_of_binding(each.client_id), height, NAMES))
            peer = yield from _held(Stored(name, ibc_paths.client_counterparty(each.client_id), height))
            tracked = ChainIdentity(bound)
            if tracked in self.chain_of and peer:
                counterparty = ibc.CounterpartyInfo.decode(peer).client_id
                found.append(self._edge(name, tracked, each, counterparty))
        return found

    def _edge(self, name: str, tracked: ChainIdentity, client: ibc.IdentifiedClientState, counterparty: str) -> Edge:
        state = opened(client.client_state, ibc.ClientState)
        level = state.trust_level
        return Edge(
            self.identities[name],
            tracked,
            client.client_id,
            counterparty,
            Status.ACTIVE if state.frozen_height == ibc.Height() else Status.FROZEN,
            TYPE.partition("-")[2],
            trust_level_ppm=level.numerator * _PPM // level.denominator,
            trusting_left_ns=state.trusting_period.ns,  # once it is updated, as it will be
            freshness_ns=0,
            delay_ns=0,
        )

    def froze(self, name: str, client: str) -> None:
        """A client was shown misbehaviour."""
        where = self.identities.get(name), client
        frozen = [edge for edge in self.graph.edges if (edge.verifier, edge.client) == where]
        changed = [replace(edge, status=Status.FROZEN) for edge in frozen]
        self.graph = self.graph.with_edges(changed)
        self.version += 1


def _held(question: Stored) -> Flow[bytes]:
    """What is under a key; nothing, too, where the whole store is empty, of which no chain proves anything."""
    try:
        (found,) = yield (question,)
    except Unanswered as failure:
        if "empty" in str(failure):
            return b""
        raise
    return bytes(found.value)


def _transit(value: bytes) -> Transit | None:
    """What a chain has published; None for bytes that mean nothing."""
    try:
        policy = TransitPolicy.decode(value)
    except WireError:
        return None
    rule = TransitRule(policy.rule.name.lower().replace("_", "-"))
    return Transit(rule, frozenset(each.hex() for each in policy.chains))
