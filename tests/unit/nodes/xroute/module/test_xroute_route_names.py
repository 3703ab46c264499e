"""Policies by names: registries prove what the chains of a route are called, and cannot go back on it."""

from __future__ import annotations

from dataclasses import replace

from ibc_chain import GENESIS_NS, SECOND_NS, address
from xroute_names import OWNER, TERMS, ZONE, ZONE_OWNER, chain_record

from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.keeper import Clients
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto.ibc import Height
from nodes.ibc.relayer.calls import Stored
from nodes.xroute.keys import Key
from nodes.xroute.module.messages import MsgDeliver
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.evidence import NameProof
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.messages import MsgCommit, MsgReveal, MsgUpdate
from nodes.xroute.names.record import Record, sign_bytes
from nodes.xroute.names.registry import Registry, commitment
from nodes.xroute.names.verifier import ListedRegistry, RegistryNames, ResolvedName
from nodes.xroute.policy.parser import parse
from tests.support.xroute_world import Node, World

POLICY = "xroute/1; require each chain in {a.cosmos, b.cosmos}; require registry {r}"


class Scene:
    """a, b and c, and a registry r that c has a client of."""

    def __init__(self) -> None:
        edges = (("a", "b"), ("b", "c"), ("r", "c"))
        changes = {"r": {"registry": Registry((ZONE,), TERMS)}}
        identity = World(edges, changes=changes)["r"].identity  # as it will be again
        names = RegistryNames(Clients(), [ListedRegistry("r", identity, frozenset({"cosmos"}))])
        self.world = World(edges, {"c": Terms(names=names)}, changes)
        self.records = {name: self.register(name) for name in "ab"}

    @property
    def registry(self) -> Node:
        return self.world["r"]

    def signed(self, record: Record, key: Key = OWNER) -> bytes:
        return key.sign(sign_bytes(self.registry.chain_id, record.encode()))

    def register(self, chain_name: str, called: str = "") -> Record:
        node, chain = self.registry, self.world[chain_name]
        passed_s = (self.world.clock.now_ns - GENESIS_NS) // SECOND_NS
        record = chain_record(
            f"{called or chain_name}.cosmos", passed_s, chain_id=chain.chain_id, anchor_height=1, ttl_s=600,
            anchor_hash=header_hash(chain.chain.ledger[1].block.header),
        )  # fmt: skip
        node.must("alice", MsgCommit(commitment(record.name, b"salt", record.owner), address("alice")))
        node.blocks(2)
        signatures = self.signed(record), self.signed(record, ZONE_OWNER)
        node.must("alice", MsgReveal(record.encode(), b"salt", *signatures, address("alice")))
        return record

    def proofs(self) -> tuple[bytes, ...]:
        """What the registry says now of a and b."""
        self.registry.blocks(1)
        height = self.world.update(self.world["c"], self.registry)
        zone = self._step("cosmos", height)
        client = self.world["c"].clients["r"]
        names = [record.name for record in self.records.values()]
        return tuple(ResolvedName("r", name, (zone, self._step(name, height)), (client,)).encode() for name in names)

    def _step(self, name: str, height: Height) -> NameProof:
        answer = self.registry.answer(Stored("r", key_of(name), height.revision_height - 1, STORE))
        return NameProof(name, height, answer.value, answer.proof)

    def deliver(self, names: tuple[bytes, ...], policy: str = POLICY) -> TxResult:
        parcel = self.world.send("a", "c", policy=policy)
        proof = self.world.proof("cba", parcel.packet, parcel.commitment_key, policy=parse(policy).encode())
        message = MsgDeliver(replace(proof, names=names).encode(), address("relayer"))
        return self.world["c"].do("relayer", message)


def test_chains_are_known_by_the_names_that_a_registry_proves() -> None:
    scene = Scene()
    names = scene.proofs()
    without = scene.deliver(names[:1])
    assert (without.code, "clause 0: " in without.log) == (108, True), "b has no name"
    delivered = scene.deliver(names)
    assert delivered.code == 0, delivered.log
    other = scene.deliver(names, "xroute/1; require each chain in {a.cosmos}")
    assert (other.code, "clause 0: " in other.log) == (108, True)
    avoided = scene.deliver(names, "xroute/1; avoid {b.cosmos}")
    assert (avoided.code, "clause 0: " in avoided.log) == (108, True)


def test_a_second_name_is_no_way_around_a_policy() -> None:
    """A zone may be open: then anybody gives a chain another name, and brings the proof of that one alone."""
    scene = Scene()
    scene.records["alias"] = scene.register("b", called="other")
    a, b, other = scene.proofs()
    avoid = "xroute/1; avoid {b.cosmos}"
    for names in ((a, b, other), (a, other, b), (a, other), (b,), (other,), ()):
        refused = scene.deliver(names, avoid)
        assert (refused.code, "clause 0: " in refused.log) == (108, True), refused.log
    for policy in (
        "xroute/1; require each transit in {other.cosmos}",
        "xroute/1; require via all {b.cosmos, other.cosmos}",
    ):
        delivered = scene.deliver(scene.proofs()[1:], policy)
        assert delivered.code == 0, delivered.log


def test_a_name_of_no_chain_satisfies_nothing() -> None:
    """Whoever owns the name of a chain that is avoided could give it up."""
    scene = Scene()
    scene.records["gone"] = replace(scene.records["b"], name="gone.cosmos")
    names = scene.proofs()
    refused = scene.deliver(names, "xroute/1; avoid {gone.cosmos}")
    assert (refused.code, "clause 0: " in refused.log) == (108, True), refused.log


def test_an_older_version_of_a_record_is_refused_once_a_later_one_was_believed() -> None:
    scene = Scene()
    old = scene.proofs()
    later = replace(scene.records["a"], seq=2, endpoints=("http://a",))
    scene.registry.must("alice", MsgUpdate(later.encode(), scene.signed(later), address("alice")))
    assert not scene.deliver(scene.proofs()).code
    refused = scene.deliver(old)
    assert refused.code == 107, refused.log


def test_registries_that_agree() -> None:
    scene = Scene()
    policy = "xroute/1; require names agree; require registry {r}"
    assert not scene.deliver(scene.proofs(), policy).code
    assert scene.deliver((), policy).code == 108
