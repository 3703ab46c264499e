"""Relayers with a stake: they stand for messages together, contradict those who lie, and lose what they put up."""

from __future__ import annotations

from dataclasses import replace

from nodes.xroute.flooding.ads import EdgeAd, issued
from nodes.xroute.flooding.equivocation import Equivocation
from nodes.xroute.keys import Key
from nodes.xroute.module.messages import Certificate, MsgDeliverByQuorum, Statement, Vote
from nodes.xroute.module.quorum import sign_bytes
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.relayer.ballots import Endorsement
from nodes.xroute.relayer.jobs import Job
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.xroute_relayed import BLOCK_S, PROVE_S, Net

LINE = (("a", "b"), ("b", "c"))
RELAYERS, HONEST = ("relayer-1", "relayer-2"), "relayer-1b"
OPTED_IN = {"c": Terms(minimum={"transfer": parse("xroute/1; require mode {quorum, zk-model}")}, model_key=b"oracle")}
POLICY = "xroute/1; require each transit nakamoto >= 2"
STAKE = 1000


def staked(**given: object) -> Net:
    net = Net(LINE, RELAYERS, OPTED_IN, stake=STAKE, **given)  # type: ignore[arg-type]
    net.until(lambda: net.is_ready() and all(len(net.core.stakes.on(chain)) == 2 for chain in net.nodes))
    return net


def seen(net: Net, chain: str, kind: str) -> list[tuple[int, dict[str, str]]]:
    """Events of a kind that a chain has told, with the times of their blocks."""
    ledger = net.nodes[chain].chain.ledger
    return [
        (entry.block.header.time.ns, dict(event.attributes))
        for entry in (ledger[height] for height in range(1, ledger.last + 1))
        for result in entry.results
        if not result.code
        for event in result.events
        if event.type == kind
    ]


def test_a_quorum_delivers_after_the_time_for_contradiction() -> None:
    net = staked()
    for _ in range(5):
        net.send("a", "c", mode=Mode.QUORUM, policy=POLICY, threshold=2)
    net.step()
    net.until(net.settled, 60)
    assert net.received("a", "c") == 500
    announced, delivered = (min(at for at, _ in seen(net, "c", f"xroute_{kind}")) for kind in ("announce", "deliver"))
    assert delivered - announced >= OPTED_IN["c"].challenge_ns
    assert len(seen(net, "c", "xroute_deliver")) == len(seen(net, "a", "xroute_acknowledge")) == 5
    assert not seen(net, "c", "xroute_contradict")


def test_one_relayer_is_no_quorum_and_its_message_is_refunded() -> None:
    net = Net(LINE, RELAYERS[:1], OPTED_IN, stake=STAKE)
    net.until(lambda: net.is_ready() and net.core.stakes.on("c"))
    net.send("a", "c", mode=Mode.QUORUM, policy=POLICY, timeout_s=20)
    net.step()
    net.until(net.settled, 60)
    assert net.received("a", "c") == 0
    assert len(seen(net, "a", "xroute_timeout")) == 1


def forged(net: Net, job: Job) -> MsgDeliverByQuorum:
    """All relayers stand for a message that is like one that was sent, but of a sequence that was not."""
    parcel = Parcel.of(replace(job.parcel.packet, sequence=99))
    statement = Statement(parcel.id, bytes(32), net.now_ns)
    signed = sign_bytes(parcel.destination, statement)
    votes = tuple(Vote(key.public, key.sign(signed)) for key in map(Key.named, RELAYERS))
    return MsgDeliverByQuorum(parcel.packet, parse(POLICY).encode(), Certificate(statement, votes))


