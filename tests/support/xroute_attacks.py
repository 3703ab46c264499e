"""Attacks on the verification of routes, each with the check, and the hop or clause, that has to refuse it.

Invariant: each attack is one change to a scene whose honest proof is accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.states import ClientStates
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.proto import ibc
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.proto.ibc import Fraction, Height, MerkleProof
from nodes.ibc.proto.ics23 import CommitmentProof
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.calls import Stored
from nodes.xroute.module.messages import MsgDeliver
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.build import Leg
from nodes.xroute.proofs.messages import HopRecord, RouteProof
from nodes.xroute.proofs.parcel import Parcel, packed
from nodes.xroute.proofs.rejection import Check
from nodes.xroute.proofs.transit import TransitPolicy, TransitRule
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_world import DAY_NS, World

LINE = (("a", "b"), ("b", "c"), ("c", "d"))
ROUTE = "dcba"
POLICY = "xroute/1; require each chain nakamoto >= 2; require each hop freshness <= 600s; limit hops 4"


@dataclass
class Scene:
    """A message from a to d over b and c, and its honest proof."""

    edges: tuple[tuple[str, str], ...] = LINE
    route: str = ROUTE
    policy: str = POLICY
    terms: dict[str, Terms] = field(default_factory=dict)
    changes: dict[str, dict[str, object]] = field(default_factory=dict)
    trusting_ns: int = 14 * DAY_NS
    timeout_s: int = 6000
    world: World = field(init=False)
    parcel: Parcel = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.edges, self.terms, self.changes, self.trusting_ns)
        self.parcel = self.world.send("a", "d", policy=self.policy, timeout_s=self.timeout_s)

    def proof(self, route: str = "", packet: Packet | None = None, **given: object) -> RouteProof:
        given = {"policy": parse(self.policy).encode(), "with_validators": True, **given}
        return self.world.proof(
            route or self.route, packet or self.parcel.packet, self.parcel.commitment_key, **given  # type: ignore[arg-type]
        )  # fmt: skip

    def deliver(self, proof: RouteProof | bytes) -> TxResult:
        data = proof if isinstance(proof, bytes) else proof.encode()
        return self.world["d"].do("relayer", MsgDeliver(data, address("relayer")))


def with_hop(proof: RouteProof, place: int, **changes: object) -> RouteProof:
    hops = list(proof.hops)
    hops[place] = replace(hops[place], **changes)  # type: ignore[arg-type]
    return replace(proof, hops=tuple(hops))


class Refusal(NamedTuple):
    check: Check
    place: int | None = None


ATTACKS: dict[str, tuple[Callable[[], TxResult], Refusal]] = {}


def attack(check: Check, place: int | None = None) -> Callable[[Callable[[], TxResult]], Callable[[], TxResult]]:
    def taken(run: Callable[[], TxResult]) -> Callable[[], TxResult]:
        ATTACKS[run.__name__] = run, Refusal(check, place)
        return run

    return taken


# 1. Sizes and form.


@attack(Check.SIZE)
def a_proof_above_64_kb() -> TxResult:
    scene = Scene()
    return scene.deliver(replace(scene.proof(), payee=bytes(64 << 10)))


@attack(Check.SIZE)
def a_proof_above_the_policys_own_limit() -> TxResult:
    scene = Scene(policy="xroute/1; limit bytes 1000")
    return scene.deliver(scene.proof())


@attack(Check.SIZE)
def more_hops_than_eight() -> TxResult:
    scene = Scene()
    proof = scene.proof()
    return scene.deliver(replace(proof, hops=(*proof.hops, *proof.hops[1:] * 3)))


@attack(Check.SIZE)
def an_unknown_field() -> TxResult:
    scene = Scene()
    return scene.deliver(scene.proof().encode() + bytes((0xFA, 0x01, 0)))


@attack(Check.SIZE)
def an_envelope_for_another_destination_client() -> TxResult:
    scene = Scene()
    packet = replace(scene.parcel.packet, destination_client="xr-" + "0" * 40)
    return scene.deliver(scene.proof(packet=packet))


# 2. Policy.


@attack(Check.POLICY)
def a_policy_downgraded_by_the_relayer() -> TxResult:
    scene = Scene()
    return scene.deliver(scene.proof(policy=parse("xroute/1; limit hops 8").encode()))


@attack(Check.POLICY)
def a_receiver_whose_minimum_contradicts_the_policy() -> TxResult:
    minimum = {"transfer": parse("xroute/1; require mode {hop}")}
    scene = Scene(policy="xroute/1; require mode {e2e}", terms={"d": Terms(minimum=minimum)})
    return scene.deliver(scene.proof())


# 4. Timeout.


@attack(Check.TIMEOUT)
def a_message_after_its_timeout() -> TxResult:
    scene = Scene(timeout_s=100)
    proof = scene.proof()
    scene.world.wait_until(scene.parcel.packet.timeout_timestamp)
    return scene.deliver(proof)


# 5. The verifying chain's own client.


@attack(Check.CLIENT, 0)
def a_height_that_the_client_does_not_know() -> TxResult:
    scene = Scene()
    return scene.deliver(with_hop(scene.proof(), 0, height=Height(1, 999)))


@attack(Check.CLIENT, 0)
def a_client_that_is_not_there() -> TxResult:
    scene = Scene()
    return scene.deliver(with_hop(scene.proof(), 0, client_id="07-tendermint-9"))


@attack(Check.CLIENT, 0)
def an_expired_client_of_the_destination() -> TxResult:
    scene = Scene(policy="xroute/1", trusting_ns=600 * SECOND_NS)
    proof = scene.proof()
    scene.world.clock.now_ns += 700 * SECOND_NS
    scene.world["d"].blocks(2)
    return scene.deliver(proof)


@attack(Check.CLIENT, 0)
def an_old_state_of_a_client_that_is_active() -> TxResult:
    scene = Scene(policy="xroute/1", trusting_ns=600 * SECOND_NS)
    proof = scene.proof()
    scene.world.clock.now_ns += 400 * SECOND_NS
    scene.world["c"].blocks(2)
    scene.world["d"].blocks(2)
    scene.world.update(scene.world["d"], scene.world["c"])
    scene.world.clock.now_ns += 400 * SECOND_NS
    scene.world["d"].blocks(2)
    return scene.deliver(proof)


@attack(Check.CLIENT, 0)
def proofs_about_the_destination_itself() -> TxResult:
    scene = Scene()
    proof = scene.proof()
    return scene.deliver(with_hop(proof, 0, client=proof.hops[1].client))


@attack(Check.CLIENT, 0)
def a_frozen_client_of_the_destination() -> TxResult:
    scene = Scene()
    proof = scene.proof()
    scene.world.freeze("d", "c")
    return scene.deliver(proof)


# 6. What transits hold of the chains after them.


@attack(Check.HOP, 1)
def a_hop_spliced_in_from_another_chain() -> TxResult:
    """x tracks a, too: its client would lead to a in the place of that of c to b."""
    scene = Scene(edges=(*LINE, ("x", "d"), ("x", "b")))
    honest, other = scene.proof(), scene.proof("dxba")
    return scene.deliver(replace(honest, hops=(honest.hops[0], other.hops[1], honest.hops[2])))


@attack(Check.HOP, 1)
def a_consensus_state_under_another_clients_name() -> TxResult:
    """The client state and peer of one client, the consensus state of another one of the same chain."""
    scene = Scene()
    scene.world["c"].clients["b2"] = scene.world.new_client(scene.world["c"], scene.world["b"])
    proof = scene.proof()
    return scene.deliver(with_hop(proof, 1, client_id=scene.world["c"].clients["b2"]))


@attack(Check.HOP, 1)
def a_client_without_a_peer() -> TxResult:
    scene = Scene()
    return scene.deliver(with_hop(scene.proof(), 1, peer=None))


@attack(Check.HOP, 2)
def an_intermediate_state_that_is_trusted_no_longer() -> TxResult:
    """c has not heard of b for longer than it trusts what it heard; it has stopped, and cannot say so any more."""
    scene = Scene(policy="xroute/1", trusting_ns=600 * SECOND_NS)
    old = scene.world.legs("ba")
    scene.world.clock.now_ns += 500 * SECOND_NS
    for name in "abcd":
        scene.world[name].blocks(2)
    legs = (*scene.world.legs("dcb"), *old)
    scene.world.clock.now_ns += 200 * SECOND_NS
    scene.world["d"].blocks(2)
    return scene.deliver(scene.proof(legs=legs))


@attack(Check.HOP, 1)
def a_client_that_a_transit_has_frozen() -> TxResult:
    scene = Scene()
    legs = scene.world.legs("dcba")
    scene.world.freeze("c", "b")
    height = scene.world.legs("dc")[0].height
    return scene.deliver(scene.proof(legs=(Leg("d", legs[0].client, height), *legs[1:])))


@attack(Check.HOP, 1)
def a_transit_policy_left_out() -> TxResult:
    scene = Scene()
    return scene.deliver(with_hop(scene.proof(), 1, transit=None))


@attack(Check.HOP, 1)
def a_transit_policy_denied_by_a_proof_of_another_absence() -> TxResult:
    scene = Scene(terms={"c": Terms(transit=TransitPolicy(TransitRule.DENY))})
    before = scene.world.legs(ROUTE)
    other = Stored("c", b"xroute/other", before[0].height.revision_height - 1)
    absent = MerkleProof.decode(scene.world["c"].answer(other).proof).proofs[0]
    return scene.deliver(with_hop(scene.proof(legs=before), 1, transit=absent))


def keys_elsewhere(scene: Scene, near: str, far: str) -> TxResult:
    """A client whose creator says that its chain keeps its keys where nothing lies."""
    node, other = scene.world[near], scene.world[far]
    node.clients[far] = client = scene.world.new_client(node, other)
    prefix = (ibc_paths.STORE, b"elsewhere/")
    node.must("relayer", ibc.MsgRegisterCounterparty(client, prefix, other.clients[near], address("relayer")))
    return scene.deliver(scene.proof())


@attack(Check.CLIENT, 0)
def a_client_of_keys_elsewhere() -> TxResult:
    return keys_elsewhere(Scene(), "d", "c")


@attack(Check.HOP, 1)
def a_transit_whose_client_trusts_nothing() -> TxResult:
    """Its chain takes any client: it has rules of its own."""
    scene = Scene()
    world, node = scene.world, scene.world["c"]
    first, *others = world.legs(ROUTE)
    store, client = node.chain.state.stores["ibc"], node.clients["b"]
    state = ClientStates(store, client).client_state
    assert state is not None
    store.set(ibc_paths.client_state(client), Any.of(replace(state, trust_level=Fraction(1, 0))).encode())
    node.blocks(2)
    legs = replace(first, height=world.update(world["d"], node)), *others
    return scene.deliver(scene.proof(legs=legs))


@attack(Check.HOP, 1)
def a_transits_client_of_keys_elsewhere() -> TxResult:
    return keys_elsewhere(Scene(), "c", "b")


# 7. Names and identities.


@attack(Check.NAME, 0)
def a_client_that_nobody_bound() -> TxResult:
    scene = Scene()
    node, other = scene.world["d"], scene.world["c"]
    client = scene.world.new_client(node, other, bind=False)
    node.must("relayer", ibc.MsgRegisterCounterparty(client, (b"ibc", b""), other.clients["d"], address("relayer")))
    node.clients["c"] = client
    return scene.deliver(scene.proof())


@attack(Check.NAME, 1)
def a_binding_left_out() -> TxResult:
    scene = Scene()
    return scene.deliver(with_hop(scene.proof(), 1, binding=None))


@attack(Check.NAME, 2)
def a_fork_with_the_same_chain_id() -> TxResult:
    """b's client tracks another chain called a-1, with validators of its own."""
    edges = (("a", "z"), ("f", "b"), ("b", "c"), ("c", "d"))
    scene = Scene(edges, changes={"f": {"chain_id": "a-1", "powers": (9, 9, 9)}})
    forged = scene.world.send("f", "d", policy=POLICY, timeout_s=scene.timeout_s)
    envelope = replace(forged.envelope, source=scene.world["a"].identity)
    packet = packed(forged.packet.sequence, envelope, forged.packet.timeout_timestamp)
    return scene.deliver(scene.proof("dcbf", packet=packet))


