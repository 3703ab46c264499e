"""What advertisements prove, by proofs of a real chain, and what relayers together say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from ibc_chain import address
from xroute_flood import START_MS, chain_ad, edge_ad, key_of
from xroute_names import Registrar, Watcher

from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.core import paths
from nodes.ibc.proto import ibc
from nodes.ibc.proto.ibc import Height, MerkleProof
from nodes.ibc.proto.well_known import Any
from nodes.xroute.flooding.ads import ChainAd, ChainClaims, ClientStatus, EdgeAd, EdgeClaims, EdgeProof, issued
from nodes.xroute.flooding.claims import claimed_chains, claimed_edges, weighted_median
from nodes.xroute.flooding.database import Database, Verdict
from nodes.xroute.flooding.facts import FactError, chain_facts, edge_facts

CLIENT = "07-tendermint-0"


class World:
    """A chain with a client of another one, and a watcher with a client of the first."""

    def __init__(self) -> None:
        self.here, self.there = Registrar("here-1"), Registrar("there-1")
        state, consensus = self.there.client_state(), consensus_state_of(self.there.header)
        self.here.do(ibc.MsgCreateClient(Any.of(state), Any.of(consensus), address("alice")))
        self.state, self.consensus = state, consensus
        self.watcher = Watcher()
        self.client = self.watcher.follow(self.here).client

    def proved(self, key: bytes) -> tuple[bytes, bytes]:
        chain, height = self.here.ticking.chain, self.here.height
        value = chain.state.stores["ibc"].get_at(key, height - 1)
        assert value is not None
        return value, MerkleProof(chain.state.prove("ibc", key, height - 1)).encode()

    def proof(self) -> EdgeProof:
        latest = self.state.latest_height
        client = self.proved(paths.client_state(CLIENT))
        consensus = self.proved(paths.consensus_state(CLIENT, latest.revision_number, latest.revision_height))
        return EdgeProof(Height(1, self.here.height), *client, *consensus)

    def ad(self, **changes: object) -> EdgeAd:
        made = EdgeAd(
            self.here.identity(), self.there.identity(), CLIENT, "07-tendermint-0", "07-tendermint",
            ClientStatus.ACTIVE, self.state.latest_height, self.consensus.timestamp.ns, 14 * 86_400, 1, 3,
            proof=self.proof(),
        )  # fmt: skip
        return replace(made, **changes)  # type: ignore[arg-type]


@cache
def made() -> World:
    return World()


def test_a_client_is_proved_by_the_chain_that_has_it() -> None:
    world = made()
    facts = edge_facts(world.watcher.context(), world.watcher.clients, world.client, world.ad())
    assert (facts.chain_id, facts.client_id, facts.latest_height) == ("there-1", CLIENT, world.state.latest_height)
    assert facts.next_validators_hash == world.consensus.next_validators_hash
    assert facts.as_of_ns == world.here.header.time.ns
    end_ns = facts.latest_time_ns + facts.trusting_ns
    assert [facts.status(now_ns) for now_ns in (end_ns - 1, end_ns)] == [ClientStatus.ACTIVE, ClientStatus.EXPIRED]
    assert replace(facts, is_frozen=True).status(0) is ClientStatus.FROZEN


@pytest.mark.parametrize(
    "change",
    [
        {"status": ClientStatus.FROZEN}, {"latest_height": Height(1, 99)}, {"latest_time_ns": 1}, {"trusting_s": 9},
        {"trust_numerator": 2}, {"trust_denominator": 4},
    ],
)  # fmt: skip
def test_what_is_said_must_be_what_is_proved(change: dict[str, object]) -> None:
    world = made()
    with pytest.raises(FactError, match="as proved"):
        edge_facts(world.watcher.context(), world.watcher.clients, world.client, world.ad(**change))


def test_a_proof_that_is_forged_or_about_another_client_proves_nothing() -> None:
    world = made()
    proof = world.proof()
    forged = Any.of(replace(world.state, chain_id="evil-1")).encode()
    for bad in (
        None, replace(proof, client_state=forged), replace(proof, client_proof=proof.consensus_proof),
        replace(proof, consensus_state=Any.of(replace(world.consensus, next_validators_hash=bytes(32))).encode()),
        replace(proof, height=Height(1, 99)), replace(proof, client_state=b"\x08"), replace(proof, consensus_state=b""),
    ):  # fmt: skip
        with pytest.raises(FactError):
            edge_facts(world.watcher.context(), world.watcher.clients, world.client, world.ad(proof=bad))
    with pytest.raises(FactError):
        edge_facts(world.watcher.context(), world.watcher.clients, world.client, world.ad(client_id="07-tendermint-1"))


def test_a_chain_is_what_a_light_client_knows_of_it() -> None:
    world = made()
    header, validators = world.here.header, world.here.ticking.chain.committee.at(world.here.height + 1).validators
    ad = ChainAd(
        world.here.identity(), Height(1, header.height), header.time.ns, header.app_hash, header.next_validators_hash,
        validators,
    )  # fmt: skip
    context = world.watcher.context()
    facts = chain_facts(context, world.client, ad)
    assert (facts.validators, facts.app_hash) == (validators, header.app_hash)
    assert chain_facts(context, world.client, replace(ad, validators=())).validators == ()
    for change in (
        {"height": Height(1, 99)}, {"time_ns": 1}, {"app_hash": bytes(32)}, {"next_validators_hash": bytes(32)},
        {"validators": validators[1:]},
    ):  # fmt: skip
        with pytest.raises(FactError):
            chain_facts(context, world.client, replace(ad, **change))  # type: ignore[arg-type]


# Claims


def test_a_median_has_half_of_the_weight_on_either_side() -> None:
    assert weighted_median([(5, 1)]) == 5
    assert weighted_median([(1, 1), (2, 1), (99, 1)]) == 2
    assert weighted_median([(1, 1), (2, 1), (99, 3)]) == 99
    assert weighted_median([(1, 3), (2, 1), (99, 1)]) == 1
    assert weighted_median([(7, 1), (3, 1)]) == 3
    with pytest.raises(ValueError, match="at least one"):
        weighted_median([])


STAKES = {key_of(name).public: stake for name, stake in (("a", 30), ("b", 30), ("c", 41), ("d", 0))}


def told(**by: EdgeAd | ChainAd) -> Database:
    """A database in which relayers, by name, have said one thing each."""
    database = Database(STAKES)
    for name, ad in by.items():
        assert database.offer(issued(ad, key_of(name), 1, START_MS), START_MS) is Verdict.NEW
    return database


def test_a_liar_below_half_of_the_stake_moves_no_metric_beyond_what_others_say() -> None:
    honest, other = (edge_ad("x", "y", max_age_s=60, claims=EdgeClaims(rtt_ms=rtt)) for rtt in (20, 24))
    lie = replace(honest, status=ClientStatus.FROZEN, delay_s=999, claims=EdgeClaims(rtt_ms=10**6, recv_fee=10**9))
    ((key, found),) = claimed_edges(told(a=honest, b=other, c=lie), STAKES).items()
    assert key == (honest.verifier, honest.tracked, honest.client_id)
    assert found.claims == EdgeClaims(rtt_ms=24, success_ppm=0)
    assert (found.status, found.delay_s, found.stake) == (ClientStatus.ACTIVE, 0, 101)
    assert claimed_edges(told(c=lie), STAKES)[key].status is ClientStatus.FROZEN


def test_who_measured_nothing_does_not_count_as_zero() -> None:
    silent, measured = edge_ad("x", "y", max_age_s=60, claims=None), edge_ad("x", "y", max_age_s=60)
    (found,) = claimed_edges(told(a=silent, b=measured, c=silent), STAKES).values()
    assert found.claims == measured.claims
    (none,) = claimed_edges(told(a=silent), STAKES).values()
    assert none.claims is None


def test_chains_are_weighed_too() -> None:
    one = chain_ad("x", claims=ChainClaims(500_000, 3, 7), transit_policy=b"\x08\x01")
    found = claimed_chains(
        told(
            a=one,
            b=one,
            c=chain_ad("x"),
        ),
        STAKES,
    )[one.identity]
    assert (found.claims, found.transit_policy, found.stake) == (ChainClaims(500_000, 3, 7), b"\x08\x01", 101)


def test_edges_and_chains_are_kept_apart() -> None:
    database = told(a=chain_ad("x"), b=edge_ad("x", "y", max_age_s=60))
    assert len(claimed_edges(database, STAKES)) == len(claimed_chains(database, STAKES)) == 1
    assert claimed_edges(database, {}) == {}
