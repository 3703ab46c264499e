"""A hostile search: chains of random shape, policies of any clauses; proofs, bindings and clocks are tampered with.

It knows no fault. What chains accept is looked at by the judge of the `World`, who raises Violation.
Invariant: all that is drawn follows from the seed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from nodes.ibc.client.states import ClientStates
from nodes.ibc.client.tendermint import Status, status
from nodes.ibc.core.commitments import packet_commitment_v2
from nodes.ibc.proto.comet import LightBlock, SimpleValidator
from nodes.xroute.module.messages import MsgDeliver
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.messages import MsgBindClient
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.messages import Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel, packed
from nodes.xroute.proofs.transit import TransitPolicy, TransitRule
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_world import World

CHAINS = "abcde"
FORK = "f"  # another chain of the id of a
TRUSTING_NS = 20_000 * SECOND_NS


@dataclass
class Hunt:
    """Steps of one search. `tried` counts what was tried, by its code; 0 is what a chain accepted."""

    seed: int
    tried: Counter[int] = field(default_factory=Counter)
    random: Random = field(init=False)
    world: World = field(init=False)
    known: list[RouteProof] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = self.random = Random(f"hunt {self.seed}")
        edges = [(here, there) for at, here in enumerate(CHAINS) for there in CHAINS[at + 1 :]]
        chosen = [*random.sample(edges, 6), ("a", "b"), ("b", "c"), ("d", "e"), (FORK, random.choice("bcd"))]
        powers = {name: random.choice([(1,) * 4, (1,) * 7, (9, 1, 1, 1), (1,) * 10]) for name in CHAINS}
        changes: dict[str, dict[str, object]] = {name: {"powers": each} for name, each in powers.items()}
        changes[FORK] = {"chain_id": "a-1", "powers": (5, 5, 5)}
        deny = TransitPolicy(TransitRule.DENY)
        terms = {name: Terms(transit=deny) for name in CHAINS if random.random() < 0.2}
        strict = random.choice(CHAINS)
        minimum = {
            "transfer": parse(random.choice(["xroute/1; limit hops 1", "xroute/1; require each hop freshness <= 90s"]))
        }
        terms[strict] = replace(terms.get(strict, Terms()), minimum=minimum)
        self.world = World(sorted(set(chosen)), terms, changes, TRUSTING_NS)

    def step(self) -> None:
        """A message, and attempts to have it delivered; or an attempt to bind a client to what it does not track."""
        random, world = self.random, self.world
        if random.random() < 0.3:
            random.choice([self._bind, self._bind, self._forge])()
            return
        source, destination = random.sample(CHAINS, 2)
        policy = self._policy()
        parcel = world.send(
            source, destination, random.randint(1, 1000), policy=policy, timeout_s=random.choice([400, 80_000])
        )
        for _ in range(3):
            routes = self._routes(destination, source)
            if not routes:
                return
            route = random.choice(routes)
            given = {"policy": parse(policy).encode(), "with_validators": random.random() < 0.9}
            proof = world.proof(route, parcel.packet, parcel.commitment_key, **given)  # type: ignore[arg-type]
            self.known.append(proof)
            if random.random() < 0.25:
                world.clock.now_ns += random.choice([50, 200, 2000]) * SECOND_NS
                world[destination].blocks(2)
            if random.random() < 0.1:
                other = random.choice(sorted(world[destination].clients))
                if self._goes_on(destination, other):
                    world.freeze(destination, other)
            self._deliver(self._tampered(proof) if random.random() < 0.5 else proof, destination)

    def _deliver(self, proof: RouteProof, destination: str) -> None:
        result = self.world[destination].do("relayer", MsgDeliver(proof.encode(), address("relayer")))
        assert not result.panicked, result.log
        self.tried[result.code] += 1

    def _policy(self) -> str:
        """Clauses as a person might write them: all can be judged by what chains are."""
        random = self.random
        while True:
            some = ", ".join(self.world[each].identity.hex() for each in random.sample(CHAINS, random.randint(1, 2)))
            scope = random.choice(["each chain", "each transit", "source", "any hop"])
            clauses = [
                f"require {scope} nakamoto {random.choice(['>=', '<='])} {random.randint(1, 4)}",
                f"require {scope} validators >= {random.choice([4, 5, 7])}",
                f"require {scope} top1_share <= {random.choice([20, 30, 80])}%",
                f"require each hop freshness <= {random.choice([60, 300, 5000])}s",
                f"require each hop trusting_left >= {random.choice([10_000, 19_800])}s",
                f"require {scope} {random.choice(['in', 'not in'])} {{{some}}}",
                f"avoid {{{some}}}",
                f"require via {random.choice(['any', 'all'])} {{{some}}}",
                f"limit hops {random.randint(1, 4)}",
                f"limit bytes {random.choice([3000, 8000, 20_000])}",
                "require each transit transit_ok = true",
                f"require disjoint {random.choice([2, 3])}",
                f"require mode {{{random.choice(['e2e', 'hop', 'e2e, hop'])}}}",
            ]
            text = "; ".join(["xroute/1", *random.sample(clauses, random.randint(0, 3))])
            try:
                parse(text)
            except PolicyError:
                continue
            return text

    def _routes(self, destination: str, source: str) -> list[str]:
        """All ways without a chain twice, from the destination on."""
        found, open_ = [], [destination]
        while open_:
            way = open_.pop()
            if way[-1] == source:
                found.append(way)
            else:
                open_ += [way + each for each in sorted(self.world[way[-1]].clients) if self._goes_on(way, each)]
        return found

    def _goes_on(self, way: str, name: str) -> bool:
        """Whether a way may lead on to a chain: by an active client, or else it cannot be updated."""
        node = self.world[way[-1]]
        states = ClientStates(node.context().ibc, node.clients[name])
        client = states.client_state
        assert client is not None
        return name not in way and status(states, client, self.world.clock.now_ns) is Status.ACTIVE

    def _tampered(self, proof: RouteProof) -> RouteProof:
        random, other = self.random, self.random.choice(self.known)
        place = random.randrange(len(proof.hops))
        foreign = random.choice(other.hops)
        hops, packet = list(proof.hops), proof.packet
        envelope = Parcel.of(packet).envelope
        match random.randrange(13):
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
                return replace(proof, policy=random.choice([other.policy, b""]))
            case 6:
                return replace(proof, packet=other.packet)
            case 7:
                value = envelope.payload.value.replace(b'"1', b'"9')
                changed = replace(envelope, payload=replace(envelope.payload, value=value))
                return replace(proof, packet=packed(packet.sequence, changed, packet.timeout_timestamp))
            case 8:
                return replace(proof, packet=packed(packet.sequence, envelope, packet.timeout_timestamp + 80_000))
            case 9:
                changed = replace(envelope, mode=random.choice([Mode.HOP, Mode.QUORUM]))
                return replace(proof, packet=packed(packet.sequence, changed, packet.timeout_timestamp))
            case 10:
                padding = tuple(SimpleValidator(each.pub_key, 0) for each in foreign.validators[:1])
                hops[place] = replace(hops[place], validators=(*hops[place].validators, *padding))
            case 11:
                hops[place] = replace(hops[place], client_id=foreign.client_id, binding=foreign.binding)
            case 12:
                return random.choice(self.known)
        return replace(proof, hops=tuple(hops))

    def _bind(self) -> None:
        """A new client, and what may bind it to an identity that its chain has not."""
        random = self.random
        node, other = (self.world[name] for name in random.sample(CHAINS, 2))
        low = random.randint(1, 2)
        first = random.randint(low, 3)
        top = max(first, low + 1)
        client = self.world.new_client(node, other, bind=False, at=first)
        anchor, *between = (other.chain.ledger[height].block.header for height in range(low, top))
        newest: LightBlock | None = LightBlock(other.header(top), other.validators(top))
        match random.randrange(6):
            case 0:
                anchor = replace(anchor, evidence_hash=bytes(32))
            case 1:
                anchor, newest = replace(anchor, evidence_hash=bytes(32)), None
            case 2:
                between = []
        message = MsgBindClient(client, anchor, newest, tuple(reversed(between)), address("relayer"))
        result = node.do("relayer", message)
        assert not result.panicked, result.log

    def _forge(self) -> None:
        """The fork's validators let it hold a message, and say that it is of the chain whose id the fork has."""
        world, destination = self.world, self.random.choice(CHAINS[1:])
        honest = world.send(FORK, destination, timeout_s=80_000)
        envelope = replace(honest.envelope, source=world["a"].identity)
        packet, key = packed(honest.packet.sequence, envelope, honest.packet.timeout_timestamp), honest.commitment_key
        world[FORK].chain.state.stores["ibc"].set(key, packet_commitment_v2(packet))
        world[FORK].blocks(1)
        if routes := self._routes(destination, FORK):
            self._deliver(world.proof(self.random.choice(routes), packet, key, with_validators=True), destination)
