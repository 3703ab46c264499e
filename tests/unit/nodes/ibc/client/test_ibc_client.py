"""A chain's clients: creation, updates, misbehaviour, expiry, recovery and proofs, as nodes/ibc/core calls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any as Anything

import pytest
from light_chain import INTERVAL_NS, LightChain, time_ns

from nodes.ibc.client import tendermint
from nodes.ibc.client.keeper import Clients
from nodes.ibc.client.states import ClientStates, Processed
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.comet.light import Bisection, Policy
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.keepers import NO_DELAY, Delay
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.specs import TENDERMINT_SPEC
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.comet import ValidatorSet
from nodes.ibc.proto.ibc import (
    ClientState,
    ConsensusState,
    Fraction,
    Header,
    Height,
    MerkleProof,
    MerkleRoot,
    Misbehaviour,
)
from nodes.ibc.proto.well_known import Any, Duration, Timestamp

PERIOD_NS = 1000 * INTERVAL_NS


def steady(height: int) -> range:
    return range(4)


def turning(height: int) -> range:
    return range(height, height + 4)


class Bench:
    """A chain with a store, and the other chain that it follows; its clock is set by hand."""

    def __init__(self, members: Callable[[int], range] = steady) -> None:
        self.other = LightChain(members)
        self.clients = Clients()
        self.context = Context("here-0", Height(0, 7), time_ns(20), {"ibc": ProvableStore()})

    def state(self, height: int = 10, **changes: Anything) -> ClientState:
        state = ClientState(
            chain_id=self.other.chain_id,
            trust_level=Fraction(1, 3),
            trusting_period=Duration.of_ns(PERIOD_NS),
            unbonding_period=Duration.of_ns(2 * PERIOD_NS),
            max_clock_drift=Duration.of_ns(INTERVAL_NS),
            latest_height=Height(1, height),
            proof_specs=(TENDERMINT_SPEC,),
        )
        return replace(state, **changes)

    def create(self, height: int = 10, **changes: Anything) -> str:
        state, consensus = self.state(height, **changes), self.other.consensus_state(height)
        return self.clients.create(self.context, Any.of(state), Any.of(consensus))

    def update(self, client: str, message: Header | Misbehaviour) -> None:
        self.clients.update(self.context, client, Any.of(message))

    def follow(self, client: str, trusted: int, height: int) -> None:
        self.update(client, self.other.update(trusted, height))

    def status(self, client: str) -> str:
        return self.clients.status(self.context, client)

    def states(self, client: str) -> ClientStates:
        return ClientStates(self.context.ibc, client)

    def forked(self, trusted: int, height: int) -> Header:
        """A header of the same validators with another state: they signed twice."""
        return self.other.update(trusted, height, self.other.signed(self.other.header(height, app_hash=bytes(32))))


def code(error: pytest.ExceptionInfo[AbciError]) -> int:
    assert error.value.codespace == "client"
    return error.value.code


def test_names_count_up_and_events_tell() -> None:
    bench = Bench()
    assert [bench.create(), bench.create()] == ["07-tendermint-0", "07-tendermint-1"]
    assert bench.context.events[0].attributes == (
        ("client_id", "07-tendermint-0"),
        ("client_type", "07-tendermint"),
        ("consensus_height", "1-10"),
    )
    assert bench.status("07-tendermint-0") == "Active"
    assert bench.status("07-tendermint-2") == "Unknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": ""},
        {"chain_id": "made-2"},
        {"trust_level": Fraction(1, 4)},
        {"trust_level": Fraction(4, 3)},
        {"trust_level": Fraction(1, 0)},
        {"trusting_period": Duration(0)},
        {"unbonding_period": Duration.of_ns(PERIOD_NS)},
        {"max_clock_drift": Duration(0)},
        {"latest_height": Height(0, 10)},
        {"latest_height": Height(1, 0)},
        {"frozen_height": Height(0, 1)},
        {"proof_specs": ()},
        {"upgrade_path": ("upgrade", " ")},
    ],
    ids=str,
)
def test_parameters_that_contradict_each_other_make_no_client(changes: dict[str, Anything]) -> None:
    bench = Bench()
    with pytest.raises(AbciError) as error:
        bench.create(**changes)
    assert code(error) == 3
    assert list(bench.context.ibc.iterate(b"")) == []
    assert bench.context.events == []


def test_a_consensus_state_needs_root_validators_and_time() -> None:
    bench = Bench()
    good = bench.other.consensus_state(10)
    for bad in (
        replace(good, root=MerkleRoot()),
        replace(good, next_validators_hash=b"1"),
        replace(good, timestamp=Timestamp()),
    ):
        with pytest.raises(AbciError, match="consensus state without"):
            bench.clients.create(bench.context, Any.of(bench.state()), Any.of(bad))
    with pytest.raises(AbciError) as error:
        bench.clients.create(bench.context, Any("/made.up", b""), Any.of(good))
    assert code(error) == 10


def test_an_update_stores_what_the_header_says_and_when_it_came() -> None:
    bench = Bench()
    client = bench.create()
    bench.context.events.clear()
    bench.follow(client, 10, 15)
    states = bench.states(client)
    assert bench.clients.latest_height(bench.context, client) == Height(1, 15)
    assert states.consensus_state(Height(1, 15)) == bench.other.consensus_state(15)
    assert states.processed(Height(1, 15)) == Processed(time_ns(20), Height(0, 7))
    assert bench.clients.timestamp_ns(bench.context, client, Height(1, 15)) == time_ns(15)
    assert bench.context.events[0].type == "update_client"
    assert bench.context.events[0]["consensus_heights"] == "1-15"


def test_stored_keys_are_those_of_ics_24() -> None:
    bench = Bench()
    client = bench.create()
    keys = [key for key, _ in bench.context.ibc.iterate(b"clients/")]
    own = f"clients/{client}/".encode()
    index = own + b"iterateConsensusStates" + (1).to_bytes(8) + (10).to_bytes(8)
    assert set(keys) == {
        own + b"clientState",
        own + b"consensusStates/1-10",
        own + b"consensusStates/1-10/processedTime",
        own + b"consensusStates/1-10/processedHeight",
        index,
    }
    assert bench.context.ibc.get(index) == b"consensusStates/1-10"
    assert Any.decode(bench.context.ibc.get(own + b"clientState") or b"").open() == bench.state()


def test_an_update_may_fill_in_a_height_of_the_past() -> None:
    bench = Bench()
    client = bench.create()
    for height in (18, 14, 16):
        bench.follow(client, 10, height)
    assert bench.clients.latest_height(bench.context, client) == Height(1, 18)
    assert [each.revision_height for each in bench.states(client).heights()] == [10, 14, 16, 18]
    assert bench.states(client).neighbours(Height(1, 15)) == (Height(1, 14), Height(1, 16))


def test_the_same_header_again_changes_nothing() -> None:
    bench = Bench()
    client = bench.create()
    bench.follow(client, 10, 15)
    before = dict(bench.context.ibc.iterate(b""))
    bench.context.time_ns += INTERVAL_NS
    bench.follow(client, 10, 15)
    assert dict(bench.context.ibc.iterate(b"")) == before


def test_a_header_needs_a_stored_ground_and_its_validators() -> None:
    bench = Bench(turning)
    client = bench.create()
    with pytest.raises(AbciError) as error:
        bench.follow(client, 9, 11)
    assert code(error) == 7
    wrong = replace(bench.other.update(10, 11), trusted_validators=bench.other.update(11, 12).trusted_validators)
    with pytest.raises(AbciError, match="trusted validators whose hash is another"):
        bench.update(client, wrong)
    with pytest.raises(AbciError, match="parts missing"):
        bench.update(client, Header(trusted_height=Height(1, 10)))
    with pytest.raises(AbciError) as error:
        bench.clients.update(bench.context, client, Any.of(bench.state()))
    assert code(error) == 10


def test_full_turnover_needs_the_headers_between() -> None:
    bench = Bench(turning)
    client = bench.create()
    with pytest.raises(AbciError, match="not enough trust"):
        bench.follow(client, 10, 18)
    search = Bisection(bench.other.trusted(10), 18, Policy(PERIOD_NS), SignatureCache())
    while search.wanted is not None:
        search.show(bench.other.block(search.wanted), bench.context.time_ns)
    trusted = 10
    for block in search.path:
        bench.follow(client, trusted, block.header.height)
        trusted = block.header.height
    assert trusted == 18
    assert len(search.path) > 1
    assert bench.status(client) == "Active"


def test_two_headers_of_a_height_freeze_the_client() -> None:
    bench = Bench()
    client = bench.create()
    bench.follow(client, 10, 15)
    bench.context.events.clear()
    bench.update(client, bench.forked(10, 15))
    assert bench.status(client) == "Frozen"
    assert [each.type for each in bench.context.events] == ["client_misbehaviour", "message"]
    assert bench.clients.client_state(bench.context, client).frozen_height == Height(0, 1)
    with pytest.raises(AbciError) as error:
        bench.follow(client, 10, 16)
    assert code(error) == 29


@pytest.mark.parametrize("order", [(12, 16), (16, 12)])
def test_time_that_does_not_grow_with_height_freezes_the_client(order: tuple[int, int]) -> None:
    bench = Bench()
    client = bench.create()
    for height in order:
        header = bench.other.header(height)
        if height == 12:
            header = replace(header, time=Timestamp.of_ns(time_ns(16)))
        bench.update(client, bench.other.update(10, height, bench.other.signed(header)))
    assert bench.status(client) == "Frozen"


def test_evidence_freezes_the_client() -> None:
    bench = Bench()
    client = bench.create()
    bench.update(client, Misbehaviour("", bench.forked(10, 15), bench.other.update(10, 15)))
    assert bench.status(client) == "Frozen"


def test_evidence_of_time_freezes_the_client() -> None:
    bench = Bench()
    client = bench.create()
    late = replace(bench.other.header(12), time=Timestamp.of_ns(time_ns(16)))
    lower = bench.other.update(10, 12, bench.other.signed(late))
    with pytest.raises(AbciError, match="the higher one first"):
        bench.update(client, Misbehaviour("", lower, bench.other.update(10, 14)))
    bench.update(client, Misbehaviour("", bench.other.update(10, 14), lower))
    assert bench.status(client) == "Frozen"


def test_evidence_must_prove_something() -> None:
    bench = Bench(turning)
    client = bench.create()
    honest = bench.other.update(10, 11)
    few = bench.other.signed(bench.other.header(11, app_hash=bytes(32)), signers=lambda index: index < 2)
    for bad in (
        Misbehaviour("", honest, honest),
        Misbehaviour("", bench.other.update(10, 12), honest),
        Misbehaviour("", honest),
        Misbehaviour("", bench.other.update(10, 11, few), honest),
        Misbehaviour("", bench.forked(10, 15), bench.other.update(10, 15)),
        Misbehaviour("", replace(bench.forked(10, 11), validator_set=bench.other.update(10, 12).validator_set), honest),
    ):
        with pytest.raises(AbciError) as error:
            bench.update(client, bad)
        assert code(error) == 13
    assert bench.status(client) == "Active"


def test_evidence_is_of_the_validators_that_the_header_names() -> None:
    """Two of four signed, and whoever brings the evidence gives these two more power."""
    bench = Bench()
    client = bench.create()
    half = bench.other.signed(bench.other.header(15, app_hash=bytes(32)), signers=lambda index: index < 2)
    members = bench.other.validators(15)
    inflated = tuple(replace(each, voting_power=1000 if at < 2 else 10) for at, each in enumerate(members))
    forged = replace(bench.other.update(10, 15, half), validator_set=ValidatorSet(inflated))
    with pytest.raises(AbciError, match="validators whose hash is another"):
        bench.update(client, Misbehaviour("", forged, bench.other.update(10, 15)))
    with pytest.raises(AbciError, match="validators whose hash is another"):
        bench.update(client, forged)


def test_evidence_builds_on_an_earlier_height() -> None:
    bench = Bench()
    client = bench.create()
    bench.follow(client, 10, 15)
    for height in (14, 15):
        with pytest.raises(AbciError, match="after the trusted 15"):
            bench.update(client, Misbehaviour("", bench.forked(15, height), bench.other.update(15, height)))
    assert bench.status(client) == "Active"


def test_a_client_expires_to_the_nanosecond_and_old_evidence_is_void() -> None:
    bench = Bench()
    client = bench.create()
    bench.context.time_ns = time_ns(10) + PERIOD_NS - 1
    assert bench.status(client) == "Active"
    bench.follow(client, 10, 12)
    bench.context.time_ns = time_ns(10) + PERIOD_NS
    assert bench.status(client) == "Active"  # of height 12 now
    with pytest.raises(AbciError) as error:
        bench.update(client, Misbehaviour("", bench.forked(10, 15), bench.other.update(10, 15)))
    assert code(error) == 13
    bench.context.time_ns = time_ns(12) + PERIOD_NS
    assert bench.status(client) == "Expired"
    with pytest.raises(AbciError) as error:
        bench.follow(client, 12, 14)
    assert code(error) == 29


def test_an_update_forgets_the_oldest_state_once_it_is_expired() -> None:
    bench = Bench()
    client = bench.create()
    bench.follow(client, 10, 15)
    bench.context.time_ns = time_ns(10) + PERIOD_NS
    bench.follow(client, 15, 16)
    assert [each.revision_height for each in bench.states(client).heights()] == [15, 16]
    assert bench.states(client).processed(Height(1, 10)) is None


def test_a_substitute_revives_an_expired_client_under_its_name() -> None:
    bench = Bench()
    subject = bench.create(10)
    bench.context.time_ns = time_ns(10) + PERIOD_NS
    substitute = bench.create(600, trusting_period=Duration.of_ns(PERIOD_NS // 2))
    assert bench.status(subject) == "Expired"
    bench.clients.recover(bench.context, subject, substitute)
    assert bench.status(subject) == "Active"
    assert bench.clients.latest_height(bench.context, subject) == Height(1, 600)
    assert bench.clients.client_state(bench.context, subject).trusting_period.ns == PERIOD_NS // 2
    bench.context.time_ns += 10 * INTERVAL_NS
    bench.follow(subject, 600, 605)


def test_a_substitute_revives_a_frozen_client() -> None:
    bench = Bench()
    subject = bench.create(10)
    bench.update(subject, Misbehaviour("", bench.forked(10, 15), bench.other.update(10, 15)))
    bench.clients.recover(bench.context, subject, bench.create(16))
    assert bench.status(subject) == "Active"


def test_a_substitute_must_be_active_higher_and_alike() -> None:
    bench = Bench()
    active, frozen = bench.create(10), bench.create(10)
    bench.update(frozen, Misbehaviour("", bench.forked(10, 15), bench.other.update(10, 15)))
    for subject, substitute in (
        (active, bench.create(12)),
        (frozen, frozen),
        (frozen, active),
        (frozen, bench.create(12, trust_level=Fraction(1, 2))),
        (frozen, bench.create(12, max_clock_drift=Duration(9))),
    ):
        with pytest.raises(AbciError) as error:
            bench.clients.recover(bench.context, subject, substitute)
        assert code(error) == 27
    with pytest.raises(AbciError) as error:
        bench.clients.recover(bench.context, frozen, "07-tendermint-99")
    assert code(error) == 4


class Proven:
    """A client that knows one height of a chain whose store is at hand."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.store = ProvableStore()
        for number in range(8):
            self.store.set(f"key-{number}".encode(), f"value-{number}".encode())
        root = self.store.commit()
        self.client = self.bench.create()
        header = self.bench.other.header(12, app_hash=root)
        self.bench.update(self.client, self.bench.other.update(10, 12, self.bench.other.signed(header)))

    def proof(self, key: bytes) -> bytes:
        return MerkleProof((self.store.prove(key, 1),)).encode()

    def member(self, key: bytes, value: bytes, proof: bytes, height: int = 12, delay: Delay = NO_DELAY) -> None:
        self.bench.clients.verify_membership(
            self.bench.context, self.client, Height(1, height), delay, proof, (key,), value
        )

    def absent(self, key: bytes, proof: bytes) -> None:
        self.bench.clients.verify_non_membership(
            self.bench.context, self.client, Height(1, 12), NO_DELAY, proof, (key,)
        )


