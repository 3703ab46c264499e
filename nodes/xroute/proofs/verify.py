"""Verification of a route, on the chain at its one end: what does the chain at the other end hold?

Invariant: a `Verified` exists only of a proof that passed every check, in the order of `rejection.Check`; whatever is
wrong with a proof is a RouteRejected. The guarantee is that of the weakest chain on the route: each is believed about
the next one, as far as the client before it shows its state. Names are believed as far as their registries are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from emulator.model.errors import Stated
from nodes.ibc.client.tendermint import Status
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proto.scalars import WireError
from nodes.xroute.identity import ChainIdentity, checked
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.policy.terms import Kind
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.links import Link, local_link, proven_link
from nodes.xroute.proofs.messages import MOST_HOPS, MOST_PROOF_BYTES, HopRecord, Mode, Power, RouteProof, route_id
from nodes.xroute.proofs.names import Named, NameVerifier
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.power import power_of
from nodes.xroute.proofs.rejection import Check, RouteRejected

__all__ = ["Demand", "Verified", "decoded", "own_identity", "require_bytes", "verify_route"]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a route is to show: that the chain at its far end holds a value under a key, or (None) nothing."""

    far: ChainIdentity
    key: bytes
    value: bytes | None
    policy: Policy
    mode: Mode
    source: ChainIdentity  # of the message, whichever end of the route it is at
    destination: ChainIdentity
    records: tuple[HopRecord, ...] = ()  # that the value commits to; others are nobody's word

    @classmethod
    def of(
        cls,
        parcel: Parcel,
        far: ChainIdentity,
        key: bytes,
        value: bytes | None,
        policy: Policy,
        records: tuple[HopRecord, ...] = (),
    ) -> Demand:
        """What a route is to show of a message."""
        return cls(far, key, value, policy, parcel.envelope.mode, parcel.source, parcel.destination, records)


@dataclass(frozen=True, slots=True)
class Verified:
    """A route that was verified. Writing down what others need not prove again is for the caller."""

    identities: tuple[ChainIdentity, ...]  # from the verifying chain on
    route_id: bytes
    attributes: RouteAttributes
    far_time_ns: int  # of the far chain's state that the key was proved in
    powers: tuple[tuple[bytes, Power], ...]  # validator sets that were supplied, by hash
    updaters: tuple[bytes, ...]  # accounts that brought the heights used, as far as that was proved
    last: HopRecord  # what the verifying chain found of the one next to it

    @property
    def transits(self) -> tuple[ChainIdentity, ...]:
        return self.identities[1:-1]


def decoded(data: bytes) -> RouteProof:
    """A proof of its bytes. RouteRejected where they are too many, or none; this is the first check."""
    require_bytes(data, MOST_PROOF_BYTES)
    try:
        proof = RouteProof.decode(data)
    except WireError as error:
        raise RouteRejected(Check.SIZE, error.found, error.expected) from None
    if not 0 < len(proof.hops) <= MOST_HOPS:
        raise RouteRejected(Check.SIZE, f"{len(proof.hops)} hops", f"1 to {MOST_HOPS}")
    return proof


def require_bytes(data: bytes, most: int) -> None:
    if len(data) > most:
        raise RouteRejected(Check.SIZE, f"a proof of {len(data)} bytes", f"at most {most}")


def verify_route(context: Context, proof: RouteProof, demand: Demand, verifier: NameVerifier) -> Verified:
    """Checks CLIENT to KEY, on a chain whose state and clock the context has. The checks before are the caller's."""
    now_ns = context.time_ns
    if proof.records != demand.records:
        raise RouteRejected(Check.NAME, f"{len(proof.records)} records", f"the {len(demand.records)} committed to")
    links = [local_link(context, proof.hops[0])]
    for place, hop in enumerate(proof.hops[1:], 1):
        with _rejected(Check.HOP, place):
            links.append(proven_link(links[-1], hop, place, now_ns))
    identities = (own_identity(context), *(link.identity for link in links))
    if identities[-1] != demand.far:
        raise RouteRejected(Check.NAME, f"a route from {identities[-1].hex()}", demand.far.hex(), len(links) - 1)
    recorded = tuple(checked(record.identity) for record in reversed(demand.records))
    _check_identities(context, identities + recorded)
    with _rejected(Check.NAME):
        named = verifier.named(context, proof.names, _registries(demand.policy))
    powers = [_power(context, place, proof, link) for place, link in enumerate(links)]
    hops = tuple(
        link.attributes(now_ns, power, ok, named.registries.get(link.identity))
        for link, power, ok in zip(links, powers, _passes(demand, links), strict=True)
    ) + tuple(_recorded_hops(demand.records, named, now_ns))
    attributes = RouteAttributes(hops, demand.mode.word, named.agree)
    _check_clauses(named.by_identity(demand.policy), attributes)
    with _rejected(Check.KEY):
        _check_key(links[-1], proof, demand)
    return Verified(
        identities,
        route_id(identities, tuple(hop.client_id for hop in proof.hops)),
        attributes,
        links[-1].consensus.timestamp.ns,
        tuple(
            (link.consensus.next_validators_hash, power)
            for link, power, hop in zip(links, powers, proof.hops, strict=True)
            if power and hop.validators
        ),
        tuple(link.updater for link in links if link.updater),
        _record(links[0], hops[0]),
    )


