"""Bytes of route proofs that were changed: refused with a reason, or of the same meaning; never a traceback."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.xroute.policy.clauses import Policy
from nodes.xroute.proofs.messages import RouteProof
from nodes.xroute.proofs.names import NoNames
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import RouteRejected
from nodes.xroute.proofs.verify import Demand, Verified, decoded, verify_route
from tests.support.xroute_world import World


@cache
def honest() -> tuple[World, Parcel, bytes]:
    world = World((("a", "b"), ("b", "c")))
    for _ in range(130):  # sequences from 128 on have a byte that is no text
        parcel = world.send("a", "c", 1)
    return world, parcel, world.proof("cba", parcel.packet, parcel.commitment_key, with_validators=True).encode()


def verified(data: bytes) -> Verified:
    world, _, _ = honest()
    proof = decoded(data)
    parcel = Parcel.of(proof.packet)
    key, value = parcel.committed(())
    demand = Demand.of(parcel, parcel.source, key, value, Policy())
    return verify_route(world["c"].context(), proof, demand, NoNames())


def test_the_proof_itself_holds() -> None:
    _, parcel, data = honest()
    assert verified(data).identities[-1] == parcel.source


@settings(max_examples=400)
@given(st.data())
def test_changed_bytes_are_refused_or_mean_the_same(data: st.DataObject) -> None:
    _, parcel, proof = honest()
    changed = bytearray(proof)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                changed[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del changed[at : at + data.draw(st.integers(1, 40))]
            case "insert":
                changed[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        if not changed:
            return
    try:
        found = verified(bytes(changed))
    except RouteRejected:
        return
    assert found.identities == verified(proof).identities
    assert Parcel.of(RouteProof.decode(bytes(changed)).packet) == parcel
