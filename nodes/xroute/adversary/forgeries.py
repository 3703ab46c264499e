"""Forged deliveries: changes to a proof that a chain would accept, each with the check that has to refuse it.

Invariant: each is one change. `honest` has two hops or more and brings the policy and the validators of its chains;
`other` is a proof of the same message by another route.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.proto.ibc import Height
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import MOST_HOPS, MOST_PROOF_BYTES, HopRecord, RouteProof
from nodes.xroute.proofs.parcel import Parcel, packed
from nodes.xroute.proofs.rejection import Check

__all__ = ["FORGERIES", "Forgery"]

_LAX = parse("xroute/1; limit hops 8").encode()
_UNKNOWN_FIELD = bytes((0xFA, 0x01, 0))


class Forgery(NamedTuple):
    """The check, and what makes the bytes of a proof from `honest` and `other`."""

    check: Check
    forge: Callable[[RouteProof, RouteProof], bytes]


def _changed(**changes: Any) -> Callable[[RouteProof, RouteProof], bytes]:
    return lambda honest, other: replace(honest, **changes).encode()


def _hop(place: int, **changes: Any) -> Callable[[RouteProof, RouteProof], bytes]:
    return lambda honest, other: _with_hop(honest, place, **changes)


def _with_hop(proof: RouteProof, place: int, **changes: Any) -> bytes:
    hops = list(proof.hops)
    hops[place] = replace(hops[place], **changes)
    return replace(proof, hops=tuple(hops)).encode()


def _spliced(honest: RouteProof, other: RouteProof) -> bytes:
    """What another chain holds of another one, in the place of what a transit holds."""
    return replace(honest, hops=(honest.hops[0], other.hops[1], *honest.hops[2:])).encode()


def _padded(honest: RouteProof, other: RouteProof) -> bytes:
    validators = honest.hops[0].validators
    return _with_hop(honest, 0, validators=(*validators, SimpleValidator(validators[0].pub_key, 0)))


def _repacked(proof: RouteProof, sequence: int = 0, **changes: Any) -> bytes:
    """Another message of the same form in the place of the one that was sent."""
    parcel = Parcel.of(proof.packet)
    envelope = replace(parcel.envelope, **changes)
    packet = packed(sequence or proof.packet.sequence, envelope, proof.packet.timeout_timestamp)
    return replace(proof, packet=packet).encode()


def _other_payload(honest: RouteProof, other: RouteProof) -> bytes:
    payload = Parcel.of(honest.packet).envelope.payload
    return _repacked(honest, payload=replace(payload, value=payload.value.replace(b'"1"', b'"1000"')))


FORGERIES: Mapping[str, Forgery] = {
    "a proof above 64 kB": Forgery(Check.SIZE, _changed(payee=bytes(MOST_PROOF_BYTES))),
    "more than eight hops": Forgery(
        Check.SIZE, lambda honest, other: replace(honest, hops=honest.hops[:1] * (MOST_HOPS + 1)).encode()
    ),
    "an unknown field": Forgery(Check.SIZE, lambda honest, other: honest.encode() + _UNKNOWN_FIELD),
    "a policy in the place of the sender's": Forgery(Check.POLICY, _changed(policy=_LAX)),
    "a height that the client does not know": Forgery(Check.CLIENT, _hop(0, height=Height(1, 1 << 40))),
    "a client that is not there": Forgery(Check.CLIENT, _hop(0, client_id="07-tendermint-999")),
    "a hop of another chain spliced in": Forgery(Check.HOP, _spliced),
    "a client without its peer": Forgery(Check.HOP, _hop(1, peer=None)),
    "a transit policy left out": Forgery(Check.HOP, _hop(1, transit=None)),
    "a client that is bound to no identity": Forgery(Check.NAME, _hop(1, binding=None)),
    "records of mode hop in a route proof": Forgery(Check.NAME, _changed(records=(HopRecord(bytes(32)),))),
    "validators padded with one that has no power": Forgery(Check.CLAUSE, _padded),
    "the validators of another chain": Forgery(
        Check.CLAUSE, lambda honest, other: _with_hop(honest, 0, validators=honest.hops[1].validators)
    ),
    "more coins than were sent": Forgery(Check.KEY, _other_payload),
    "a message that was not sent": Forgery(Check.KEY, lambda honest, other: _repacked(honest, sequence=1 << 32)),
}
