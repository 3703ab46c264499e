"""Names to records: what is asked of which registry, and every way in which an answer may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from ibc_chain import SECOND_NS
from xroute_names import OTHER, OWNER, ZONE, Registrar, Watcher, chain_record

from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.well_known import Any
from nodes.xroute.names.cache import Cache
from nodes.xroute.names.evidence import NameProof, Reason, Refused
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.record import REVOKED, Kind, Record
from nodes.xroute.names.resolver import Ask, Denial, Outcome, RegistryChain, Resolution, Resolver

OSMOSIS = chain_record("osmosis.cosmos")
HOUR_NS = 3600 * SECOND_NS


@dataclass
class World:
    """Registries that answer a watcher's questions."""

    registrars: list[Registrar]
    zone: str = "cosmos"
    agree: bool = False
    watcher: Watcher = field(default_factory=Watcher)
    most_age_ns: int = HOUR_NS

    def __post_init__(self) -> None:
        self.chains = [self.watcher.follow(each) for each in self.registrars]
        self.resolver = Resolver(self.watcher.clients, {self.zone: tuple(self.chains)}, {}, Cache(), self.most_age_ns)
        self.asked: list[str] = []

    def with_(self, **changes: object) -> World:
        self.resolver = replace(self.resolver, **changes)  # type: ignore[arg-type]
        return self

    def registrar(self, chain: RegistryChain) -> Registrar:
        known = {each.client: registrar for each, registrar in zip(self.chains, self.registrars, strict=True)}
        return known[chain.client]

    def update(self) -> None:
        """Bring all clients to the last blocks."""
        for chain, registrar in zip(self.chains, self.registrars, strict=True):
            self.watcher.update(registrar, chain.client)

    def resolve(self, name: str, lie: Callable[[Ask, NameProof], NameProof | None] = lambda _, truth: truth) -> Outcome:
        """Resolve a name; `lie` may put something else in the place of an answer, or withhold it."""
        self.resolution = resolution = Resolution(self.resolver, name, self.watcher.context())
        while resolution.ask is not None:
            ask = resolution.ask
            self.asked.append(ask.name)
            assert ask.key == key_of(ask.name)
            told = lie(ask, self.registrar(ask.registry).answer(ask.name))
            if told is None:
                resolution.unanswered(self.watcher.context())
            else:
                resolution.answer(self.watcher.context(), told)
        assert resolution.outcome is not None
        return resolution.outcome

    def reason(self, name: str, lie: Callable[[Ask, NameProof], NameProof | None] = lambda _, truth: truth) -> Reason:
        with pytest.raises(Refused) as caught:
            self.resolve(name, lie)
        return caught.value.reason


def registrar_with(*records: Record, chain_id: str = "registry-1", zones: tuple[Record, ...] = (ZONE,)) -> Registrar:
    made = Registrar(chain_id, zones)
    for record in records:
        made.register(record)
    return made


def lie_about(name: str, change: Callable[[NameProof], NameProof]) -> Callable[[Ask, NameProof], NameProof]:
    return lambda ask, truth: change(truth) if ask.name == name else truth


def test_a_name_is_resolved_from_its_zone_down() -> None:
    world = World([registrar_with(OSMOSIS)])
    outcome = world.resolve("osmosis.cosmos")
    assert (outcome.record, outcome.denial) == (OSMOSIS, None)
    assert world.asked == ["cosmos", "osmosis.cosmos"]
    assert [each.name for each in outcome.proofs] == world.asked
    assert outcome.registry == world.chains[0].identity


def test_a_denial_is_proved_and_nothing_is_asked_below_it() -> None:
    world = World([registrar_with(OSMOSIS)])
    outcome = world.resolve("swap.juno.cosmos")
    assert (outcome.record, outcome.denial) == (None, Denial.ABSENT)
    assert world.asked == ["cosmos", "juno.cosmos"]


def test_answers_are_kept_for_their_ttl_also_negative_ones() -> None:
    world = World([registrar_with(OSMOSIS)])
    world.resolve("osmosis.cosmos")
    world.resolve("juno.cosmos")
    world.asked.clear()
    world.watcher.now_ns += 30 * SECOND_NS
    assert world.resolve("osmosis.cosmos").record == OSMOSIS
    assert world.resolve("juno.cosmos").denial is Denial.ABSENT
    assert world.asked == []
    world.watcher.now_ns += 31 * SECOND_NS
    world.registrars[0].jump(60)
    world.update()
    assert world.resolve("osmosis.cosmos").record == OSMOSIS
    assert world.resolve("juno.cosmos").denial is Denial.ABSENT
    assert world.asked == ["cosmos", "osmosis.cosmos", "juno.cosmos"]


