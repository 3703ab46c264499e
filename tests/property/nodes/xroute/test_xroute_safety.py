"""Whatever is tried on chains of random shape, no message is accepted that its policy forbids, or that was never sent.

The checker knows nothing of proofs: it looks at the chains themselves, at what their clients really track.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.xroute.module.messages import MsgDeliver
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.build import Leg
from nodes.xroute.proofs.messages import RouteProof
from nodes.xroute.proofs.parcel import Parcel, packed
from nodes.xroute.proofs.transit import TransitPolicy, TransitRule
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_world import World

CHAINS = "abcde"
TRIES = 8


@dataclass(frozen=True)
class Wish:
    """A policy by its numbers."""

    nakamoto: int
    freshness_s: int
    hops: int
    asks_transits: bool

    @property
    def text(self) -> str:
        transit = "; require each transit transit_ok = true" if self.asks_transits else ""
        return (
            f"xroute/1; require each chain nakamoto >= {self.nakamoto}; "
            f"require each hop freshness <= {self.freshness_s}s; limit hops {self.hops}{transit}"
        )


@dataclass
class Trial:
    """Random chains, messages on them, and attempts to deliver these by proofs that may be tampered with."""

    seed: int
    random: Random = field(init=False)
    world: World = field(init=False)
    powers: dict[str, tuple[int, ...]] = field(init=False)
    denies: set[str] = field(init=False)
    sent: dict[bytes, tuple[Parcel, Wish, int]] = field(default_factory=dict)
    accepted: Counter[bytes] = field(default_factory=Counter)
    known: list[RouteProof] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = self.random = Random(f"route safety {self.seed}")
        edges = [(here, there) for at, here in enumerate(CHAINS) for there in CHAINS[at + 1 :]]
        chosen = [*random.sample(edges, 6), ("a", "b"), ("d", "e")]
        self.powers = {name: random.choice([(1,) * 4, (1,) * 7, (9, 1, 1, 1), (1,) * 10]) for name in CHAINS}
        self.denies = {name for name in CHAINS if random.random() < 0.3}
        deny = TransitPolicy(TransitRule.DENY)
        self.world = World(
            sorted(set(chosen)),
            {name: Terms(transit=deny) for name in self.denies},
            {name: {"powers": powers} for name, powers in self.powers.items()},
        )

    def routes(self, destination: str, source: str) -> list[str]:
        """All ways without a chain twice, from the destination on."""
        found, open_ = [], [destination]
        while open_:
            way = open_.pop()
            if way[-1] == source:
                found.append(way)
                continue
            open_ += [way + each for each in sorted(self.world[way[-1]].clients) if each not in way]
        return found

    def step(self) -> None:
        random, world = self.random, self.world
        source, destination = random.sample([name for name in CHAINS if name in world.nodes], 2)
        wish = Wish(
            random.choice([1, 2, 3, 4]), random.choice([30, 5000]), random.choice([1, 2, 3, 4]), random.random() < 0.5
        )  # fmt: skip
        amount = random.randint(1, 1000)
        parcel = world.send(source, destination, amount, policy=wish.text, timeout_s=50_000)
        self.sent[parcel.id] = parcel, wish, amount
        routes = self.routes(destination, source)
        for _ in range(2):
            if not routes:
                return
            route = random.choice(routes)
            legs = world.legs(route)
            if random.random() < 0.3:
                world.clock.now_ns += random.choice([20, 200]) * SECOND_NS
                world[destination].blocks(2)
            self.attempt(self.proof(route, parcel, wish, legs), destination)

    def proof(self, route: str, parcel: Parcel, wish: Wish, legs: tuple[Leg, ...]) -> RouteProof:
        policy = parse(wish.text).encode()
        proof = self.world.proof(
            route, parcel.packet, parcel.commitment_key, policy=policy, with_validators=True, legs=legs
        )  # fmt: skip
        self.known.append(proof)
        return self.tampered(proof) if self.random.random() < 0.6 else proof

    def tampered(self, proof: RouteProof) -> RouteProof:
        random, other = self.random, self.random.choice(self.known)
        place = random.randrange(len(proof.hops))
        foreign = other.hops[random.randrange(len(other.hops))]
        hops = list(proof.hops)
        match random.randrange(8):
            case 0:
                hops[place] = foreign
            case 1:
                hops[place] = replace(hops[place], validators=foreign.validators)
            case 2:
                del hops[place]
            case 3:
                hops.insert(place, foreign)
            case 4:
                hops[place] = replace(hops[place], transit=foreign.transit, store=foreign.store)
            case 5:
                return replace(proof, policy=other.policy)
            case 6:
                return replace(proof, packet=other.packet)
            case 7:
                parcel = Parcel.of(proof.packet)
                payload = replace(parcel.envelope.payload, value=parcel.envelope.payload.value.replace(b'"1', b'"9'))
                envelope = replace(parcel.envelope, payload=payload)
                return replace(proof, packet=packed(proof.packet.sequence, envelope, proof.packet.timeout_timestamp))
        return replace(proof, hops=tuple(hops))

    def attempt(self, proof: RouteProof, destination: str) -> None:
        result = self.world[destination].do("relayer", MsgDeliver(proof.encode(), address("relayer")))
        if result.code:
            return
        parcel = Parcel.of(proof.packet)
        assert parcel.id in self.sent, "it was never sent"
        self.accepted[parcel.id] += 1
        assert self.accepted[parcel.id] == 1, "it was delivered twice"
        self.check(proof, destination, parcel)

    def check(self, proof: RouteProof, destination: str, parcel: Parcel) -> None:
        """That the route used complies, by what the chains are."""
        _, wish, _ = self.sent[parcel.id]
        chains = [destination]
        for hop in proof.hops:
            node = self.world[chains[-1]]
            chains.append(next(name for name, client in node.clients.items() if client == hop.client_id))
        assert self.world[chains[-1]].identity == parcel.source
        assert len(set(chains)) == len(chains)
        assert len(proof.hops) <= wish.hops
        now_s = self.world[destination].chain.ledger[self.world[destination].chain.height].block.time_ns // SECOND_NS
        for hop, chain in zip(proof.hops, chains[1:], strict=True):
            assert weakest(self.powers[chain]) >= wish.nakamoto
            header_s = self.world[chain].chain.ledger[hop.height.revision_height].block.time_ns // SECOND_NS
            assert now_s - header_s <= wish.freshness_s
        assert not wish.asks_transits or not self.denies & set(chains[1:-1])

    def totals(self) -> None:
        """That receivers have what was accepted, and no more."""
        for source in self.world.nodes:
            for destination in self.world.nodes:
                if source == destination:
                    continue
                expected = sum(
                    amount
                    for message, (parcel, _, amount) in self.sent.items()
                    if self.accepted[message]
                    and (parcel.source, parcel.destination)
                    == (self.world[source].identity, self.world[destination].identity)
                )
                voucher = self.world.voucher(source, destination)
                assert self.world[destination].balance_of("bob", voucher) == expected


def weakest(powers: tuple[int, ...]) -> int:
    """The Nakamoto coefficient, by trying."""
    ordered = sorted(powers, reverse=True)
    return next(count for count in range(1, len(ordered) + 1) if sum(ordered[:count]) > sum(ordered) / 3)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_nothing_is_accepted_that_violates_its_policy(seed: int) -> None:
    trial = Trial(seed)
    for _ in range(TRIES):
        trial.step()
    trial.totals()


def test_the_search_has_both_messages_that_are_accepted_and_some_that_are_not() -> None:
    trials = [Trial(seed) for seed in range(4)]
    for trial in trials:
        for _ in range(TRIES):
            trial.step()
    accepted = sum(sum(trial.accepted.values()) for trial in trials)
    assert 0.1 < accepted / (4 * TRIES) < 0.9, accepted
