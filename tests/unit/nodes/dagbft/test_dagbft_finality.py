"""Proofs of finality and reads in a committee in memory: true whatever liars say, the same after restarts, bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_doors import Doors
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
from nodes.dagbft.kinds import Cause
from nodes.dagbft.messages import Cleanup, Subscribe


def played(duration_s: float = 6.0, liars: tuple[int, ...] = (), config: str = "async", seed: int = 5) -> Doors:
    doors = Doors(Trade(CONFIGS[config], seed=seed), liars)
    doors.trade.run.start()
    doors.trade.load()
    doors.trade.go(duration_s)
    return doors


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_committed_is_proved_and_what_is_early_before(config: str) -> None:
    doors = played(config=config)
    doors.check()
    final = {proof.transaction for proof in doors.proofs if proof.kind == Cause.COMMITTED}
    early = {proof.transaction for proof in doors.proofs if proof.kind == Cause.EARLY}
    assert len(final) > 0.7 * len(doors.expected)
    assert len(early) > 0.4 * len(doors.expected)
    first = {made.transaction: made.name for made in reversed(doors.milestones)}
    assert sum(name == "early" for name in first.values()) > 0.7 * len(early), "most are early before they are final"
    assert not doors.collector.rejected
    assert all(len(roots) == 1 for roots in doors.statements.values()), "all sign the same of a commit"


@pytest.mark.parametrize("seed", range(3))
def test_no_wrong_proof_ever_forms_beside_a_liar(seed: int) -> None:
    doors = played(liars=(1,), seed=seed)
    doors.check()
    final = [proof for proof in doors.proofs if proof.kind == Cause.COMMITTED]
    assert len(final) > 0.7 * len(doors.expected), "and all right ones do, with the n - f others"
    assert all(1 not in proof.voters for proof in doors.proofs)
    assert doors.collector.counts["proofs disputed"] > 0


def test_two_liars_of_four_can_stop_proofs_and_forge_none_alone() -> None:
    """More liars than are borne: no quorum says anything, true or false."""
    doors = played(liars=(0, 1))
    assert not doors.proofs


def test_who_restarts_signs_what_it_signed_before() -> None:
    doors = Doors(Trade(CONFIGS["async"]))
    trade = doors.trade
    trade.run.start()
    trade.load().go(4.0)
    trade.run.crash(0)
    trade.go(4.0)
    before = {commits for commits, roots in doors.statements.items() if any(0 in voters for voters in roots.values())}
    trade.run.restart(0)
    trade.go(5.0)
    doors.check()
    after = {commits for commits, roots in doors.statements.items() if any(0 in voters for voters in roots.values())}
    assert max(after) > max(before) + 5
    assert all(len(roots) == 1 for roots in doors.statements.values())


def test_who_was_away_for_long_and_took_a_snapshot_signs_what_others_sign() -> None:
    doors = Doors(Trade(CONFIGS["async"]))
    trade = doors.trade
    trade.run.start()
    trade.load().go(2.0)
    trade.run.crash(0, wipe=True)
    trade.go(18.0)
    trade.run.restart(0)
    trade.go(8.0)
    assert trade.run.validators[0].ledger.commits > 0
    doors.check()
    assert any(0 in voters for commits, roots in doors.statements.items() for voters in roots.values() if commits > 50)
    assert all(len(roots) == 1 for roots in doors.statements.values())


# Reads


@pytest.mark.parametrize("liars", [(), (1,)], ids=["honest", "a liar"])
@pytest.mark.parametrize("kind", [Cause.COMMITTED, Cause.EARLY])
@pytest.mark.parametrize("need", [2, 3])
def test_reads_are_true_and_do_not_go_back(liars: tuple[int, ...], kind: Cause, need: int) -> None:
    doors = Doors(Trade(CONFIGS["async"]), liars)
    trade = doors.trade
    trade.run.start()
    trade.load()
    asked: dict[int, int] = {}
    before: dict[int, int] = {}  # what the client had seen when it asked

    def read() -> None:
        written = [key for key in doors.states[max(doors.states)] if key] or [key_of(0, 1)]
        key = trade.random.choice(written)
        mates = [each for each in written if each >> 48 == key >> 48][:3]
        number = doors.reads.read(mates, doors.now_s, kind=kind, need=need)
        assert number is not None
        asked[number] = shard = mates[0] >> 48
        seen = [old.at for old in doors.done if kind == Cause.COMMITTED or asked[old.number] == shard]
        before[number] = max(seen, default=0)

    doors.every(0.05, read)
    trade.go(6.0)
    good = [read for read in doors.done if not read.why]
    assert len(good) > 0.5 * len(asked)
    assert not liars or all(1 not in read.voters for read in good)
    compared = 0
    for read in good:
        shard = asked[read.number]
        truth = doors.states.get(read.at) if kind == Cause.COMMITTED else doors.places.get((shard, read.at))
        for key, value in read.values.items() if truth is not None else ():
            if kind == Cause.COMMITTED or key in truth:
                assert value == truth.get(key, 0)
                compared += 1
        assert len(read.voters) >= need
        assert read.at >= before[read.number]
    assert max(before.values()) > 10
    assert compared > 0.5 * len(good)
    assert doors.reads.counts["histories apart"] == 0
    assert not doors.reads.rejected


def test_early_reads_see_what_is_not_committed_yet() -> None:
    doors = played(3.0)
    ledger = doors.trade.run.validators[3].ledger
    ahead = [sum(carried.played for carried in chain) for chain in ledger.overlay.chains]
    shard = ahead.index(max(ahead))
    assert ahead[shard] > 0
    desk = doors.desks[3]
    desk.take(doors.now_s)
    desk.on_message("reader", ReadRequest(1, Cause.EARLY, 0, (key_of(shard, 5_000_000),)), doors.now_s)
    ((_, reply),) = desk.take(doors.now_s)
    assert isinstance(reply, ReadReply)
    assert reply.at == ledger.lengths[shard] + ahead[shard]


def test_a_read_waits_for_what_it_asks_for_but_not_for_ever_and_the_queue_is_bounded() -> None:
    doors = played(2.0)
    desk, ledger, now_s = doors.desks[0], doors.trade.run.validators[0].ledger, doors.now_s
    desk.take(now_s)
    here = ledger.commits
    desk.on_message("reader", ReadRequest(1, Cause.COMMITTED, here + 1000, (key_of(0, 1),)), now_s)
    assert desk.take(now_s) == []
    assert desk.due_s == pytest.approx(now_s + WAIT_S)
    ((_, late),) = desk.take(now_s + WAIT_S)
    assert (late.status, late.at, late.values) == (Status.BEHIND, here, ())  # type: ignore[union-attr]
    for number in range(MOST_OF_ONE + 1):
        desk.on_message("reader", ReadRequest(number, Cause.COMMITTED, here + 1, (key_of(0, 1),)), now_s)
    ((_, busy),) = desk.take(now_s)
    assert busy.status == Status.BUSY  # type: ignore[union-attr]
    desk.on_message("other", ReadRequest(9, Cause.COMMITTED, here + 1, (key_of(0, 1),)), now_s)
    assert desk.take(now_s) == [], "another reader still has room"
    doors.trade.go(1.0)
    assert ledger.commits > here
    assert desk.counts["reads ok"] == MOST_OF_ONE + 1, "all were answered once the commit was there"


@pytest.mark.parametrize("keys", [(), (key_of(0, 1), key_of(1, 1)), (key_of(4, 1),)], ids=["none", "two", "no shard"])
def test_what_is_no_read_is_refused_and_counted(keys: tuple[int, ...]) -> None:
    doors = played(1.0)
    desk = doors.desks[0]
    desk.take(doors.now_s)
    desk.on_message("reader", ReadRequest(1, Cause.COMMITTED, 0, keys), doors.now_s)
    ((_, reply),) = desk.take(doors.now_s)
    assert reply.status == Status.WRONG  # type: ignore[union-attr]
    desk.on_message("reader", Cleanup(1), doors.now_s)
    assert desk.rejected == {("read", "reader"): 1, ("misplaced", "reader"): 1}


def test_a_client_that_comes_late_hears_of_what_is_kept() -> None:
    doors = played(4.0)
    desk = doors.desks[2]
    desk.take(doors.now_s)
    desk.on_message("late", Subscribe(0), doors.now_s)
    told = [message for caller, message in desk.take(doors.now_s) if caller == "late"]
    assert told
    desk.on_message("late", Subscribe(0), doors.now_s)
    assert desk.take(doors.now_s) == [], "once"


def test_nothing_is_signed_that_nobody_asked_for() -> None:
    doors = Doors(Trade(CONFIGS["async"]))
    doors.call = lambda me, message: None  # type: ignore[method-assign]
    doors.trade.run.start()
    doors.trade.load().go(3.0)
    assert all(desk.counts["statements"] == 0 for desk in doors.desks.values())


# What a client refuses


def a_message(doors: Doors) -> SignedResults:
    """Results that a validator signed."""
    desk = doors.desks[2]
    desk.take(doors.now_s)
    desk.on_message("late", Subscribe(0), doors.now_s)
    message = desk.take(doors.now_s)[-1][1]
    assert isinstance(message, SignedResults)
    return message


def test_results_that_are_not_what_they_should_be_are_refused_by_reason() -> None:
    doors = played(2.0)
    good, collector = a_message(doors), doors.collector
    for included in good.results:
        collector._wanted.pop(included.transaction, None)
        collector.want(included.transaction, doors.now_s)
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
        collector.on_results(2, message, doors.now_s)
        assert collector.rejected.pop((reason, 2)) == 1
    collector.on_results(2, good, doors.now_s)
    collector.on_results(2, good, doors.now_s)
    assert not collector.rejected
    assert collector.counts["proofs repeated"] == len(good.results)


def test_what_is_collected_is_bounded() -> None:
    collector = Collector(played(0.1).roster, most=10)
    for number in range(50):
        collector.want((1000 + number).to_bytes(16, "big"), float(number))
    assert collector.wanted == 10
    collector.tick(1000.0)
    assert (collector.wanted, collector.counts["proofs given up"]) == (0, 50)


def test_answers_that_are_not_what_they_should_be_are_refused_by_reason() -> None:
    doors = played(2.0)
    reads = Reads(doors.roster)
    number = reads.read([key_of(0, 1)], doors.now_s)
    desk = doors.desks[2]
    desk.take(doors.now_s)
    desk.on_message("reader", reads.take()[0][0], doors.now_s)
    ((_, good),) = desk.take(doors.now_s)
    assert isinstance(good, ReadReply)
    cases = {
        "voter": replace(good, voter=1),
        "run": replace(good, run=b"another."),
        "kind": replace(good, kind=1),
        "keys": replace(good, values=()),
        "signature": replace(good, at=good.at + 1),
    }
    for reason, message in cases.items():
        reads.on_reply(2, message, doors.now_s)
        assert reads.rejected.pop((reason, 2)) == 1
    reads.on_reply(2, good, doors.now_s)
    reads.on_reply(2, good, doors.now_s)
    assert reads.rejected == {("repeated", 2): 1}
    assert reads.take()[1] == [], "one is not f + 1"
    reads.tick(doors.now_s + 100)
    assert [(read.number, read.why) for read in reads.take()[1]] == [(number, "timeout")]


def test_reads_of_keys_that_nobody_would_answer_are_errors_and_too_many_are_shed() -> None:
    doors = played(0.1)
    reads = Reads(doors.roster, most=2)
    for keys in ([], [key_of(0, 1), key_of(1, 1)], [key_of(0, number) for number in range(65)]):
        with pytest.raises(ValueError, match="keys; expected 1 to 64, all of one shard"):
            reads.read(keys, 0.0)
    assert [reads.read([1], 0.0), reads.read([1], 0.0), reads.read([1], 0.0)] == [0, 1, None]
    assert reads.counts["reads shed"] == 1


def test_two_results_of_one_block_are_a_contradiction_and_those_of_two_blocks_are_none() -> None:
    doors = played(0.1)
    id = bytes(8) + b"gamma tx"
    for blocks, contradicted in (((3, 4), 0), ((3, 3), 1)):
        collector = Collector(doors.roster)
        collector.want(id, 0.0)
        for kind, round, result in ((1, blocks[0], b"a" * 32), (2, blocks[1], b"b" * 32)):
            root = leaf_of(id, result, round, 0)
            statement = Statement(doors.roster.run, 0, kind, 9 * (kind - 1), 1, root)
            for me in range(3):
                signature = doors.trade.run.identities[me].sign(statement.digest)
                included = Included(id, result, round, 0, 0, ())
                collector.on_results(me, SignedResults(me, statement, signature, (included,)), 1.0)
        assert [made.name for made in collector.take()] == ["early", "correct", "final"]
        assert not collector.rejected
        assert collector.counts["proofs contradicted"] == collector.counts["proofs disputed"] == contradicted