def test_a_policy_may_ask_for_younger_answers_than_the_ttl() -> None:
    world = World([registrar_with(OSMOSIS)])
    world.resolve("osmosis.cosmos")
    world.watcher.now_ns += 11 * SECOND_NS
    assert world.with_(most_age_ns=10 * SECOND_NS).reason("osmosis.cosmos") is Reason.STALE


def test_an_answer_older_than_its_ttl_is_stale() -> None:
    world = World([registrar_with(OSMOSIS)])
    world.watcher.now_ns += 61 * SECOND_NS
    assert world.reason("osmosis.cosmos") is Reason.STALE


def test_an_absence_is_stale_after_the_ttl_of_the_name_above() -> None:
    world = World([registrar_with(replace(OSMOSIS, ttl_s=600), zones=(replace(ZONE, ttl_s=3600),))])
    world.watcher.now_ns += 300 * SECOND_NS
    assert world.resolve("osmosis.cosmos").denial is None
    assert world.resolve("x.cosmos").denial is Denial.ABSENT
    world.watcher.now_ns += 310 * SECOND_NS
    assert world.resolve("y.cosmos").denial is Denial.ABSENT
    assert world.reason("osmosis.cosmos") is Reason.STALE


def forged(proof: NameProof) -> NameProof:
    return replace(proof, record=replace(OSMOSIS, chain_id="evil-1").encode())


def test_a_forged_record_is_refused() -> None:
    world = World([registrar_with(OSMOSIS)])
    assert world.reason("osmosis.cosmos", lie_about("osmosis.cosmos", forged)) is Reason.FORGED


def test_a_record_is_not_hidden_by_a_denial() -> None:
    world = World([registrar_with(OSMOSIS)])
    hide = lie_about("osmosis.cosmos", lambda proof: replace(proof, record=b""))
    assert world.reason("osmosis.cosmos", hide) is Reason.FORGED
    absent = world.registrars[0].answer("osmosis2.cosmos")
    other = lie_about("osmosis.cosmos", lambda proof: replace(absent, name="osmosis.cosmos"))
    assert world.reason("osmosis.cosmos", other) is Reason.FORGED


def test_an_answer_about_another_name_is_refused() -> None:
    world = World([registrar_with(OSMOSIS)])
    zone = world.registrars[0].answer("cosmos")
    assert world.reason("osmosis.cosmos", lie_about("osmosis.cosmos", lambda _: zone)) is Reason.OTHER_NAME
    renamed = lie_about("osmosis.cosmos", lambda _: replace(zone, name="osmosis.cosmos"))
    assert world.reason("osmosis.cosmos", renamed) is Reason.FORGED


def test_a_proof_of_another_chain_is_refused() -> None:
    world = World([registrar_with(OSMOSIS)])
    evil = world.registrars[0].fork(replace(OSMOSIS, chain_id="evil-1"))
    spliced = lie_about("osmosis.cosmos", lambda _: evil.answer("osmosis.cosmos", world.registrars[0].height))
    assert world.reason("osmosis.cosmos", spliced) is Reason.FORGED


def test_a_proof_of_a_height_that_the_client_does_not_know_is_refused() -> None:
    world = World([registrar_with(OSMOSIS)])
    world.registrars[0].blocks(1)
    assert world.reason("osmosis.cosmos") is Reason.UNKNOWN_HEIGHT
    below = lie_about("cosmos", lambda proof: replace(proof, height=Height(1, 2)))
    assert world.reason("osmosis.cosmos", below) is Reason.UNKNOWN_HEIGHT