def test_proofs_are_taken_at_heights_that_are_known() -> None:
    proven = Proven()
    proven.member(b"key-3", b"value-3", proven.proof(b"key-3"))
    proven.absent(b"key-33", proven.proof(b"key-33"))
    for height, expected in ((13, 26), (11, 7), (10, 30)):  # above the latest, unknown, of another root
        with pytest.raises(AbciError) as error:
            proven.member(b"key-3", b"value-3", proven.proof(b"key-3"), height)
        assert code(error) == expected


def test_wrong_proofs_are_refused() -> None:
    proven = Proven()
    good = proven.proof(b"key-3")
    for key, value, proof in ((b"key-3", b"value-4", good), (b"key-4", b"value-3", good), (b"key-3", b"value-3", b"")):
        with pytest.raises(AbciError) as error:
            proven.member(key, value, proof)
        assert code(error) == 30
    with pytest.raises(AbciError) as error:
        proven.absent(b"key-3", good)
    assert code(error) == 31
    with pytest.raises(AbciError):
        proven.member(b"key-3", b"value-3", good[:-1])


def test_a_proof_waits_for_its_delay_in_time_and_blocks() -> None:
    proven = Proven()
    context, delay = proven.bench.context, Delay(3 * INTERVAL_NS, 2)
    came_ns = context.time_ns
    for later_ns, blocks in ((3 * INTERVAL_NS - 1, 2), (3 * INTERVAL_NS, 1)):
        context.time_ns, context.height = came_ns + later_ns, Height(0, 7 + blocks)
        with pytest.raises(AbciError, match="delay not passed"):
            proven.member(b"key-3", b"value-3", proven.proof(b"key-3"), delay=delay)
    context.time_ns, context.height = came_ns + 3 * INTERVAL_NS, Height(0, 9)
    proven.member(b"key-3", b"value-3", proven.proof(b"key-3"), delay=delay)


def test_a_client_that_is_not_active_proves_nothing() -> None:
    proven = Proven()
    proof = proven.proof(b"key-3")
    proven.bench.update(proven.client, proven.bench.forked(10, 12))
    with pytest.raises(AbciError) as error:
        proven.member(b"key-3", b"value-3", proof)
    assert code(error) == 29
    with pytest.raises(AbciError) as error:
        proven.bench.clients.verify_membership(
            proven.bench.context, "07-tendermint-7", Height(1, 12), NO_DELAY, proof, (b"key-3",), b"value-3"
        )
    assert code(error) == 4


def test_what_is_stored_of_a_header() -> None:
    header = LightChain(steady).header(3)
    assert tendermint.consensus_state_of(header) == ConsensusState(
        header.time, MerkleRoot(header.app_hash), header.next_validators_hash
    )
    assert tendermint.header_height(header) == Height(1, 3)
