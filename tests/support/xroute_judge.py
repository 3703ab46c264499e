"""A judge of deliveries, apart from the product: it looks at all chains of a test at once, and needs no proof.

What a client tracks it sees by the headers of the chains themselves, what a policy asks it reads word by word
(`xroute_words`). Each message that a chain of a `World` accepts by a route is judged, in every test that has one.
Invariant: a Violation says that a message was accepted which must not be; its number over all tests has to be 0.

Deliveries of modes QUORUM and ZK_MODEL rest on no route. Those of mode HOP are judged as messages, and not by clauses:
these rest on the word of transits.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.states import ClientStates
from nodes.ibc.client.tendermint import NEVER, consensus_state_of
from nodes.ibc.core.paths import connection
from nodes.ibc.proto.connection import ConnectionEnd
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import MsgDeliver
from nodes.xroute.policy.attributes import HopAttributes
from nodes.xroute.proofs.messages import Envelope, Hop, Mode, RouteProof
from nodes.xroute.proofs.transit import TransitPolicy
from tests.support.xroute_words import complies, words_of

if TYPE_CHECKING:
    from tests.support.xroute_world import Node

_NS = 10**9
_BY_RELAYERS = ("fee", "time", "retries")  # limits that no chain checks
Key = tuple[bytes, int]  # of a message: its source and sequence


class Violation(AssertionError):
    """A message was accepted that must not be."""


class _Past:
    """A chain's store as it was after a block."""

    def __init__(self, store: Any, version: int) -> None:
        self._store, self._version = store, version

    def get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._store.get_at(key, self._version)
        return found