def test_a_client_that_is_expired_or_frozen_proves_nothing() -> None:
    world = World([registrar_with(OSMOSIS)])
    registrar, client = world.registrars[0], world.chains[0].client
    registrar.blocks(1)
    world.update()
    chain = registrar.ticking.chain
    fork = chain.fork(chain.ledger[registrar.height])
    evil = replace(registrar.update_message(registrar.height - 1), signed_header=None)
    signed = registrar.update_message(registrar.height - 1).signed_header
    assert signed is not None
    evil = replace(evil, signed_header=replace(signed, header=fork.block.header, commit=fork.commit))
    world.watcher.clients.update(world.watcher.context(), client, Any.of(evil))
    assert world.reason("osmosis.cosmos") is Reason.CLIENT_INACTIVE


def test_a_later_version_replaces_the_one_before_and_cannot_be_rolled_back() -> None:
    world = World([registrar_with(OSMOSIS)])
    registrar = world.registrars[0]
    old = registrar.answer("osmosis.cosmos")
    world.resolve("osmosis.cosmos")
    registrar.do(registrar.update(replace(OSMOSIS, seq=2, bech32_prefix="osmo")))
    registrar.jump(60)
    world.update()
    found = world.resolve("osmosis.cosmos").record
    assert found is not None
    assert found.seq == 2
    world.watcher.now_ns += 61 * SECOND_NS  # what is cached is too old, and still remembered
    registrar.jump(61)
    world.update()
    long_lived = world.with_(most_age_ns=HOUR_NS)
    rolled = lie_about("osmosis.cosmos", lambda _: old)
    assert long_lived.reason("osmosis.cosmos", rolled) is Reason.STALE


def test_a_rollback_is_refused_while_the_old_proof_is_still_young() -> None:
    registrar = registrar_with(replace(OSMOSIS, ttl_s=6000))
    world = World([registrar])
    old = registrar.answer("osmosis.cosmos")
    registrar.do(registrar.update(replace(OSMOSIS, seq=2)))
    world.update()
    world.resolve("osmosis.cosmos")
    world.watcher.now_ns += 61 * SECOND_NS
    registrar.jump(61)
    world.update()
    assert world.reason("osmosis.cosmos", lie_about("osmosis.cosmos", lambda _: old)) is Reason.ROLLED_BACK


def test_an_old_absence_does_not_replace_a_record() -> None:
    registrar = registrar_with(zones=(replace(ZONE, ttl_s=6000),))
    registrar.blocks(1)
    world = World([registrar], most_age_ns=10_000 * SECOND_NS)
    old = registrar.answer("osmosis.cosmos")
    registrar.register(OSMOSIS)
    world.update()
    assert world.resolve("osmosis.cosmos").record == OSMOSIS
    world.watcher.now_ns += 61 * SECOND_NS
    assert world.reason("osmosis.cosmos", lie_about("osmosis.cosmos", lambda _: old)) is Reason.ROLLED_BACK


def test_two_records_of_one_version_are_a_contradiction() -> None:
    world = World([registrar_with(OSMOSIS)])
    registrar = world.registrars[0]
    world.resolve("osmosis.cosmos")
    registrar.ticking.chain.state.stores[STORE].set(
        key_of("osmosis.cosmos"), replace(OSMOSIS, bech32_prefix="x").encode()
    )  # a registry whose validators break its rules
    registrar.jump(61)
    world.update()
    assert world.reason("osmosis.cosmos") is Reason.CONTRADICTION


@pytest.mark.parametrize(("bytes_", "reason"), [(b"\x08", Reason.MALFORMED), (ZONE.encode(), Reason.OTHER_NAME)])
def test_what_a_registry_holds_must_be_a_record_of_that_name(bytes_: bytes, reason: Reason) -> None:
    world = World([registrar_with(OSMOSIS)])
    registrar = world.registrars[0]
    registrar.ticking.chain.state.stores[STORE].set(key_of("osmosis.cosmos"), bytes_)
    registrar.blocks(2)
    world.update()
    assert world.reason("osmosis.cosmos") is reason


def test_revoked_and_expired_names_stand_for_nothing() -> None:
    world = World([registrar_with(OSMOSIS)])
    registrar = world.registrars[0]
    registrar.register(chain_record("juno.cosmos"))
    registrar.do(registrar.update(replace(OSMOSIS, seq=2, flags=REVOKED)))
    world.update()
    assert world.resolve("osmosis.cosmos").denial is Denial.REVOKED
    assert world.resolve("juno.cosmos").denial is None
    registrar.jump(600)
    world.update()
    assert world.resolve("juno.cosmos").denial is Denial.EXPIRED