def test_who_stands_for_a_message_that_was_not_sent_is_contradicted_and_loses_its_stake() -> None:
    net = staked()
    net.send("a", "c", mode=Mode.QUORUM, policy=POLICY)
    net.step()
    job = next(net.core.jobs.to_certify())
    net.until(net.settled, 60)  # so that c knows a
    message = forged(net, job)
    for name in RELAYERS:
        del net.cores[name]  # they lie, and would not contradict themselves
    net.relayers = (HONEST,)
    net.stake = 0
    net.nodes["c"].send(replace(message, signer=address("alice")))
    net.start(HONEST)
    net.until(lambda: seen(net, "c", "xroute_contradict"), 20)
    slashed = {each["relayer"] for _, each in seen(net, "c", "xroute_slash")}
    assert slashed == {Key.named(each).public.hex() for each in RELAYERS}
    assert not net.core.stakes.on("c")
    assert not net.core.stakes.weights
    assert net.received("a", "c") == 100, "of the first message"


def test_only_what_a_relayer_saw_itself_gets_its_signature() -> None:
    net = staked()
    del net.cores["relayer-2"]
    net.send("a", "c", mode=Mode.QUORUM, policy=POLICY)
    net.step()
    ballots, job = net.core.ballots, next(net.core.jobs.to_certify())
    route = net.core.choice.route(job, frozenset())
    assert route is not None
    clients = tuple(edge.client for edge in route)
    statement = ballots.statement(job, route)
    for false, way in (
        (replace(statement, source_time_ns=statement.source_time_ns - 1), clients),
        (replace(statement, route_id=bytes(32)), clients),
        (statement, clients[:1]),
    ):
        signed = sign_bytes(job.parcel.destination, false)
        key = Key.named("relayer-2")
        ballots.hear(Endorsement(false, way, (Vote(key.public, key.sign(signed)),)).encode())
    assert not ballots.take()
    stranger = Key.named("stranger")
    vote = Vote(stranger.public, stranger.sign(sign_bytes(job.parcel.destination, statement)))
    ballots.hear(Endorsement(statement, clients, (vote,)).encode())
    ballots.hear(b"no endorsement")
    assert ballots.certificate(job) is None
    vote = Vote(key.public, key.sign(sign_bytes(job.parcel.destination, statement)))
    ballots.hear(Endorsement(statement, clients, (vote,)).encode())
    made = ballots.certificate(job)
    assert made is not None
    assert {each.relayer for each in made.votes} == {key.public, Key.named("relayer-1").public}


def test_the_model_of_a_succinct_proof_delivers_once_it_is_made() -> None:
    net = staked(model_key=b"oracle")
    for _ in range(3):
        net.send("a", "c", mode=Mode.ZK_MODEL, policy=POLICY)
    net.step()
    net.until(net.settled, 60)
    assert net.received("a", "c") == 300
    sent, delivered = (
        [at for at, _ in seen(net, chain, kind)] for chain, kind in (("a", "xroute_send"), ("c", "xroute_deliver"))
    )
    assert min(delivered) - min(sent) >= (PROVE_S - BLOCK_S) * SECOND_NS, "a block has the time of the one before"
    assert {each["mode"] for _, each in seen(net, "c", "xroute_deliver")} == {"zk-model"}


def test_who_says_two_things_of_one_client_loses_its_stake_everywhere_and_its_word_counts_for_nothing() -> None:
    net = staked()
    liar = Key.named("relayer-2")
    weights = net.core.stakes.weights
    assert weights[liar.public] == 3 * STAKE
    edge = net.core.network.own.edges[0]
    ads = [
        issued(EdgeAd(edge.verifier, edge.tracked, edge.client, delay_s=delay_s, max_age_s=600), liar, 7, 10**6)
        for delay_s in (1, 2)
    ]
    net.core.accuse(liar.public, Equivocation.of(*ads).encode())
    net.until(lambda: all(liar.public not in net.core.stakes.on(chain) for chain in net.nodes), 20)
    for _ in range(4):  # the liar does not put up a stake again
        net.step()
    assert liar.public not in weights
    assert [len(seen(net, chain, "xroute_slash")) for chain in net.nodes] == [1, 1, 1]
    assert all(list(net.cores["relayer-2"].stakes.on(chain)) == [Key.named("relayer-1").public] for chain in net.nodes)