@attack(Check.NAME)
def a_chain_twice_on_the_route() -> TxResult:
    scene = Scene()
    return scene.deliver(scene.proof("dcbcba"))


@attack(Check.NAME, 1)
def a_transit_that_the_destination_saw_misbehave() -> TxResult:
    """Another client of the destination, of which the route makes no use, is frozen."""
    scene = Scene(edges=(*LINE, ("b", "d")))
    proof = scene.proof()
    scene.world.freeze("d", "b")
    return scene.deliver(proof)


@attack(Check.NAME, 1)
def a_transit_whose_misbehaviour_was_submitted_by_the_older_form() -> TxResult:
    scene = Scene(edges=(*LINE, ("b", "d")))
    proof = scene.proof()
    scene.world.freeze("d", "b", by_older_form=True)
    return scene.deliver(proof)


@attack(Check.NAME)
def a_message_to_another_chain() -> TxResult:
    scene = Scene()
    parcel = scene.world.send("a", "c", policy=POLICY)
    proof = scene.world.proof(
        ROUTE, parcel.packet, parcel.commitment_key, policy=parse(POLICY).encode(), with_validators=True
    )
    return scene.deliver(proof)


@attack(Check.NAME)
def records_of_mode_hop_in_a_route_proof() -> TxResult:
    scene = Scene()
    record = HopRecord(scene.world["a"].identity, "tendermint", 333_333, 1, 1 << 62)
    return scene.deliver(replace(scene.proof("dcb"), records=(record,)))