def own_identity(context: Context) -> ChainIdentity:
    """The identity of the chain itself. RouteRejected before it has its anchor."""
    raw = context.stores[paths.STORE].get(paths.SELF)
    if raw is None:
        raise RouteRejected(Check.NAME, "a chain before its first block is final", "one that knows its identity")
    return checked(raw)


@contextmanager
def _rejected(check: Check, place: int | None = None) -> Iterator[None]:
    """Whatever is wrong inside, as a rejection by this check."""
    try:
        yield
    except RouteRejected:
        raise
    except Stated as error:
        raise RouteRejected(check, error.found, error.expected, place) from None


def _check_identities(context: Context, identities: tuple[ChainIdentity, ...]) -> None:
    """RouteRejected for a chain that is there twice, or that one of the verifying chain's own clients saw misbehave."""
    if len(set(identities)) < len(identities):
        raise RouteRejected(Check.NAME, "a chain twice on the route", "each once")
    for place, tracked in enumerate(identities[1:]):
        if any(context.stores[paths.STORE].iterate(paths.misbehaviour(tracked))):
            raise RouteRejected(Check.NAME, f"{tracked.hex()}, seen here to misbehave", "an honest chain", place)


def _registries(policy: Policy) -> Sequence[str]:
    return next((each.names for each in policy.conditions if each.kind is Kind.REGISTRY), ())


def _power(context: Context, place: int, proof: RouteProof, link: Link) -> Power | None:
    """Of the tracked chain: by the set in the proof, or as it was found before; None where neither is there."""
    wanted = link.consensus.next_validators_hash
    if proof.hops[place].validators:
        with _rejected(Check.CLAUSE, place):
            return power_of(proof.hops[place].validators, wanted)
    known = context.stores[paths.STORE].get(paths.power(wanted))
    return None if known is None else Power.decode(known)


def _passes(demand: Demand, links: Sequence[Link]) -> list[bool | None]:
    """For each chain after the first, whether it lets the message pass; None for the far end, where it does not."""
    last = demand.records[-1].transit_ok if demand.records else None
    return [*(link.transit.allows(demand.source, demand.destination) for link in links[1:]), last]


def _recorded_hops(records: Sequence[HopRecord], named: Named, now_ns: int) -> Iterator[HopAttributes]:
    """In mode HOP: what transits found of the chains before them, the last transit first. 0 stands for not proven."""
    for place in reversed(range(len(records))):
        record = records[place]
        identity = checked(record.identity)
        left_ns = record.time_ns + record.trusting_ns - now_ns
        if left_ns <= 0:
            raise RouteRejected(Check.HOP, f"a state that is trusted no longer in record {place}", "one that is", place)
        yield HopAttributes(
            identity=identity,
            registry=named.registries.get(identity),
            client_type=record.client_type,
            status=Status.ACTIVE,
            trust_level_ppm=record.trust_level_ppm,
            trusting_left_ns=left_ns,
            freshness_ns=max(0, now_ns - record.time_ns),
            delay_ns=record.delay_ns,
            nakamoto=record.nakamoto or None,
            validators=record.validators or None,
            top1_share_ppm=record.top1_share_ppm or None,
            transit_ok=records[place - 1].transit_ok if place else None,
        )


def _check_clauses(policy: Policy, attributes: RouteAttributes) -> None:
    failing = first_failing(policy, attributes)
    if failing is not None:
        raise RouteRejected(Check.CLAUSE, f"a route that fails clause {failing}", "all clauses", failing)


def _check_key(last: Link, proof: RouteProof, demand: Demand) -> None:
    found = last.tree(proof.store).value_or_none(proof.key, demand.key)
    if found != demand.value:
        shown = ["nothing" if each is None else each.hex() for each in (found, demand.value)]
        raise ProofError(f"{shown[0]} under {demand.key!r}", shown[1])


def _record(link: Link, attributes: HopAttributes) -> HopRecord:
    """What the verifying chain, where it is a transit of mode HOP, tells those after it."""
    return HopRecord(
        link.identity,
        attributes.client_type or "",
        attributes.trust_level_ppm or 0,
        link.consensus.timestamp.ns,
        link.client.trusting_period.ns,
        link.delay_ns,
        attributes.nakamoto or 0,
        attributes.validators or 0,
        attributes.top1_share_ppm or 0,
    )