@dataclass
class Judge:
    """It is told of each transaction. `policies` are texts by policy id, `minimum` texts by chain."""

    nodes: Mapping[str, Node]
    transit: Mapping[str, TransitPolicy]
    minimum: Mapping[str, str]
    policies: dict[bytes, str] = field(default_factory=dict)
    accepted: int = 0
    _sent: dict[Key, bytes] = field(default_factory=dict)
    _delivered: Counter[Key] = field(default_factory=Counter)
    _transits: defaultdict[Key, list[frozenset[str]]] = field(default_factory=lambda: defaultdict(list))

    def look(self, node: Node, messages: Sequence[Message], result: TxResult) -> None:
        """Judge what a transaction did. Violation where a message should not have been accepted."""
        told: defaultdict[str, set[Key]] = defaultdict(set)
        for event in result.events if not result.code else ():
            if event.type in ("xroute_send", "xroute_deliver", "xroute_route"):
                told[event.type].add((bytes.fromhex(event["source"]), int(event["packet_sequence"])))
            if event.type == "xname_bind":
                self._bound(node, event["client_id"], event["identity"])
            if event.type == "xroute_send":
                self._sent[node.identity, int(event["packet_sequence"])] = bytes.fromhex(event["packet"])
        for message in messages:
            if isinstance(message, MsgDeliver) and told["xroute_deliver"] | told["xroute_route"]:
                proof = _decoded(message.proof)
                key = Envelope.decode(proof.packet.payloads[0].value).source, proof.packet.sequence
                if key in told["xroute_deliver"] | told["xroute_route"]:
                    self._judge(node, message.proof, proof, key, is_delivered=key in told["xroute_deliver"])

    def _bound(self, node: Node, client: str, identity: str) -> None:
        """A client of a chain is bound to the one identity that this has."""
        states = ClientStates(node.context().ibc, client)
        for height in states.heights():
            found = self._chains(states, height)
            _require(bool(found), f"a binding of {client}, which tracks no chain")
            _require(found[0].identity.hex() == identity, f"a second identity of {found[0].name}")

    def _chains(self, states: ClientStates, height: Height) -> list[Node]:
        """The chains, it is one, of which a client has the state of a height."""
        consensus, client, number = states.consensus_state(height), states.client_state, height.revision_height
        return [
            each for each in self.nodes.values()
            if client is not None and each.chain_id == client.chain_id and number <= each.chain.height
            and consensus_state_of(each.chain.ledger[number].block.header) == consensus
        ]  # fmt: skip

    def _judge(self, node: Node, data: bytes, proof: RouteProof, key: Key, *, is_delivered: bool) -> None:
        packet, now_ns = proof.packet, node.chain.ledger[node.chain.height].block.time_ns
        envelope = Envelope.decode(packet.payloads[0].value)
        self._delivered[key] += is_delivered
        _require(self._sent.get(key) == packet.encode(), "a message that was never sent")
        _require(self._delivered[key] <= 1, "a message for the second time")
        _require(now_ns // _NS < packet.timeout_timestamp, "a message that is late")
        _require(envelope.destination == node.identity, "a message to another chain")
        self.accepted += 1
        if envelope.mode is Mode.E2E:
            route = [node, *self._route(node, proof.hops, now_ns)]
            names = [each.name for each in route]
            _require(route[-1].identity == envelope.source, f"a route that ends at {names[-1]}")
            _require(len(set(names)) == len(names), f"a route over {names}")
            hops = list(self._hops(route, proof.hops, envelope, now_ns))
            self._transits[key].append(frozenset(names[1:-1]))
            self._clauses(node, data, envelope, hops, self._transits[key] if is_delivered else None)

    def _route(self, node: Node, hops: Sequence[Hop], now_ns: int) -> Iterator[Node]:
        """The chains that the clients of a route really track."""
        frozen = [name for name, client in node.clients.items() if _client(node, client).frozen_height != NEVER]
        store: Any = node.context().ibc
        for hop in hops:
            states = ClientStates(store, hop.client_id)
            consensus, client = states.consensus_state(hop.height), states.client_state
            if consensus is None or client is None:
                raise Violation(f"{hop.client_id} without a state of height {hop.height}")
            found = self._chains(states, hop.height)
            _require(bool(found), f"{hop.client_id} tracks no chain")
            _require(client.frozen_height == NEVER, f"{hop.client_id} is frozen")
            _require(found[0].name not in frozen, f"{found[0].name} was seen to misbehave")
            _require(consensus.timestamp.ns + client.trusting_period.ns > now_ns, f"{hop.client_id} is trusted no more")
            store = _Past(found[0].chain.state.stores["ibc"], hop.height.revision_height - 1)
            yield found[0]

    def _hops(
        self, route: Sequence[Node], hops: Sequence[Hop], envelope: Envelope, now_ns: int
    ) -> Iterator[HopAttributes]:
        for near, far, hop in zip(route, route[1:], hops, strict=False):
            number = hop.height.revision_height
            powers = [each.voting_power for each in far.validators(number + 1).validators]
            client, time_ns = _client(near, hop.client_id), far.chain.ledger[number].block.time_ns
            yield HopAttributes(
                ChainIdentity(far.identity),
                client_type="tendermint",
                trust_level_ppm=client.trust_level.numerator * 10**6 // client.trust_level.denominator,
                trusting_left_ns=time_ns + client.trusting_period.ns - now_ns,
                freshness_ns=max(0, now_ns - time_ns),
                delay_ns=_delay_ns(near, hop),
                nakamoto=weakest(powers),
                validators=len(powers),
                top1_share_ppm=-(-max(powers) * 10**6 // sum(powers)),
                transit_ok=_passes(self.transit[far.name], envelope),
            )

    def _clauses(
        self, node: Node, data: bytes, envelope: Envelope, hops: Sequence[HopAttributes],
        transits: Sequence[frozenset[str]] | None,
    ) -> None:  # fmt: skip
        """`transits` are those of all routes of a message that is delivered; None where more routes are waited for."""
        texts = self.policies.get(envelope.policy_id, ""), self.minimum.get(node.name, "")
        checks: dict[str, Callable[[list[str]], bool]] = {
            "mode": lambda words: envelope.mode.word in words[1:],
            "disjoint": lambda words: transits is None or _are_disjoint(transits, int(words[1])),
            "limit bytes": lambda words: len(data) <= int(words[2]),
        }
        for clause in (each.strip() for text in texts for each in re.split(r"[;\n]", text)[1:]):
            words = words_of(clause)
            check = checks.get(words[0]) or checks.get(" ".join(words[:2]))
            if words[0] in ("on", "prefer", "registry", "names") or words[1] in _BY_RELAYERS or _has_names(words):
                continue
            _require(check(words) if check else complies(clause, hops, ()), f"a route against {clause!r}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(f"accepted: {what}")


def _decoded(data: bytes) -> RouteProof:
    try:
        return RouteProof.decode(data)
    except WireError as error:
        raise Violation(f"accepted: a proof that is out of form, {error}") from None


def _delay_ns(node: Node, hop: Hop) -> int:
    """What the connection asks for that a hop goes over; there is none with v2."""
    if not hop.connection:
        return 0
    end = ConnectionEnd.decode(node.context().ibc.get(connection(hop.connection)) or b"")
    _require(end.client_id == hop.client_id, f"{hop.connection} is not of {hop.client_id}")
    return end.delay_period


def _client(node: Node, client: str) -> Any:
    return ClientStates(node.context().ibc, client).client_state


def _has_names(words: Sequence[str]) -> bool:
    """Whether a clause goes by names of a registry, which this judge does not read."""
    return any(re.fullmatch(r"[a-z0-9-]+\.[a-z0-9.-]*[a-z][a-z0-9.-]*", word) for word in words)


def _passes(policy: TransitPolicy, envelope: Envelope) -> bool:
    asked = {"ONLY_TO": envelope.destination, "ONLY_FROM": envelope.source}.get(policy.rule.name)
    return policy.rule.name == "ALLOW" or asked in policy.chains


def _are_disjoint(transits: Sequence[frozenset[str]], wanted: int) -> bool:
    return any(
        sum(map(len, some)) == len(frozenset().union(*some)) and sum(not each for each in some) < 2
        for some in combinations(transits, wanted)
    )


def weakest(powers: Sequence[int]) -> int:
    """The Nakamoto coefficient, by trying."""
    ordered = sorted(powers, reverse=True)
    return next(count for count in range(1, len(ordered) + 1) if 3 * sum(ordered[:count]) > sum(ordered))
