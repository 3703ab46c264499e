"""Proofs of finality and reads in a committee in memory: true whatever liars say, the same after restarts, bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_client_services import ClientServices
from dagbft_trade import CONFIGS, Trade

from nodes.dagbft.client.collector import Collector
from nodes.dagbft.client.messages import (
    Included,
    ReadReply,
    ReadRequest,
    SignedResults,
    Statement,
    Status,
    leaf_of,
)
from nodes.dagbft.client.reads import Reads
from nodes.dagbft.execution.reading import MOST_OF_ONE, WAIT_S
from nodes.dagbft.execution.transactions import key_of
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import Cleanup, Subscribe


def played(
    duration_s: float = 6.0, liars: tuple[int, ...] = (), config: str = "async", seed: int = 5
) -> ClientServices:
    clients = ClientServices(Trade(CONFIGS[config], seed=seed), liars)
    clients.trade.run.start()
    clients.trade.load()
    clients.trade.go(duration_s)
    return clients


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_committed_is_proved_and_what_is_early_before(config: str) -> None:
    clients = played(config=config)
    clients.check()
    final = {proof.transaction for proof in clients.proofs if proof.kind == Cause.COMMITTED}
    early = {proof.transaction for proof in clients.proofs if proof.kind == Cause.EARLY}
    assert len(final) > 0.7 * len(clients.expected)
    assert len(early) > 0.4 * len(clients.expected)
    first = {made.transaction: made.name for made in reversed(clients.milestones)}
    assert sum(name == "early" for name in first.values()) > 0.7 * len(early), "most are early before they are final"
    assert not clients.collector.rejected
    assert all(len(roots) == 1 for roots in clients.statements.values()), "all sign the same of a commit"


@pytest.mark.parametrize("seed", range(3))
def test_no_wrong_proof_ever_forms_beside_a_liar(seed: int) -> None:
    clients = played(liars=(1,), seed=seed)
    clients.check()
    final = [proof for proof in clients.proofs if proof.kind == Cause.COMMITTED]
    assert len(final) > 0.7 * len(clients.expected), "and all right ones do, with the n - f others"
    assert all(1 not in proof.voters for proof in clients.proofs)
    assert clients.collector.counts["proofs disputed"] > 0


def test_two_liars_of_four_can_stop_proofs_and_forge_none_alone() -> None:
    """More liars than are borne: no quorum says anything, true or false."""
    clients = played(liars=(0, 1))
    assert not clients.proofs


def test_who_restarts_signs_what_it_signed_before() -> None:
    clients = ClientServices(Trade(CONFIGS["async"]))
    trade = clients.trade
    trade.run.start()
    trade.load().go(4.0)
    trade.run.crash(0)
    trade.go(4.0)
    before = {commits for commits, roots in clients.statements.items() if any(0 in voters for voters in roots.values())}
    trade.run.restart(0)
    trade.go(5.0)
    clients.check()
    after = {commits for commits, roots in clients.statements.items() if any(0 in voters for voters in roots.values())}
    assert max(after) > max(before) + 5
    assert all(len(roots) == 1 for roots in clients.statements.values())


def test_who_was_away_for_long_and_took_a_snapshot_signs_what_others_sign() -> None:
    clients = ClientServices(Trade(CONFIGS["async"]))
    trade = clients.trade
    trade.run.start()
    trade.load().go(2.0)
    trade.run.crash(0, wipe=True)
    trade.go(18.0)
    trade.run.restart(0)
    trade.go(8.0)
    assert trade.run.validators[0].ledger.commits > 0
    clients.check()
    assert any(
        0 in voters for commits, roots in clients.statements.items() for voters in roots.values() if commits > 50
    )
    assert all(len(roots) == 1 for roots in clients.statements.values())


# Reads


@pytest.mark.parametrize("liars", [(), (1,)], ids=["honest", "a liar"])
@pytest.mark.parametrize("kind", [Cause.COMMITTED, Cause.EARLY])
@pytest.mark.parametrize("need", [2, 3])
def test_reads_are_true_and_do_not_go_back(liars: tuple[int, ...], kind: Cause, need: int) -> None:
    clients = ClientServices(Trade(CONFIGS["async"]), liars)
    trade = clients.trade
    trade.run.start()
    trade.load()
    asked: dict[int, int] = {}
    before: dict[int, int] = {}  # what the client had seen when it asked

    def read() -> None:
        written = [key for key in clients.states[max(clients.states)] if key] or [key_of(0, 1)]
        key = trade.random.choice(written)
        mates = [each for each in written if each >> 48 == key >> 48][:3]
        number = clients.reads.read(mates, clients.now_s, kind=kind, need=need)
        assert number is not None
        asked[number] = shard = mates[0] >> 48
        seen = [old.at for old in clients.done if kind == Cause.COMMITTED or asked[old.number] == shard]
        before[number] = max(seen, default=0)

    clients.every(0.05, read)
    trade.go(6.0)
    good = [read for read in clients.done if not read.why]
    assert len(good) > 0.5 * len(asked)
    assert not liars or all(1 not in read.voters for read in good)
    compared = 0
    for read in good:
        shard = asked[read.number]
        truth = clients.states.get(read.at) if kind == Cause.COMMITTED else clients.places.get((shard, read.at))
        for key, value in read.values.items() if truth is not None else ():
            if kind == Cause.COMMITTED or key in truth:
                assert value == truth.get(key, 0)
                compared += 1
        assert len(read.voters) >= need
        assert read.at >= before[read.number]
    assert max(before.values()) > 10
    assert compared > 0.5 * len(good)
    assert clients.reads.counts["histories apart"] == 0
    assert not clients.reads.rejected


def test_early_reads_see_what_is_not_committed_yet() -> None:
    clients = played(3.0)
    ledger = clients.trade.run.validators[3].ledger
    ahead = [sum(carried.played for carried in chain) for chain in ledger.overlay.chains]
    shard = ahead.index(max(ahead))
    assert ahead[shard] > 0
    service = clients.services[3]
    service.take(clients.now_s)
    service.on_message("reader", ReadRequest(1, Cause.EARLY, 0, (key_of(shard, 5_000_000),)), clients.now_s)
    ((_, reply),) = service.take(clients.now_s)
    assert isinstance(reply, ReadReply)
    assert reply.at == ledger.lengths[shard] + ahead[shard]


def test_a_read_waits_for_what_it_asks_for_but_not_for_ever_and_the_queue_is_bounded() -> None:
    clients = played(2.0)
    service, ledger, now_s = clients.services[0], clients.trade.run.validators[0].ledger, clients.now_s
    service.take(now_s)
    here = ledger.commits
    service.on_message("reader", ReadRequest(1, Cause.COMMITTED, here + 1000, (key_of(0, 1),)), now_s)
    assert service.take(now_s) == []
    assert service.due_s == pytest.approx(now_s + WAIT_S)
    ((_, late),) = service.take(now_s + WAIT_S)
    assert (late.status, late.at, late.values) == (Status.BEHIND, here, ())  # type: ignore[union-attr]
    for number in range(MOST_OF_ONE + 1):
        service.on_message("reader", ReadRequest(number, Cause.COMMITTED, here + 1, (key_of(0, 1),)), now_s)
    ((_, busy),) = service.take(now_s)
    assert busy.status == Status.BUSY  # type: ignore[union-attr]
    service.on_message("other", ReadRequest(9, Cause.COMMITTED, here + 1, (key_of(0, 1),)), now_s)
    assert service.take(now_s) == [], "another reader still has room"
    clients.trade.go(1.0)
    assert ledger.commits > here
    assert service.counts["reads ok"] == MOST_OF_ONE + 1, "all were answered once the commit was there"


@pytest.mark.parametrize("keys", [(), (key_of(0, 1), key_of(1, 1)), (key_of(4, 1),)], ids=["none", "two", "no shard"])
def test_what_is_no_read_is_refused_and_counted(keys: tuple[int, ...]) -> None:
    clients = played(1.0)
    service = clients.services[0]
    service.take(clients.now_s)
    service.on_message("reader", ReadRequest(1, Cause.COMMITTED, 0, keys), clients.now_s)
    ((_, reply),) = service.take(clients.now_s)
    assert reply.status == Status.WRONG  # type: ignore[union-attr]
    service.on_message("reader", Cleanup(1), clients.now_s)
    assert service.rejected == {("read", "reader"): 1, ("misplaced", "reader"): 1}


def test_a_client_that_comes_late_hears_of_what_is_kept() -> None:
    clients = played(4.0)
    service = clients.services[2]
    service.take(clients.now_s)
    service.on_message("late", Subscribe(0), clients.now_s)
    told = [message for caller, message in service.take(clients.now_s) if caller == "late"]
    assert told
    service.on_message("late", Subscribe(0), clients.now_s)
    assert service.take(clients.now_s) == [], "once"


def test_nothing_is_signed_that_nobody_asked_for() -> None:
    clients = ClientServices(Trade(CONFIGS["async"]))
    clients.call = lambda me, message: None  # type: ignore[method-assign]
    clients.trade.run.start()
    clients.trade.load().go(3.0)
    assert all(service.counts["statements"] == 0 for service in clients.services.values())


# What a client refuses


def a_message(clients: ClientServices) -> SignedResults:
    """Results that a validator signed."""
    service = clients.services[2]
    service.take(clients.now_s)
    service.on_message("late", Subscribe(0), clients.now_s)
    message = service.take(clients.now_s)[-1][1]
    assert isinstance(message, SignedResults)
    return message


def test_results_that_are_not_what_they_should_be_are_refused_by_reason() -> None:
    clients = played(2.0)
    good, collector = a_message(clients), clients.collector
    for included in good.results:
        collector._pending.pop(included.transaction, None)
        collector.want(included.transaction, clients.now_s)
    statement, first = good.statement, good.results[0]
    cases = {
        "voter": replace(good, voter=1),
        "run": replace(good, statement=replace(statement, run=b"another.")),
        "epoch": replace(good, statement=replace(statement, epoch=1)),
        "commits": replace(good, statement=replace(statement, kind=3 - statement.kind)),
        "signature": replace(good, statement=replace(statement, count=statement.count + 1)),
        "path": replace(good, results=(replace(first, result=bytes(32)),)),
    }
    for reason, message in cases.items():
        collector.on_results(2, message, clients.now_s)
        assert collector.rejected.pop((reason, 2)) == 1
    collector.on_results(2, good, clients.now_s)
    collector.on_results(2, good, clients.now_s)
    assert not collector.rejected
    assert collector.counts["proofs repeated"] == len(good.results)


def test_what_is_collected_is_bounded() -> None:
    collector = Collector(played(0.1).roster, most=10)
    for number in range(50):
        collector.want((1000 + number).to_bytes(16, "big"), float(number))
    assert collector.pending == 10
    collector.tick(1000.0)
    assert (collector.pending, collector.counts["proofs given up"]) == (0, 50)


def test_answers_that_are_not_what_they_should_be_are_refused_by_reason() -> None:
    clients = played(2.0)
    reads = Reads(clients.roster)
    number = reads.read([key_of(0, 1)], clients.now_s)
    service = clients.services[2]
    service.take(clients.now_s)
    service.on_message("reader", reads.take()[0][0], clients.now_s)
    ((_, good),) = service.take(clients.now_s)
    assert isinstance(good, ReadReply)
    cases = {
        "voter": replace(good, voter=1),
        "run": replace(good, run=b"another."),
        "kind": replace(good, kind=1),
        "keys": replace(good, values=()),
        "signature": replace(good, at=good.at + 1),
    }
    for reason, message in cases.items():
        reads.on_reply(2, message, clients.now_s)
        assert reads.rejected.pop((reason, 2)) == 1
    reads.on_reply(2, good, clients.now_s)
    reads.on_reply(2, good, clients.now_s)
    assert reads.rejected == {("repeated", 2): 1}
    assert reads.take()[1] == [], "one is not f + 1"
    reads.tick(clients.now_s + 100)
    assert [(read.number, read.why) for read in reads.take()[1]] == [(number, "timeout")]


def test_reads_of_keys_that_nobody_would_answer_are_errors_and_too_many_are_shed() -> None:
    clients = played(0.1)
    reads = Reads(clients.roster, most=2)
    for keys in ([], [key_of(0, 1), key_of(1, 1)], [key_of(0, number) for number in range(65)]):
        with pytest.raises(ValueError, match="keys; expected 1 to 64, all of one shard"):
            reads.read(keys, 0.0)
    assert [reads.read([1], 0.0), reads.read([1], 0.0), reads.read([1], 0.0)] == [0, 1, None]
    assert reads.counts["reads shed"] == 1


def test_two_results_of_one_block_are_a_contradiction_and_those_of_two_blocks_are_none() -> None:
    clients = played(0.1)
    id = bytes(8) + b"gamma tx"
    for blocks, contradicted in (((3, 4), 0), ((3, 3), 1)):
        collector = Collector(clients.roster)
        collector.want(id, 0.0)
        for kind, round, result in ((1, blocks[0], b"a" * 32), (2, blocks[1], b"b" * 32)):
            root = leaf_of(id, result, round, 0)
            statement = Statement(clients.roster.run, 0, kind, 9 * (kind - 1), 1, root)
            for me in range(3):
                signature = clients.trade.run.identities[me].sign(statement.digest)
                included = Included(id, result, round, 0, 0, ())
                collector.on_results(me, SignedResults(me, statement, signature, (included,)), 1.0)
        assert [made.name for made in collector.take()] == ["early", "correct", "final"]
        assert not collector.rejected
        assert collector.counts["proofs contradicted"] == collector.counts["proofs disputed"] == contradicted
