"""Deliveries of mode QUORUM, judged by who signed, by which stake, and for which route."""

from __future__ import annotations

from nodes.ibc.core.events import event
from nodes.xroute.module.messages import Certificate, Statement, Vote
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import Mode, route_id
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.routes.graph import Chain, Edge, Graph, both_ways
from scenarios.xroute.vouching import Vouching
from tests.support.xroute_quorum import VOTERS
from tests.support.xroute_world import World

WORLD = World((("a", "b"),))
PARCEL: Parcel = WORLD.send("a", "b", mode=Mode.QUORUM)
SOURCE, DESTINATION = PARCEL.source, PARCEL.destination
CLIENT = "07-tendermint-0"
GRAPH = Graph(
    [Chain(SOURCE, "a", nakamoto=2), Chain(DESTINATION, "b", nakamoto=2)],
    both_ways(Edge(DESTINATION, SOURCE, CLIENT, CLIENT)),
)
DIRECT = route_id((DESTINATION, SOURCE), (CLIENT,))


def reason(
    policy: str = "xroute/1", route: bytes = DIRECT, stakes: tuple[int, ...] = (5, 5), message: bytes = PARCEL.id
) -> str:
    """What is wrong with a delivery for which two relayers signed, with these stakes."""
    vouching = Vouching(GRAPH)
    keys = list(VOTERS.values())[:2]
    for key, amount in zip(keys, stakes, strict=True):
        vouching.staked(DESTINATION, event("xroute_stake", relayer=key.public.hex(), amount=5))
        if not amount:
            vouching.staked(DESTINATION, event("xroute_slash", relayer=key.public.hex(), amount=5))
    statement = Statement(message, route, 1)
    signed = sign_bytes(DESTINATION, statement)
    votes = tuple(Vote(key.public, key.sign(signed)) for key in keys)
    vouching.announced(DESTINATION, PARCEL, Certificate(statement, votes))
    return vouching.reason(PARCEL, parse(policy))


def test_two_relayers_with_a_stake_may_stand_for_a_route_that_complies() -> None:
    assert reason("xroute/1; require each chain nakamoto >= 2") == ""


def test_each_lack_is_a_violation() -> None:
    assert "1 relayers with a stake" in reason(stakes=(5, 0))
    assert "0 relayers" in reason(message=bytes(32))
    assert reason(route=bytes(32)) == "a route that is not there"
    assert reason("xroute/1; require each chain nakamoto >= 3") == "clause 0"
    assert "0 relayers" in Vouching(GRAPH).reason(PARCEL, parse("xroute/1"))
