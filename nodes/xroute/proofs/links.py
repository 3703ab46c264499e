"""What one chain of a route holds of the next: from its own store where it verifies, by proofs where it is a transit.

Invariant: a `Link` of a transit was shown under a root that the link before it gave, so a chain of links rests on the
verifying chain's own client, and on each chain of the route for what that one says of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.client.tendermint import NEVER, TYPE, Status, status
from nodes.ibc.comet.light import is_expired, is_trust_level
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.verify import shown, verify_existence, verify_membership, verify_non_existence
from nodes.ibc.proto.connection import ConnectionEnd, State
from nodes.ibc.proto.ibc import ClientState, ConsensusState, CounterpartyInfo
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof, ProofSpec
from nodes.ibc.proto.well_known import Any
from nodes.xroute.identity import ChainIdentity, checked
from nodes.xroute.names.binding import bound, key_of_binding
from nodes.xroute.names.labels import STORE as NAMES
from nodes.xroute.policy.attributes import HopAttributes
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import Hop, Power
from nodes.xroute.proofs.rejection import Check, RouteRejected
from nodes.xroute.proofs.transit import TransitPolicy

_PPM = 1_000_000
_PREFIX = (ibc_paths.STORE, b"")
_NAMES_PREFIX = (NAMES.encode(), b"")


@dataclass(frozen=True, slots=True)
class Tree:
    """A store of a chain, by its root: proofs of its innermost tree say what it holds."""

    spec: ProofSpec
    root: bytes
    prefix: bytes  # of its keys

    def value(self, proof: ExistenceProof | None, key: bytes) -> bytes:
        """What is under a key. ProofError where the proof does not show it."""
        if proof is None:
            raise ProofError(f"no proof of {shown(key)}", "one")
        verify_existence(proof, self.spec, self.root, self.prefix + key, proof.value)
        return proof.value

    def value_or_none(self, proof: CommitmentProof, key: bytes) -> bytes | None:
        """What is under a key, or None where the proof shows that nothing is."""
        if proof.nonexist is None:
            return self.value(proof.exist, key)
        verify_non_existence(proof.nonexist, self.spec, self.root, self.prefix + key)
        return None


@dataclass(frozen=True, slots=True)
class Link:
    """A client of a chain, the state of the tracked chain that it is used at, and what that chain is."""

    client: ClientState
    consensus: ConsensusState
    delay_ns: int
    identity: ChainIdentity  # of the tracked chain
    transit: TransitPolicy  # of the chain that has the client
    updater: bytes  # account that brought the state to the client; empty where that is not proved

    def tree(self, proofs: Sequence[CommitmentProof]) -> Tree:
        """The tracked chain's store of IBC."""
        return self._tree(_PREFIX, proofs)

    def tree_of_names(self, proofs: Sequence[CommitmentProof]) -> Tree:
        return self._tree(_NAMES_PREFIX, proofs)

    def _tree(self, prefix: tuple[bytes, ...], proofs: Sequence[CommitmentProof]) -> Tree:
        specs = self.client.proof_specs
        if not specs or not proofs or proofs[0].exist is None:
            raise ProofError("no proof of a store's root", f"{max(1, len(specs) - 1)}, innermost tree first")
        root = proofs[0].exist.value
        verify_membership(proofs, specs[1:], self.consensus.root.hash, prefix[:-1], root)
        return Tree(specs[0], root, prefix[-1])

    def attributes(
        self, now_ns: int, power: Power | None, transit_ok: bool | None, registry: str | None
    ) -> HopAttributes:
        """What policies are told of this hop. `registry` is one that has a record of the tracked chain."""
        level = self.client.trust_level
        return HopAttributes(
            identity=self.identity,
            registry=registry,
            client_type=TYPE.partition("-")[2],
            status=Status.ACTIVE,
            trust_level_ppm=level.numerator * _PPM // level.denominator,
            trusting_left_ns=self.consensus.timestamp.ns + self.client.trusting_period.ns - now_ns,
            freshness_ns=max(0, now_ns - self.consensus.timestamp.ns),
            delay_ns=self.delay_ns,
            nakamoto=power.nakamoto if power else None,
            validators=power.validators if power else None,
            top1_share_ppm=power.top1_share_ppm if power else None,
            transit_ok=transit_ok,
        )