# 8. What the policy requires.


@attack(Check.CLAUSE, 1)
def a_state_that_is_stale_but_trusted() -> TxResult:
    scene = Scene(policy="xroute/1; require each chain nakamoto >= 2; require each hop freshness <= 100s")
    proof = scene.proof()
    scene.world.clock.now_ns += 200 * SECOND_NS
    scene.world["d"].blocks(2)
    return scene.deliver(proof)


@attack(Check.CLAUSE, 0)
def a_chain_with_a_few_strong_validators() -> TxResult:
    scene = Scene(changes={"b": {"powers": (100, 1, 1, 1)}})
    return scene.deliver(scene.proof())


@attack(Check.CLAUSE, 2)
def the_validators_of_another_chain() -> TxResult:
    scene = Scene(changes={"a": {"powers": (100, 1, 1, 1)}})
    proof = scene.proof()
    return scene.deliver(with_hop(proof, 2, validators=proof.hops[1].validators))


@attack(Check.CLAUSE, 2)
def validators_padded_with_some_that_have_no_power() -> TxResult:
    scene = Scene()
    proof = scene.proof()
    padding = SimpleValidator(proof.hops[1].validators[0].pub_key, 0)
    return scene.deliver(with_hop(proof, 2, validators=(*proof.hops[2].validators, padding)))


