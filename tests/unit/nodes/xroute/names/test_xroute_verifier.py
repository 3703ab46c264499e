"""Names in a route's proof: which the verifying chain believes, and what it makes of registries that do not agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from ibc_chain import SECOND_NS
from xroute_names import OTHER, ZONE, Registrar, Watcher, chain_record

from emulator.model.errors import Unfit
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.state import Store
from nodes.xroute.names.binding import key_of_binding
from nodes.xroute.names.evidence import NameProof, Reason, Refused
from nodes.xroute.names.labels import STORE
from nodes.xroute.names.record import REVOKED, Record, identity_of
from nodes.xroute.names.verifier import ListedRegistry, RegistryNames, ResolvedName
from nodes.xroute.proofs.names import Named

OSMOSIS = chain_record("osmosis.cosmos")
IDENTITY = identity_of(OSMOSIS)


def registry_with(record: Record, chain_id: str = "registry-1") -> Registrar:
    made = Registrar(chain_id)
    made.register(record)
    return made


@dataclass
class World:
    """A chain that knows registries, by the names r0, r1, … in this order."""

    registrars: list[Registrar]
    watcher: Watcher = field(default_factory=Watcher)

    def __post_init__(self) -> None:
        self.chains = [self.watcher.follow(each) for each in self.registrars]
        for chain in self.chains:
            self.watcher.names.set(key_of_binding(chain.client), chain.identity)
        self.names = RegistryNames(
            self.watcher.clients,
            [
                ListedRegistry(f"r{number}", each.identity, frozenset({"cosmos"}))
                for number, each in enumerate(self.chains)
            ],
        )

    def proof(self, name: str, number: int = 0, **changes: NameProof) -> bytes:
        """A proof by a registry; `changes` are put in the place of steps, by their first label."""
        above = name.partition(".")[2]
        steps = [changes.get(each.partition(".")[0], self.registrars[number].answer(each)) for each in (above, name)]
        return ResolvedName(f"r{number}", name, tuple(steps), (self.chains[number].client,)).encode()

    def named(self, *proofs: bytes, registries: tuple[str, ...] = ()) -> Named:
        return self.names.named(self.watcher.context(), proofs, registries)

    def update(self) -> None:
        for chain, registrar in zip(self.chains, self.registrars, strict=True):
            self.watcher.update(registrar, chain.client)


def alone() -> World:
    return World([registry_with(OSMOSIS)])


def pair(second: Record) -> World:
    return World([registry_with(OSMOSIS), registry_with(second, "registry-2")])


def test_a_proved_name_belongs_to_an_identity() -> None:
    world = alone()
    assert world.named(world.proof("osmosis.cosmos")) == Named({"osmosis.cosmos": IDENTITY}, {IDENTITY: "r0"}, True)
    assert world.named() == Named()


def test_a_name_that_is_denied_names_nothing() -> None:
    world = alone()
    assert world.named(world.proof("juno.cosmos")).chains == {}


def test_a_proof_with_a_step_missing_or_forged_is_refused() -> None:
    world = alone()
    registrar = world.registrars[0]
    forged = replace(registrar.answer("osmosis.cosmos"), record=replace(OSMOSIS, chain_id="evil-1").encode())
    last = registrar.answer("osmosis.cosmos")
    for bad, reason in (
        (world.proof("osmosis.cosmos", osmosis=forged), Reason.FORGED),
        (ResolvedName("r0", "osmosis.cosmos", (last,), (world.chains[0].client,)).encode(), Reason.UNANSWERED),
    ):
        with pytest.raises(Refused) as caught:
            world.named(bad)
        assert caught.value.reason is reason
    with pytest.raises(Unfit):
        world.named(b"\x08")


def test_a_registry_is_known_for_the_zone_and_its_client_is_bound() -> None:
    world = alone()
    proof = ResolvedName.decode(world.proof("osmosis.cosmos"))
    for bad in (replace(proof, registry="r9"), replace(proof, name="osmosis.other")):
        with pytest.raises(Unfit, match="one that this chain knows"):
            world.names.named(world.watcher.context(), [bad.encode()], ["r0", "r9"])
    other = world.watcher.follow(Registrar("other-1"))
    world.watcher.names.set(key_of_binding(other.client), other.identity)
    for clients in ((other.client,), ("07-tendermint-9",), (), (other.client, world.chains[0].client)):
        with pytest.raises(Unfit, match="first one that is bound to it"):
            world.named(replace(proof, clients=clients).encode())
    world.watcher.names.delete(key_of_binding(world.chains[0].client))
    with pytest.raises(Unfit, match="first one that is bound to it"):
        world.named(proof.encode())


class Counted:
    """A store that counts what is read of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return self._store.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self._store.set(key, value)

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for each in self._store.iterate(prefix):
            self.reads += 1
            yield each


