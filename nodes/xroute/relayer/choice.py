"""Which route a message takes: the best one that complies with its policy, over chains that make blocks.

Invariant: a route is chosen anew for every attempt, so a message is bound to none: what fails on one is tried on the
next best, with no new transaction at its source.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Set

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.policies import reversed_policy, without_modes
from nodes.xroute.policy.attributes import RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.policy.terms import Key
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.relayer.jobs import Job, Work
from nodes.xroute.relayer.names import Names
from nodes.xroute.relayer.network import Network
from nodes.xroute.routes.graph import Edge, EdgeKey
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import Answer, best_routes

__all__ = ["Choice", "Legs"]

Legs = tuple[Edge, ...]  # of a route, from the chain that verifies on

_RECENT = 200  # deliveries whose transits count for `spread`
_EPOCH = 5  # deliveries
_KNOWN = 1024  # answers that are kept
_PPM = 1_000_000


class Choice:
    """Routes over what is known of the network."""

    def __init__(self, network: Network, names: Names) -> None:
        self._network = network
        self._names = names
        self._answers: OrderedDict[tuple[object, ...], Answer] = OrderedDict()
        self._delivered = 0
        self._recent: deque[tuple[ChainIdentity, ...]] = deque(maxlen=_RECENT)

    def used(self, legs: Legs) -> None:
        """A message was delivered by this route."""
        self._delivered += 1
        self._recent.append(tuple(edge.tracked for edge in legs[:-1]))

    def route(self, job: Job, down: Set[ChainIdentity]) -> Legs | None:
        """The route for a job; None where there is no compliant one without the chains that are down, or avoided, and
        as long as it is not known what the names in the policy stand for."""
        resolved = self._names.resolved(self._network.chain_of[job.near], job.policy)
        if resolved is None:
            return None
        if job.parcel.envelope.mode is Mode.HOP:
            return self._single(job, down)
        best = self._best(job, resolved.policy, frozenset(down | job.avoided))
        chosen = best.choose(job.message_id)
        return None if chosen is None else chosen.edges

    def _single(self, job: Job, down: Set[ChainIdentity]) -> Legs | None:
        """The one hop between two chains of a way that the sender chose."""
        graph = self._network.graph
        usable = (edge for edge in graph.edges if (edge.verifier, edge.tracked) == (job.near, job.far))
        found = next((edge for edge in usable if graph.is_usable(edge)), None)
        return None if found is None or job.near in down else (found,)

    def _best(self, job: Job, policy: Policy, without: frozenset[ChainIdentity]) -> Answer:
        """The best routes: found once for all jobs alike. Shares for `spread` are renewed every few deliveries."""
        spreads = Key.SPREAD in job.policy.preferences
        epoch = self._delivered // _EPOCH if spreads else 0
        key = policy, job.work, job.near, job.far, self._network.version, without, epoch
        known = self._answers.get(key)
        if known is not None:
            return known
        graph = self._network.graph
        ends = {job.near, job.far}
        edges = frozenset(
            edge.key
            for edge in graph.edges
            if {edge.verifier, edge.tracked} & (without - ends) or edge.verifier in without
        )
        shares = self.shares() if spreads else None
        found = best_routes(self._pruned(job, policy, shares, edges))
        self._answers[key] = found
        while len(self._answers) > _KNOWN:
            self._answers.popitem(last=False)
        return found

    def complies(self, job: Job, route: Legs) -> bool:
        """Whether a route that somebody else chose satisfies the policy of a job between its ends."""
        pruned = self._pruned(job, job.policy)
        arcs = {arc.edge: arc for each in pruned.arcs for arc in each}
        if not all(edge in arcs for edge in route):
            return False
        hops = tuple(arcs[edge].hop for edge in route)
        attributes = RouteAttributes(hops, job.parcel.envelope.mode.word, names_agree=True)
        return first_failing(job.policy, attributes) is None

    def _pruned(
        self,
        job: Job,
        policy: Policy,
        shares: Mapping[ChainIdentity, int] | None = None,
        without: frozenset[EdgeKey] = frozenset(),
    ) -> Pruned:
        """The graph that a job's policy leaves: all of it judges a delivery, less a proof that others ask for."""
        match job.work:
            case Work.DELIVER:
                pass
            case Work.CONTRADICT:
                policy = without_modes(policy)
            case _:
                policy = reversed_policy(without_modes(policy))
        graph = self._network.graph
        far, near = (graph.chains[graph.number[each]] for each in (job.far, job.near))
        return Pruned(graph, policy, far, near, shares, without, job.parcel.envelope.mode.word)

    def shares(self) -> dict[ChainIdentity, int]:
        """Of recent deliveries, how many passed through each chain."""
        counts = Counter(chain for transits in self._recent for chain in transits)
        return {chain: count * _PPM // len(self._recent) for chain, count in counts.items()}