def local_link(context: Context, hop: Hop) -> Link:
    """Hop 0: what the verifying chain itself holds. RouteRejected where its client does not serve."""
    if hop != Hop(hop.client_id, hop.height, connection=hop.connection, validators=hop.validators):
        raise RouteRejected(Check.CLIENT, "proofs of what this chain itself holds", "none", 0)
    states = ClientStates(context.ibc, hop.client_id)
    client = states.client_state
    if client is None:
        raise RouteRejected(Check.CLIENT, f"client {hop.client_id}", "one of this chain", 0)
    if (found := status(states, client, context.time_ns)) is not Status.ACTIVE:
        raise RouteRejected(Check.CLIENT, f"client {hop.client_id} is {found.value}", Status.ACTIVE.value, 0)
    consensus, processed = states.consensus_state(hop.height), states.processed(hop.height)
    if consensus is None or processed is None:
        raise RouteRejected(Check.CLIENT, f"height {written(hop.height)}", "one that the client knows", 0)
    _require_trusted(Check.CLIENT, 0, client, consensus, context.time_ns)
    delay_ns = _delay_ns(
        hop, lambda key: context.ibc.get(key) or _absent(f"no {shown(key)} on this chain", Check.CLIENT, 0)
    )
    if context.time_ns < processed.time_ns + delay_ns:
        waited = context.time_ns - processed.time_ns
        raise RouteRejected(Check.CLIENT, f"{waited} ns since the height came", f"a delay of {delay_ns}", 0)
    tracked = bound(context.stores[NAMES], hop.client_id)
    if tracked is None:
        raise RouteRejected(Check.NAME, f"client {hop.client_id}, of no known chain", "one that is bound", 0)
    updater = context.ibc.get(paths.updater(hop.client_id, hop.height)) or b""
    return Link(client, consensus, delay_ns, tracked, TransitPolicy(), updater)


def proven_link(before: Link, hop: Hop, place: int, now_ns: int) -> Link:
    """A further hop: what chain i was proved to hold of chain i + 1.

    RouteRejected, ProofError or WireError where a part does not hold.
    """
    tree = before.tree(hop.store)
    client = Any.decode(tree.value(hop.client, ibc_paths.client_state(hop.client_id))).opened_as(ClientState)
    height = hop.height
    key = ibc_paths.consensus_state(hop.client_id, height.revision_number, height.revision_height)
    consensus = Any.decode(tree.value(hop.consensus, key)).opened_as(ConsensusState)
    if client.frozen_height != NEVER:
        raise RouteRejected(Check.HOP, f"client {hop.client_id} is {Status.FROZEN.value}", Status.ACTIVE.value, place)
    level = client.trust_level
    if not is_trust_level(level):  # whose chain should not have taken it
        found = f"client {hop.client_id} that trusts {level.numerator}/{level.denominator}"
        raise RouteRejected(Check.HOP, found, "1/3 to 1", place)
    _require_trusted(Check.HOP, place, client, consensus, now_ns)
    delay_ns = _delay_ns(hop, lambda key: tree.value(hop.peer, key), place)
    if hop.binding is None:
        raise RouteRejected(Check.NAME, f"no proof what {hop.client_id} is bound to", "one", place)
    tracked = before.tree_of_names(hop.names).value(hop.binding, key_of_binding(hop.client_id))
    if hop.transit is None:
        raise RouteRejected(Check.HOP, "no proof of a transit policy", "one, or that there is none", place)
    published = tree.value_or_none(hop.transit, paths.TRANSIT)
    policy = TransitPolicy() if published is None else TransitPolicy.decode(published)
    updater = tree.value(hop.updater, paths.updater(hop.client_id, height)) if hop.updater else b""
    return Link(client, consensus, delay_ns, checked(tracked), policy, updater)


def _require_trusted(check: Check, place: int, client: ClientState, consensus: ConsensusState, now_ns: int) -> None:
    """By the verifying chain's clock: a chain that has stopped cannot say any more what it trusts."""
    if is_expired(consensus.timestamp.ns, client.trusting_period.ns, now_ns):
        age = now_ns - consensus.timestamp.ns
        raise RouteRejected(check, f"a state {age} ns old", f"less than {client.trusting_period.ns}", place)


def _delay_ns(hop: Hop, value: Callable[[bytes], bytes], place: int = 0) -> int:
    """What proofs have to wait, by the peer that `value` says the client has. RouteRejected for a peer that is none."""
    check = Check.HOP if place else Check.CLIENT
    if not hop.connection:
        record = CounterpartyInfo.decode(value(ibc_paths.client_counterparty(hop.client_id)))
        _require_prefix(check, place, record.merkle_prefix)
        return 0
    end = ConnectionEnd.decode(value(ibc_paths.connection(hop.connection)))
    if end.client_id != hop.client_id:
        raise RouteRejected(check, f"{hop.connection} over {end.client_id}", hop.client_id, place)
    if end.state is not State.OPEN:
        raise RouteRejected(check, f"{hop.connection} in state {end.state.name}", State.OPEN.name, place)
    _require_prefix(check, place, (end.counterparty.prefix.key_prefix, b""))
    return end.delay_period


def _require_prefix(check: Check, place: int, prefix: tuple[bytes, ...]) -> None:
    """Whoever made a client says where its chain keeps its keys: elsewhere nothing lies, so any timeout would hold."""
    if prefix != _PREFIX:
        raise RouteRejected(check, f"keys of a peer under {prefix!r:.80}", f"{_PREFIX}", place)


def _absent(found: str, check: Check, place: int) -> bytes:
    raise RouteRejected(check, found, "one that is", place)