def test_clients_of_others_make_no_name_dearer() -> None:
    """Anybody may make clients and bind them: each message with a name would pay for reading them all."""
    world = alone()
    reads = []
    for _ in range(2):
        context = world.watcher.context()
        counted = Counted(context.stores[STORE])
        context.stores = {**context.stores, STORE: counted}
        world.names.named(context, [world.proof("osmosis.cosmos")], [])
        reads.append(counted.reads)
        for number in range(100):
            world.watcher.names.set(key_of_binding(f"07-tendermint-{1000 + number}"), IDENTITY)
    assert reads[0] == reads[1]


def test_only_registries_that_the_policy_lists_count_in_its_order() -> None:
    second = replace(OSMOSIS, chain_id="osmosis-2")
    world = pair(second)
    proofs = world.proof("osmosis.cosmos"), world.proof("osmosis.cosmos", 1)
    assert world.named(*proofs) == Named({"osmosis.cosmos": IDENTITY}, {IDENTITY: "r0"}, False)
    other = identity_of(second)
    named = world.named(*proofs, registries=("r1", "r0"))
    assert named == Named({"osmosis.cosmos": other}, {other: "r1"}, False)
    assert world.named(*proofs, registries=("r1",)) == Named({"osmosis.cosmos": other}, {other: "r1"}, True)
    assert world.named(*proofs, registries=("r7",)) == Named()


def test_registries_agree_where_all_of_them_say_the_same() -> None:
    world = pair(replace(OSMOSIS, ttl_s=30))
    both = world.proof("osmosis.cosmos"), world.proof("osmosis.cosmos", 1)
    assert world.named(*both).agree is True
    assert world.named(both[0]).agree is False
    assert world.named(*both, registries=("r0", "r1", "r9")).agree is False
    denied = pair(replace(OSMOSIS, name="juno.cosmos"))
    assert denied.named(denied.proof("osmosis.cosmos"), denied.proof("osmosis.cosmos", 1)).agree is False


def test_a_chain_does_not_go_back_to_an_older_version_than_it_has_seen() -> None:
    world = World([registry_with(replace(OSMOSIS, ttl_s=6000))])
    registrar, old = world.registrars[0], world.proof("osmosis.cosmos")
    registrar.do(registrar.update(replace(OSMOSIS, seq=2)))
    world.update()
    assert world.named(old).chains
    assert world.named(world.proof("osmosis.cosmos")).chains
    with pytest.raises(Refused) as caught:
        world.named(old)
    assert caught.value.reason is Reason.ROLLED_BACK


def test_a_proof_grows_old() -> None:
    world = alone()
    proof = world.proof("osmosis.cosmos")
    world.watcher.now_ns += 61 * SECOND_NS
    with pytest.raises(Refused) as caught:
        world.named(proof)
    assert caught.value.reason is Reason.STALE


def test_a_revoked_name_names_nothing() -> None:
    world = alone()
    registrar = world.registrars[0]
    registrar.do(registrar.update(replace(OSMOSIS, seq=2, flags=REVOKED)))
    world.update()
    assert world.named(world.proof("osmosis.cosmos")).chains == {}


def test_a_delegated_zone_is_verified_by_a_bound_client() -> None:
    child = Registrar("child-1", (replace(ZONE, name="cosmos"),))
    sub = replace(ZONE, name="sub.cosmos", owner=OTHER.public, not_after_s=OSMOSIS.not_after_s)
    child.register(sub, OTHER)
    child.register(replace(OSMOSIS, name="juno.sub.cosmos"))
    hub = chain_record("hub.cosmos", chain_id="child-1", anchor_height=1)
    parent = Registrar()
    parent.register(replace(hub, anchor_hash=header_hash(child.anchor())))
    parent.register(replace(sub, delegate="hub.cosmos"), OTHER)
    world = World([parent, child])
    steps = [parent.answer(each) for each in ("cosmos", "sub.cosmos", "hub.cosmos")]
    answers = (*steps, child.answer("juno.sub.cosmos"))
    clients = tuple(each.client for each in world.chains)
    proof = ResolvedName("r0", "juno.sub.cosmos", answers, clients).encode()
    assert world.named(proof, registries=("r0",)) == Named({"juno.sub.cosmos": IDENTITY}, {IDENTITY: "r0"}, True)
    world.watcher.names.delete(key_of_binding(world.chains[1].client))
    with pytest.raises(Refused) as caught:
        world.named(proof, registries=("r0",))
    assert caught.value.reason is Reason.NO_REGISTRY