def test_an_unknown_zone_has_no_registry() -> None:
    world = World([registrar_with(OSMOSIS)])
    assert world.reason("osmosis.other") is Reason.NO_REGISTRY


# Aliases, delegation, loops


def alias(name: str, target: str) -> Record:
    return Record(name, Kind.ALIAS, 1, 60, OWNER.public, delegate=target, not_after_s=OSMOSIS.not_after_s)


def sub_zone(name: str, delegate: str) -> Record:
    return Record(name, Kind.ZONE, 1, 60, OWNER.public, delegate=delegate, not_after_s=OSMOSIS.not_after_s)


def test_an_alias_leads_to_its_name_and_nothing_lies_under_it() -> None:
    world = World([registrar_with(OSMOSIS, alias("dex.cosmos", "osmosis.cosmos"))])
    assert world.resolve("dex.cosmos").record == OSMOSIS
    assert world.asked == ["cosmos", "dex.cosmos", "osmosis.cosmos"]
    assert world.resolve("swap.dex.cosmos").denial is Denial.UNDER_ALIAS


def test_names_that_lead_to_each_other_are_a_loop() -> None:
    world = World([registrar_with(alias("a.cosmos", "b.cosmos"), alias("b.cosmos", "a.cosmos"))])
    assert world.reason("a.cosmos") is Reason.LOOP
    world = World([registrar_with(sub_zone("sub.cosmos", "x.sub.cosmos"))])
    assert world.reason("y.sub.cosmos") is Reason.LOOP


def test_a_long_way_is_cut_off() -> None:
    aliases = [alias(f"a{number}.cosmos", f"a{number + 1}.cosmos") for number in range(8)]
    longer = alias("b.cosmos", "c.cosmos"), alias("c.cosmos", "d.cosmos"), alias("d.cosmos", "swap.a8.cosmos")
    world = World([registrar_with(*aliases, *longer, replace(OSMOSIS, name="a8.cosmos"))])
    assert world.resolve("a5.cosmos").record is not None  # four names, and the zone before each
    assert world.reason("b.cosmos") is Reason.TOO_MANY_STEPS  # three such, and three steps to the last name


def delegated() -> tuple[World, Registrar]:
    """A zone `sub.cosmos` that is kept by a registry of its own, of which there is a client."""
    child = registrar_with(zones=(replace(ZONE, name="cosmos"),), chain_id="child-1")
    child.register(Record("sub.cosmos", Kind.ZONE, 1, 60, OWNER.public, not_after_s=OSMOSIS.not_after_s))
    child.register(replace(OSMOSIS, name="juno.sub.cosmos"), parent=OWNER)
    anchor = child.anchor()
    hub = chain_record("hub.cosmos", chain_id="child-1", anchor_height=1, anchor_hash=header_hash(anchor))
    parent = registrar_with(hub, sub_zone("sub.cosmos", "hub.cosmos"))
    world = World([parent, child])
    root, below = world.chains
    return world.with_(roots={"cosmos": (root,)}, bound={below.identity: below.client}), child


def test_a_delegated_zone_is_asked_of_its_own_registry() -> None:
    world, _ = delegated()
    outcome = world.resolve("juno.sub.cosmos")
    assert outcome.record is not None
    assert outcome.registry == world.chains[1].identity
    assert world.asked == ["cosmos", "sub.cosmos", "hub.cosmos", "juno.sub.cosmos"]
    assert [each.name for each in outcome.proofs] == ["cosmos", "sub.cosmos", "cosmos", "hub.cosmos", "juno.sub.cosmos"]
    assert world.resolve("sub.cosmos").registry == world.chains[0].identity


def test_a_delegation_needs_a_client_of_that_very_chain() -> None:
    world, _ = delegated()
    world.with_(bound={})
    assert world.reason("juno.sub.cosmos") is Reason.NO_REGISTRY
    world = World([registrar_with(sub_zone("sub.cosmos", "nobody.cosmos"))])
    assert world.reason("x.sub.cosmos") is Reason.BAD_DELEGATION


def test_the_parent_does_not_answer_for_a_delegated_zone() -> None:
    world, child = delegated()
    told = world.registrars[0].answer("juno.sub.cosmos")  # truly absent there
    assert not told.record
    assert world.reason("juno.sub.cosmos", lie_about("juno.sub.cosmos", lambda _: told)) in (
        Reason.FORGED, Reason.UNKNOWN_HEIGHT,
    )  # fmt: skip
    assert child.answer("juno.sub.cosmos").record


