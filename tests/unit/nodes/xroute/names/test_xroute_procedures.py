"""A relayer registers records and proves names, on chains that answer as by their RPC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any as Anything
from typing import TypeVar

import pytest
from xroute_names import OTHER, OWNER, TERMS, ZONE, ZONE_OWNER, Registrar, Watcher, chain_record

from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.calls import Block, Blocked, Flow, Unanswered
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.events import Spent
from nodes.ibc.relayer.events import read as read_events
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.opening import Side
from nodes.ibc.relayer.signer import Signer
from nodes.ibc.relayer.signer import Terms as SignerTerms
from nodes.ibc.relayer.tasks import Tasks
from nodes.xroute.identity import identity
from nodes.xroute.names.binding import key_of_binding
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.procedures import known, prove, register, trusting_resolver
from nodes.xroute.names.record import Record, identity_of
from nodes.xroute.names.registry import Registry
from nodes.xroute.names.resolver import RegistryChain
from nodes.xroute.names.verifier import ListedRegistry, RegistryNames, ResolvedName
from nodes.xroute.proofs.names import Named
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS
from tests.support.ibc_relayed import Node

T = TypeVar("T")
OSMOSIS = replace(chain_record("osmosis.cosmos"), seq=0, owner=b"", not_after_s=0)


class World:
    """A registry, and a relayer's procedures on it."""

    def __init__(self, zones: Sequence[Record] = (ZONE,)) -> None:
        self.now_ns = GENESIS_NS + SECOND_NS
        self.node = Node("registry", extensions=(Registry(tuple(zones), TERMS),))
        self.clock = Clock(self.now_ns)
        self.tasks = Tasks(self.clock)
        self.followed = Followed("registry", 0, self.clock, self._read, lambda *_: None)
        terms = SignerTerms("registry", "registry-1", "cosmos", "stake", 0.0, 3.0)
        self.side = Side(self.followed, Signer(terms, ("relayer-1",), self.clock, self.followed))
        self.tasks.add("follow", self.followed.run())

    def _read(self, chain: str, block: Block) -> None:
        for seen in read_events(block):
            if isinstance(seen, Spent):
                self.side.signer.seen(seen.address, seen.sequence, seen.result)

    def play(self, flow: Flow[T], most: int = 30) -> T:
        """The result of a procedure."""
        done: list[T] = []
        failed: list[Exception] = []

        def whole() -> Flow[None]:
            try:
                done.append((yield from flow))
            except Blocked as refusal:
                failed.append(refusal)

        self.tasks.add("whole", whole())
        for _ in range(most):
            self.now_ns += SECOND_NS
            self.clock.tell(self.now_ns)
            self.tasks.turn()
            self._settle()
            self.node.block(self.now_ns)
            self.followed.announce(self.node.chain.height)
            self.tasks.turn()
            self._settle()
            if failed:
                raise failed[0]
            if done:
                return done[0]
        raise AssertionError("it does not end")

    def _settle(self) -> None:
        while calls := self.tasks.take():
            for ticket, each in calls:
                answers: list[Anything] | Unanswered
                try:
                    answers = [self.node.call(call) for call in each]
                except Unanswered as failure:
                    answers = failure
                self.tasks.answer(ticket, answers)
                self.tasks.turn()

    def held(self, name: str) -> Record | None:
        raw = self.node.chain.state.stores[STORE].get(key_of(name))
        return None if raw is None else Record.decode(raw)


def test_a_record_is_registered_kept_and_changed() -> None:
    world = World()
    world.play(register(world.side, OSMOSIS, 300, OWNER, ZONE_OWNER, TERMS))
    held = world.held("osmosis.cosmos")
    assert held is not None
    assert (held.seq, held.owner, held.chain_id) == (1, OWNER.public, OSMOSIS.chain_id)
    submitted = world.side.signer.submitted
    world.play(register(world.side, OSMOSIS, 300, OWNER, ZONE_OWNER, TERMS))
    assert (world.held("osmosis.cosmos"), world.side.signer.submitted) == (held, submitted)
    changed = replace(OSMOSIS, bech32_prefix="osmo")
    world.play(register(world.side, changed, 300, OWNER, ZONE_OWNER, TERMS))
    held = world.held("osmosis.cosmos")
    assert held is not None
    assert (held.seq, held.bech32_prefix) == (2, "osmo")


def test_a_name_of_somebody_else_is_not_taken() -> None:
    world = World()
    world.play(register(world.side, OSMOSIS, 300, OWNER, ZONE_OWNER, TERMS))
    with pytest.raises(Blocked, match="name taken"):
        world.play(register(world.side, OSMOSIS, 300, OTHER, ZONE_OWNER, TERMS))


def test_under_a_closed_name_its_owner_signs_too() -> None:
    world = World((replace(ZONE, flags=0),))
    with pytest.raises(Blocked, match="not open"):
        world.play(register(world.side, OSMOSIS, 300, OWNER, OTHER, TERMS))
    world.play(register(world.side, OSMOSIS, 300, OWNER, ZONE_OWNER, TERMS))
    assert world.held("osmosis.cosmos") is not None


def followed_by(world: World) -> tuple[Watcher, RegistryChain]:
    """A chain with a client of the registry, as of its last block."""
    watcher, chain = Watcher(), world.node.chain
    world.now_ns += SECOND_NS
    world.node.block(world.now_ns)  # its header names the state of now
    anchor = chain.ledger[1].block.header
    header = chain.ledger[chain.height].block.header
    state = replace(Registrar().client_state(), latest_height=Height(1, chain.height))
    watcher.now_ns = header.time.ns
    client = watcher.clients.create(watcher.context(), Any.of(state), Any.of(consensus_state_of(header)))
    found = identity(chain.app.chain_id, 1, header_hash(anchor))
    watcher.names.set(key_of_binding(client), found)
    return watcher, RegistryChain(found, client)


def test_a_name_is_proved_to_a_chain_that_has_a_client_of_the_registry() -> None:
    world = World()
    world.play(register(world.side, OSMOSIS, 300, OWNER, ZONE_OWNER, TERMS))
    held = world.held("osmosis.cosmos")
    assert held is not None
    watcher, registry = followed_by(world)
    names = RegistryNames(watcher.clients, [ListedRegistry("r", registry.identity, frozenset({"cosmos"}))])
    resolver = trusting_resolver({"cosmos": registry}, {}, 30 * SECOND_NS)
    hosts = {registry.identity: ("registry", Height(1, world.node.chain.height))}
    of = identity_of(held)
    for name, expected in (
        ("osmosis.cosmos", Named({"osmosis.cosmos": of}, {of: "r"}, True)),
        ("juno.cosmos", Named(agree=True)),
    ):
        assert known(resolver, name, world.now_ns) is None
        outcome = world.play(prove(resolver, name, world.clock, hosts))
        assert known(resolver, name, world.now_ns) == outcome
        proof = ResolvedName("r", name, outcome.proofs, (registry.client,)).encode()
        assert names.named(watcher.context(), [proof], []) == expected
        assert known(resolver, name, world.now_ns + 31 * SECOND_NS) is None, "it is to be proved again"
