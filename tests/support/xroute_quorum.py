"""Staked relayers, and certificates that they sign."""

from __future__ import annotations

from nodes.xroute.keys import Key
from nodes.xroute.module.messages import Certificate, MsgDeliverByQuorum, MsgStake, Statement, Vote
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.parcel import Parcel
from tests.support.ibc_chain import address
from tests.support.xroute_world import World

TERMS = Terms(minimum={"transfer": parse("xroute/1; require mode {e2e, quorum, zk-model}")}, model_key=b"oracle")
VOTERS = {"voter": Key.named("v1"), "other": Key.named("v2"), "relayer": Key.named("v3")}
STAKE = 1000


def with_stakes(world: World, chain: str) -> World:
    """The world itself, once all relayers have a stake on a chain."""
    for name, key in VOTERS.items():
        world[chain].must(name, MsgStake(key.public, STAKE, address(name)))
    return world


def certificate(world: World, parcel: Parcel, *voters: str, ahead_ns: int = 0) -> Certificate:
    statement = Statement(parcel.id, b"r" * 32, world.clock.now_ns + ahead_ns)
    signed = sign_bytes(parcel.destination, statement)
    return Certificate(statement, tuple(Vote(VOTERS[name].public, VOTERS[name].sign(signed)) for name in voters))


def announcement(world: World, parcel: Parcel, policy: str, *voters: str, ahead_ns: int = 0) -> MsgDeliverByQuorum:
    """Of a message from a to c, over b."""
    proof = world.proof("cba", parcel.packet, parcel.commitment_key, with_validators=True).encode()
    signed = certificate(world, parcel, *voters, ahead_ns=ahead_ns)
    return MsgDeliverByQuorum(parcel.packet, parse(policy).encode(), signed, b"", address("relayer"), proof)
