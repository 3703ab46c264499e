"""What blocks say of messages between chains, and whether the routes that they came by satisfy their policies.

Invariant: it rests on blocks and on the chains' state, on nothing that a relayer says and on no verdict of the module:
routes are read from the transactions that delivered, and judged by what the auditor itself found of chains and clients.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from nodes.ibc.chain.transactions import read as read_transaction
from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Block, TxResult
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import Answer, MsgDeliver, MsgDeliverByQuorum
from nodes.xroute.module.policies import policy_of
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.proofs.messages import Hop, Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.routes.graph import Edge, Graph, hop_of
from scenarios.xroute.naming import Naming
from scenarios.xroute.vouching import STAKES, Vouching

__all__ = ["CARRIES", "Ledger", "Violation"]

CARRIES = ("xroute_deliver", "xroute_route", "xroute_forward", "xroute_announce")
"""Events of a transaction that brought a message: its proof says by which hops, its certificate who stands for it."""
EVENTS = (*CARRIES, "xroute_send", "xroute_answer", "xroute_acknowledge", "xroute_timeout")


@dataclass(frozen=True, slots=True)
class Carried:
    """A proof that a chain has accepted."""

    chain: ChainIdentity
    time_ns: int
    hops: tuple[Hop, ...]


@dataclass(slots=True)
class Fate:
    """What has happened to a message, and how often."""

    parcel: Parcel | None = None
    policy: Policy | None = None  # None where its source has not sent it
    sent_ns: list[int] = field(default_factory=list)
    delivered_ns: list[int] = field(default_factory=list)
    acknowledged: int = 0
    timed_out: int = 0
    failed: bool = False  # answered with an error: by the application, or by a transit that timed it out
    carried: list[Carried] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        return bool(self.acknowledged or self.timed_out)


@dataclass(frozen=True, slots=True)
class Violation:
    """A message that was accepted against its policy, and why."""

    message: str
    reason: str


class Ledger:
    """Messages between the chains of a graph, whose chains have the names that calls use."""

    def __init__(self, graph: Graph, registry: str = "") -> None:
        """`registry` is the chain that keeps names; "" where there is none."""
        self.graph = graph
        self.naming = Naming()
        self.fates: defaultdict[str, Fate] = defaultdict(Fate)  # by message id, in hex
        self.heights = {chain.name: 0 for chain in graph.chains}  # read so far
        self._by_name = {chain.name: chain.identity for chain in graph.chains}
        self._registry = self._by_name.get(registry)
        self._times_ns: dict[tuple[ChainIdentity, int], int] = {}  # of blocks
        self._vouching = Vouching(graph)
        self._edges = {(edge.verifier, edge.client): edge for edge in graph.edges}

    def learn(self, graph: Graph) -> None:
        """Know clients that were made since, too: over one that is not known no route leads anywhere."""
        self._edges |= {(edge.verifier, edge.client): edge for edge in graph.edges}

    def read(self, chain: str, block: Block, transactions: Sequence[bytes] = ()) -> None:
        """Take note of the next block of a chain; `transactions` of one that has events of `CARRIES`, in order."""
        here = self._by_name[chain]
        self._times_ns[here, block.height] = block.time_ns
        for number, result in enumerate(block.results):
            if not result.code:
                self._result(here, block.time_ns, result, transactions[number] if transactions else b"")
        self.heights[chain] = block.height

    def _result(self, here: ChainIdentity, time_ns: int, result: TxResult, transaction: bytes) -> None:
        messages = read_transaction(transaction).messages if transaction else ()
        proofs = _proofs(messages)
        announced = {event["message"] for event in result.events if event.type == "xroute_announce"}
        for message in messages:
            if isinstance(message, MsgDeliverByQuorum) and (parcel := Parcel.of(message.packet)).id.hex() in announced:
                self._vouching.announced(here, parcel, message.certificate)
        for event in result.events:
            if here == self._registry:
                self.naming.saw(event, time_ns)
            if event.type in STAKES:
                self._vouching.staked(here, event)
            if event.type not in EVENTS:
                continue
            name = event["message"]
            fate = self.fates[name]
            match event.type:
                case "xroute_send":
                    fate.parcel = Parcel.of(Packet.decode(bytes.fromhex(event["packet"])))
                    fate.policy = policy_of(bytes.fromhex(event["policy"]))
                    fate.sent_ns.append(time_ns)
                case "xroute_deliver":
                    fate.delivered_ns.append(time_ns)
                case "xroute_answer":
                    answer = Answer.decode(bytes.fromhex(event["answer"]))
                    fate.failed |= UNIVERSAL_ERROR in answer.acknowledgement.app_acknowledgements
                case "xroute_acknowledge":
                    fate.acknowledged += 1
                case "xroute_timeout":
                    fate.timed_out += 1
            if event.type in CARRIES:
                carried = (Carried(here, time_ns, proof.hops) for proof in proofs.get(name, ()))
                fate.carried += (each for each in carried if each not in fate.carried)

    @property
    def acknowledged(self) -> set[str]:
        """The messages of which the source has the answer."""
        return {name for name, fate in self.fates.items() if fate.acknowledged}

    @property
    def pending(self) -> bool:
        """Whether a message is on the way."""
        return any(not fate.settled for fate in self.fates.values())

    def violations(self) -> Iterator[Violation]:
        """Messages that were delivered by a route against their policy. All chains have to be read."""
        for name, fate in self.fates.items():
            if fate.delivered_ns and fate.parcel is not None and fate.policy is not None:
                routes = self._routes(fate, fate.parcel)
                reason = self._reason(fate.parcel, fate.policy, routes, fate.delivered_ns[0])
                if reason:
                    yield Violation(name, reason)

    def _reason(self, parcel: Parcel, policy: Policy, routes: Sequence[Sequence[HopAttributes]], time_ns: int) -> str:
        """Why the routes of a message violate its policy; "" where they do not. In a model nothing is to be judged."""
        if parcel.envelope.mode is Mode.QUORUM:
            return self._vouching.reason(parcel, policy)
        if parcel.envelope.mode is Mode.ZK_MODEL:
            return ""
        if not routes:
            return "no route in the transaction that delivered it"
        for route in routes:
            if route[-1].identity != parcel.source:
                return "a route that does not lead to its source"
            failing = self.naming.failing(policy, _without_names(route, parcel), time_ns)
            if failing is not None:
                return f"clause {failing}"
        transits = [hop.identity for route in routes for hop in route[:-1]]
        if policy.disjoint > 1 and (len(routes) < policy.disjoint or len({*transits}) < len(transits)):
            return f"{len(routes)} routes, or a common transit, where {policy.disjoint} without one are required"
        return ""

    def _routes(self, fate: Fate, parcel: Parcel) -> list[list[HopAttributes]]:
        """The routes that brought a message to its destination: [] for one that leads over unknown clients."""
        final = [each for each in fate.carried if each.chain == parcel.destination]
        if parcel.envelope.mode is not Mode.HOP:
            return [self._route(parcel, each.chain, [(each.time_ns, hop) for hop in each.hops]) for each in final]
        at = {each.chain: each for each in fate.carried}
        if not {*parcel.way[1:]} <= at.keys():
            return []
        steps = [(final[0].time_ns, at[chain].hops[0]) for chain in reversed(parcel.way[1:])]
        return [self._route(parcel, parcel.destination, steps)]

    def _route(self, parcel: Parcel, chain: ChainIdentity, steps: Sequence[tuple[int, Hop]]) -> list[HopAttributes]:
        """What is so of each hop, by the graph and the times of blocks. An unknown client leads to no chain."""
        source, destination = (
            self.graph.chains[self.graph.number[each]] for each in (parcel.source, parcel.destination)
        )
        found: list[HopAttributes] = []
        for time_ns, hop in steps:
            edge = self._edges.get((chain, hop.client_id))
            if edge is None:
                return [*found, HopAttributes(ChainIdentity(b""))]
            tracked = self.graph.chains[self.graph.number[edge.tracked]]
            passes = (
                None
                if edge.tracked == parcel.source
                else bool(tracked.transit and tracked.transit.lets_pass(source, destination))
            )
            found.append(hop_of(self._at(edge, hop, time_ns), tracked, passes))
            chain = edge.tracked
        return found

    def _at(self, edge: Edge, hop: Hop, time_ns: int) -> Edge:
        """A client as it was at a time, used at the height that the hop names."""
        made_ns = self._times_ns.get((edge.tracked, hop.height.revision_height))
        if made_ns is None:
            return replace(edge, freshness_ns=None, trusting_left_ns=None)
        age_ns = max(0, time_ns - made_ns)
        left_ns = None if edge.trusting_left_ns is None else edge.trusting_left_ns - age_ns
        return replace(edge, freshness_ns=age_ns, trusting_left_ns=left_ns)

    def figures(self, acknowledged: set[str]) -> dict[str, int | float | str]:
        """Counts of messages, and times. Of those `acknowledged`, which was taken before all chains were read again,
        each must have been delivered."""
        fates = self.fates.values()
        delivered = [fate for fate in fates if fate.delivered_ns]
        by_model = sum(fate.parcel is not None and fate.parcel.envelope.mode is Mode.ZK_MODEL for fate in delivered)
        figures: dict[str, int | float | str] = {
            **({"delivered_by_model": by_model} if by_model else {}),
            "sent": sum(bool(fate.sent_ns) for fate in fates),
            "delivered": len(delivered),
            "acknowledged": sum(fate.acknowledged > 0 for fate in fates),
            "timed_out": sum(fate.timed_out > 0 for fate in fates),
            "failed": sum(fate.failed for fate in fates),
            "stuck": sum(not fate.settled for fate in fates),
            "slashed": self._vouching.slashed,
            "lost": sum(not (self.fates[name].delivered_ns or self.fates[name].failed) for name in acknowledged),
            "forged": sum(not fate.sent_ns for fate in delivered),
            "duplicated": sum(
                max(0, count - 1)
                for fate in fates
                for count in (len(fate.sent_ns), len(fate.delivered_ns), fate.acknowledged + fate.timed_out)
            ),
            "wrongly_refunded": sum(fate.timed_out > 0 for fate in delivered),
        }
        latencies_ms = sorted((fate.delivered_ns[0] - fate.sent_ns[0]) / 1e6 for fate in delivered if fate.sent_ns)
        if latencies_ms:
            first_ns = min(fate.sent_ns[0] for fate in fates if fate.sent_ns)
            last_ns = max(fate.delivered_ns[0] for fate in delivered)
            figures["busy_s"] = (last_ns - first_ns) / 1e9
            figures["p50_ms"], figures["p95_ms"] = (_quantile(latencies_ms, share) for share in (0.5, 0.95))
        if self._registry is not None:
            figures |= self.naming.figures | {"by_name": sum(map(self._is_by_name, delivered))}
        return figures | self._transits(delivered)

    def _is_by_name(self, fate: Fate) -> bool:
        """Whether a message could be delivered only because of what a registry says of names."""
        if fate.parcel is None or fate.policy is None:
            return False
        routes = [_without_names(route, fate.parcel) for route in self._routes(fate, fate.parcel)]
        return self.naming.decides(fate.policy, routes)

    def _transits(self, delivered: Sequence[Fate]) -> dict[str, int | float | str]:
        """Through which chain most messages passed, and which share of all."""
        counts: Counter[str] = Counter()
        hops = 0
        for fate in delivered:
            for route in self._routes(fate, fate.parcel)[:1] if fate.parcel else ():
                hops += len(route)
                counts.update(hop.name or "" for hop in route[:-1])
        if not delivered:
            return {}
        (name, count), *_ = counts.most_common(1) or [("", 0)]
        return {
            "top_transit": name,
            "top_transit_share": round(count / len(delivered), 4),
            "mean_hops": round(hops / len(delivered), 3),
        }


def _without_names(route: Sequence[HopAttributes], parcel: Parcel) -> RouteAttributes:
    """A route as policies judge it: what calls name a chain is no name that a registry has."""
    return RouteAttributes(tuple(replace(hop, name=None) for hop in route), parcel.envelope.mode.word)


def _proofs(messages: Sequence[Message]) -> dict[str, list[RouteProof]]:
    """The proofs that a transaction's messages deliver by, by the id of what they deliver."""
    found: defaultdict[str, list[RouteProof]] = defaultdict(list)
    for message in messages:
        if isinstance(message, MsgDeliver):
            proof = RouteProof.decode(message.proof)
            found[Parcel.of(proof.packet).id.hex()].append(proof)
    return found


def _quantile(ascending: Sequence[float], share: float) -> float:
    return round(ascending[min(len(ascending) - 1, int(share * len(ascending)))], 1)