# Several registries for a zone


def pair(second: Record, *, agree: bool = False) -> World:
    world = World([registrar_with(OSMOSIS), registrar_with(second, chain_id="registry-2")])
    return world.with_(agree=agree)


def test_the_first_registry_that_answers_is_believed_and_others_are_compared() -> None:
    world = pair(replace(OSMOSIS, seq=1, endpoints=("tcp://x",), ttl_s=30))
    outcome = world.resolve("osmosis.cosmos")
    assert (outcome.record, outcome.dissenters) == (OSMOSIS, ())
    world = pair(replace(OSMOSIS, chain_id="evil-1"))
    outcome = world.resolve("osmosis.cosmos")
    assert (outcome.record, outcome.dissenters) == (OSMOSIS, (world.chains[1].identity,))
    assert world.with_(agree=True).reason("osmosis.cosmos") is Reason.DISAGREEMENT


def test_a_record_and_a_denial_disagree() -> None:
    world = pair(replace(OSMOSIS, name="juno.cosmos"))
    assert world.resolve("osmosis.cosmos").dissenters == (world.chains[1].identity,)
    assert world.resolve("juno.cosmos").denial is Denial.ABSENT
    assert world.with_(agree=True).reason("juno.cosmos") is Reason.DISAGREEMENT


def test_a_registry_that_is_down_or_lies_is_passed_over() -> None:
    world = pair(OSMOSIS)

    def silent(ask: Ask, truth: NameProof) -> NameProof | None:
        return None if ask.registry == world.chains[0] else truth

    outcome = world.resolve("osmosis.cosmos", silent)
    assert outcome.registry == world.chains[1].identity
    assert [each.reason for _, each in world.resolution.refused] == [Reason.UNANSWERED]
    world.with_(agree=True, cache=Cache())
    assert world.reason("osmosis.cosmos", silent) is Reason.UNANSWERED
    assert pair(OSMOSIS, agree=True).resolve("osmosis.cosmos").record == OSMOSIS


def test_the_cache_is_bounded() -> None:
    world = World([registrar_with(OSMOSIS)])
    world.with_(cache=Cache(most=2))
    for name in ("a.cosmos", "b.cosmos", "c.cosmos"):
        world.resolve(name)
    assert len(world.resolver.cache) == 2


def test_registries_that_are_kept_by_others_agree() -> None:
    second = replace(OSMOSIS, owner=OTHER.public, ttl_s=30, endpoints=("tcp://x",))
    other = Registrar("registry-2")
    other.register(second, OTHER)
    world = World([registrar_with(OSMOSIS), other], agree=True)
    assert world.resolve("osmosis.cosmos").dissenters == ()


def test_an_absence_lasts_as_long_as_the_name_above_says() -> None:
    world = World([registrar_with(zones=(replace(ZONE, ttl_s=3600),))])
    registrar = world.registrars[0]
    registrar.register(Record("sub.cosmos", Kind.ZONE, 1, 60, OWNER.public, not_after_s=OSMOSIS.not_after_s))
    world.update()
    old = registrar.answer("x.sub.cosmos")
    registrar.jump(61)
    world.update()
    assert world.reason("x.sub.cosmos", lie_about("x.sub.cosmos", lambda _: old)) is Reason.STALE


def test_a_version_is_remembered_through_an_absence() -> None:
    registrar = registrar_with(replace(OSMOSIS, ttl_s=6000), zones=(replace(ZONE, ttl_s=6000),))
    world = World([registrar])
    old = registrar.answer("osmosis.cosmos")
    registrar.do(registrar.update(replace(OSMOSIS, seq=2)))
    world.update()
    world.resolve("osmosis.cosmos")
    registrar.ticking.chain.state.stores[STORE].delete(key_of("osmosis.cosmos"))  # a registry that breaks its rules
    registrar.jump(6001)
    world.update()
    assert world.resolve("osmosis.cosmos").denial is Denial.ABSENT
    registrar.ticking.chain.state.stores[STORE].set(key_of("osmosis.cosmos"), old.record)
    registrar.jump(6001)
    world.update()
    assert world.reason("osmosis.cosmos") is Reason.ROLLED_BACK
