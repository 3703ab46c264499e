"""The chains and the clients between them, as a relayer's own nodes say: the graph in which it looks for routes.

Invariant: every fact of the graph was read from a chain's state or headers by the relayer itself; what is only claimed
(latency, fees, load) comes from others, and decides nothing but the order of attempts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nodes.ibc.client.tendermint import TYPE, Status
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.proto import ibc, queries
from nodes.ibc.proto.comet import Validator
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
        self.own = Graph((), ())  # what this relayer read itself
        self.graph = self.own  # with what others say
        self.version = 0  # of the graph

    def discover(self) -> Flow[None]:
        """Ask all chains anew. Unanswered where one does not answer; then what was known stays."""
        names = list(self._followed)
        heights = {name: self._followed[name].height for name in names}
        firsts = yield tuple(SignedHeaderAt(name, 1) for name in names)
        sets = yield tuple(ValidatorsAt(name, heights[name]) for name in names)
        asked = queries.QueryClientStatesRequest(PageRequest(limit=_PAGE))
        pages = yield tuple(
            Ask(name, f"{QUERY}/ClientStates", asked, queries.QueryClientStatesResponse) for name in names
        )
        for name, anchor in zip(names, map(header_of, firsts), strict=True):
            made = self.identities[name] = identity(anchor.chain_id, 1, header_hash(anchor))
            self.chain_of[made] = name
        chains: list[Chain] = []
        edges: list[Edge] = []
        for name, validators, page in zip(names, sets, pages, strict=True):
            transit, found = yield from self._stored(name, heights[name], page.client_states)
            chains += (self._chain(name, validators, transit),)
            edges += found
        self._renew(Graph(chains, edges))

    def _chain(self, name: str, validators: Sequence[Validator], transit: Transit | None) -> Chain:
        powers = [each.voting_power for each in validators]
        return Chain(
            self.identities[name],
            self._names.get(name, name),
            None,
            nakamoto(powers),
            len(powers),
            top1_share_ppm(powers),
            transit=transit,
        )

    def _stored(
        self, name: str, height: int, clients: Sequence[ibc.IdentifiedClientState]
    ) -> Flow[tuple[Transit | None, list[Edge]]]:
        """A chain's transit policy, and its clients that are bound to chains served here and have a counterparty."""
        bindings = [Stored(name, key_of_binding(each.client_id), height, NAMES) for each in clients]
        peers = [Stored(name, ibc_paths.client_counterparty(each.client_id), height) for each in clients]
        try:
            transit, *values = yield (Stored(name, paths.TRANSIT, height), *bindings, *peers)
        except Unanswered as failure:
            if "empty" in str(failure):  # of a store without keys nothing can be proved
                return Transit(), []
            raise
        found: list[Edge] = []
        for client, bound, peer in zip(clients, values, values[len(clients) :], strict=False):
            tracked = ChainIdentity(bound.value)
            if tracked in self.chain_of and peer.value:
                counterparty = ibc.CounterpartyInfo.decode(peer.value).client_id
                found += (self._edge(name, tracked, client, counterparty),)
        return _transit(transit.value), found

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
        frozen = [edge for edge in self.own.edges if (edge.verifier, edge.client) == where]
        self._renew(self.own.with_edges([replace(edge, status=Status.FROZEN) for edge in frozen]))

    def hear(self, told: Callable[[Graph], Graph]) -> None:
        """Take into account what others say: `told` puts it beside what this relayer read itself."""
        graph = told(self.own)
        if (graph.chains, graph.edges) != (self.graph.chains, self.graph.edges):
            self.graph = graph
            self.version += 1

    def _renew(self, own: Graph) -> None:
        self.own = self.graph = own
        self.version += 1


def _transit(value: bytes) -> Transit | None:
    """What a chain has published; None for bytes that mean nothing."""
    try:
        policy = TransitPolicy.decode(value)
    except WireError:
        return None
    rule = TransitRule(policy.rule.name.lower().replace("_", "-"))
    return Transit(rule, frozenset(each.hex() for each in policy.chains))