@attack(Check.CLAUSE, 0)
def validators_left_out() -> TxResult:
    scene = Scene()
    return scene.deliver(scene.proof(with_validators=False))


@attack(Check.CLAUSE, 0)
def hops_inflated_by_chains_that_collude() -> TxResult:
    scene = Scene(edges=(*LINE, ("x", "b"), ("x", "a")), policy="xroute/1; limit hops 3")
    return scene.deliver(scene.proof("dcbxa"))


@attack(Check.CLAUSE, 0)
def a_transit_that_lets_nothing_pass() -> TxResult:
    denying = {"b": Terms(transit=TransitPolicy(TransitRule.DENY))}
    scene = Scene(policy="xroute/1; require each transit transit_ok = true", terms=denying)
    return scene.deliver(scene.proof())


@attack(Check.CLAUSE, 0)
def a_minimum_of_the_receiver_that_the_sender_left_out() -> TxResult:
    minimum = {"transfer": parse("xroute/1; require each chain nakamoto >= 3")}
    scene = Scene(policy="xroute/1", terms={"d": Terms(minimum=minimum)})
    return scene.deliver(scene.proof())


# 9. The key.


@attack(Check.KEY)
def a_message_that_was_never_sent() -> TxResult:
    scene = Scene()
    payload = replace(scene.parcel.envelope.payload, value=scene.parcel.envelope.payload.value.replace(b"100", b"999"))
    envelope = replace(scene.parcel.envelope, payload=payload)
    packet = packed(scene.parcel.packet.sequence, envelope, scene.parcel.packet.timeout_timestamp)
    return scene.deliver(scene.proof(packet=packet))


@attack(Check.KEY)
def a_proof_that_the_source_holds_nothing() -> TxResult:
    scene = Scene()
    legs = scene.world.legs(ROUTE)
    absent = scene.world.proof(
        ROUTE, scene.parcel.packet, ibc_paths.packet_commitment_v2("xroute-0", 9), legs=legs
    )  # fmt: skip
    return scene.deliver(replace(scene.proof(legs=legs), key=absent.key))


@attack(Check.KEY)
def no_proof_of_the_key() -> TxResult:
    scene = Scene()
    return scene.deliver(replace(scene.proof(), key=CommitmentProof()))
