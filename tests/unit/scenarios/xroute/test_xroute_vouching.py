"""Deliveries of mode QUORUM, judged by who signed, by which stake, and for which route."""

from __future__ import annotations

from itertools import pairwise

from nodes.ibc.core.events import event
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.module.messages import Certificate, Statement, Vote
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import MOST_HOPS, Mode, route_id
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
    policy: str = "xroute/1", route: bytes = DIRECT, stakes: tuple[int, ...] = (5, 5), message: bytes = PARCEL.id,
    graph: Graph = GRAPH,
) -> str:  # fmt: skip
    """What is wrong with a delivery for which two relayers signed, with these stakes."""
    vouching = Vouching(graph)
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


def test_a_route_may_be_as_long_as_that_of_a_proof() -> None:
    transits = [ChainIdentity(bytes([number]) * 32) for number in range(1, MOST_HOPS)]
    line = [DESTINATION, *transits, SOURCE]
    edges = [edge for ends in pairwise(line) for edge in both_ways(Edge(*ends, CLIENT, CLIENT))]
    graph = Graph([Chain(each, str(place), nakamoto=place) for place, each in enumerate(line)], edges)
    route = route_id(line, (CLIENT,) * MOST_HOPS)
    assert reason("xroute/1; require each transit nakamoto >= 1", route, graph=graph) == ""
    assert reason("xroute/1; require each transit nakamoto >= 2", route, graph=graph) == "clause 0"
