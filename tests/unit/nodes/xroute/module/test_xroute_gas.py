"""Messages pay for the work that they cause, also where they are refused, and whatever a node has cached."""

from __future__ import annotations

from dataclasses import replace

from nodes.ibc.chain.results import TxResult
from nodes.xroute import gas
from nodes.xroute.flooding.ads import issued
from nodes.xroute.flooding.equivocation import Equivocation
from nodes.xroute.keys import Key
from nodes.xroute.module.messages import Fee, MsgDeliver, MsgSlash, Vote
from nodes.xroute.module.policies import policy_of
from nodes.xroute.proofs.messages import Mode
from tests.support.ibc_chain import address
from tests.support.xroute_flood import edge_ad
from tests.support.xroute_quorum import TERMS, VOTERS, announcement, with_stakes
from tests.support.xroute_world import ANY, World

LINE = (("a", "b"), ("b", "c"))
LONG = "xroute/1; " + "; ".join(f"require each transit nakamoto <= {most}" for most in range(10, 35))


def sent(world: World, policy: str = ANY, fee: Fee | None = None) -> int:
    """Gas of a message that is sent: its transaction is the last one of a's last block."""
    world.send("a", "c", policy=policy, fee=fee)
    return world["a"].chain.ledger[world["a"].chain.height].results[-1].gas_used


def test_a_proof_that_is_refused_has_paid_for_its_bytes() -> None:
    world = World(LINE)
    proof = world.proof("cba", (parcel := world.send("a", "c")).packet, parcel.commitment_key)
    used = []
    for payee in (b"", bytes(10_000)):
        bad = replace(proof, payee=payee, key=replace(proof.key, exist=None)).encode()
        refused = world["c"].do("relayer", MsgDeliver(bad, address("relayer")))
        assert refused.code == 109, refused.log
        used.append(refused.gas_used)
    assert used[1] - used[0] >= 10_000 * gas.PROOF_BYTE


def test_a_policy_costs_the_same_whether_it_is_cached_or_not() -> None:
    world = World(LINE)
    sent(world)  # the first message writes more keys
    policy_of.cache_clear()
    first, again, short = sent(world, LONG), sent(world, LONG), sent(world)
    assert first == again
    assert first - short >= 150 * gas.POLICY_BYTE


def test_ranking_is_paid_for_by_whoever_has_a_fee() -> None:
    world = World(LINE)
    sent(world)
    assert sent(world, fee=Fee("stake", deliver=10)) - sent(world) >= gas.RANKING


def test_each_vote_of_a_quorum_is_paid_for() -> None:
    world = with_stakes(World(LINE, {"c": TERMS}), "c")
    results: list[TxResult] = []
    for strangers in (0, 40):
        parcel = world.send("a", "c", mode=Mode.QUORUM)
        message = announcement(world, parcel, ANY, "voter", "other")
        votes = tuple(Vote(Key.named(str(at)).public, bytes(64)) for at in range(strangers))
        signed = replace(message.certificate, votes=(*message.certificate.votes, *votes))
        results.append(world["c"].must("relayer", replace(message, certificate=signed)))
    few, many = results
    assert many.gas_used - few.gas_used >= 40 * gas.SIGNATURE


def test_evidence_pays_for_its_signatures() -> None:
    node = with_stakes(World(LINE), "a")["a"]
    ads = [issued(edge_ad("x", "y", delay_s=delay_s, max_age_s=600), VOTERS["voter"], 7, 10**6) for delay_s in (1, 2)]
    evidence = Equivocation.of(*ads).encode()
    malformed = node.do("alice", MsgSlash(b"", address("alice")))
    slashed = node.do("alice", MsgSlash(evidence, address("alice")))
    assert malformed.gas_used >= 2 * gas.SIGNATURE
    assert slashed.code == 0, slashed.log
