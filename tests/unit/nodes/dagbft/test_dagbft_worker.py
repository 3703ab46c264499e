"""The worker's core: sealing, fetching, what it keeps and what it refuses."""

from dataclasses import replace

import pytest

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.messages import (
    Batch,
    BatchReply,
    BatchRequest,
    Certified,
    Cleanup,
    OthersBatch,
    OurBatch,
    Seal,
    Sealed,
    SubmitTx,
    Synchronize,
    Vote,
)
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.wire import join_transactions
from nodes.dagbft.worker.core import WorkerConfig, WorkerCore

CONFIG = WorkerConfig(batch_bytes=100, batch_delay_s=0.1, keep_rounds=10, most_open=2)


class Stage:
    def __init__(self, config: WorkerConfig = CONFIG, **given) -> None:
        self.disk = MemoryDisk()
        self.config = config
        self.given = given
        self.begin()

    def begin(self) -> None:
        self.core = WorkerCore(0, 0, Committee(4), self.config, self.disk, **self.given)

    def out(self):
        effects = self.core.take()
        self.disk.apply(effects.persist)
        self.core.batch_store.kept(effects.persist)
        return effects

    def say(self, peer, message, now_s=0.0):
        self.core.on_message(peer, message, now_s)
        return self.out()


def body_of(*transactions: bytes) -> bytes:
    return join_transactions(transactions)


def test_a_batch_is_sealed_when_it_is_full_or_old_enough():
    stage = Stage()
    stage.core.on_client(SubmitTx(b"a" * 40), 0.0)
    assert not stage.out()
    assert stage.core.next_deadline_s() == pytest.approx(0.1)
    stage.core.on_client(SubmitTx(b"b" * 60), 0.05)
    effects = stage.out()
    assert effects.send == [(ALL, Batch(body_of(b"a" * 40, b"b" * 60)))]
    assert [record.table for record in effects.persist] == ["batch"]
    stage.core.on_transaction(b"c", 0.5)
    stage.core.tick(0.55)
    assert not stage.out()
    stage.core.tick(0.6)
    assert stage.out().send == [(ALL, Batch(body_of(b"c")))]


def test_where_a_primary_asks_a_batch_waits_for_its_header():
    stage = Stage(shard_of=lambda transaction: transaction[0])
    for transaction in (b"\0a", b"\1b", b"\1c"):
        stage.core.on_transaction(transaction, 0.0)
    stage.core.on_primary(Seal(5, 1, 0), 0.05)
    body = body_of(b"\1b", b"\1c")
    effects = stage.out()
    assert effects.send == [(ALL, Batch(body))]
    assert effects.primary == [OurBatch(batch_digest(body), 0, body), Sealed(5, 0, b"")]  # the batch comes first
    assert stage.core.next_deadline_s() == pytest.approx(10.05)  # not 0.1: it will ask for the other shard, too
    stage.core.tick(10.0)
    assert not stage.out()
    stage.core.tick(10.06)  # it has stopped asking
    assert [to for to, _ in stage.out().send] == [ALL]


def test_little_goes_inside_the_header_and_nowhere_else():
    stage = Stage()
    stage.core.on_transaction(b"a" * 20, 0.0)
    stage.core.on_primary(Seal(5, 0, 24), 0.05)
    effects = stage.out()
    assert effects.primary == [Sealed(5, 0, body_of(b"a" * 20))]
    assert not effects.send
    assert not effects.persist
    stage.core.on_primary(Seal(6, 0, 24), 0.06)
    assert stage.out().primary == [Sealed(6, 0, b"")]  # it is gone
    stage.core.on_transaction(b"a" * 21, 0.07)  # a byte too many
    stage.core.on_primary(Seal(7, 0, 24), 0.08)
    assert [type(each) for each in stage.out().primary] == [OurBatch, Sealed]


def test_transactions_of_different_homes_are_kept_apart():
    stage = Stage(shard_of=lambda transaction: transaction[0])
    for transaction in (b"\0a", b"\1b", b"\0c"):
        assert stage.core.on_transaction(transaction, 0.0)
    assert not stage.core.on_transaction(b"\7d", 0.0)  # no such shard
    stage.core.tick(0.1)
    assert [message.body for _, message in stage.out().send] == [body_of(b"\0a", b"\0c"), body_of(b"\1b")]
    assert stage.core.counts["transactions malformed"] == 1


def test_the_primary_hears_of_a_batch_at_once():
    stage = Stage()
    stage.core.on_transaction(b"a" * 100, 0.0)
    body = body_of(b"a" * 100)
    effects = stage.out()
    assert effects.primary == [OurBatch(batch_digest(body), 0, body)]
    assert [record.table for record in effects.persist] == ["batch"]


def test_where_too_many_batches_are_in_no_block_clients_are_refused():
    stage = Stage()
    taken = [stage.core.on_transaction(b"%d" % number * 100, 0.0) for number in range(5)]
    assert taken == [True, True, False, False, False]
    assert not stage.core.on_transaction(b"", 0.0)
    assert stage.core.counts["transactions refused"] == 3
    stage.core.on_primary(Certified((batch_digest(body_of(b"0" * 100)), bytes(32))), 0.0)
    assert stage.core.on_transaction(b"a" * 100, 0.0)
    assert not stage.core.on_transaction(b"b" * 100, 0.0)


def test_a_batch_of_another_is_told_with_the_record_that_keeps_it():
    stage = Stage()
    body = body_of(b"x", b"y")
    effects = stage.say(2, Batch(body))
    assert not effects.send
    assert [record.key for record in effects.persist] == [batch_digest(body)]
    assert effects.primary == [OthersBatch(batch_digest(body), 0, body)]
    assert not stage.say(3, Batch(body))


def test_nonsense_is_refused_and_counted():
    stage = Stage(replace(CONFIG, most_bytes_each=50))
    assert not stage.say(1, Batch(b"\0\0\0\5abc"))
    assert not stage.say(1, BatchReply((body_of(b"x"),)))
    assert not stage.say(1, Vote(bytes(32), 1, 0, 1, bytes(64)))
    assert stage.say(2, Batch(body_of(b"x" * 40)))
    assert not stage.say(2, Batch(body_of(b"y" * 40)))  # past its share until the next collection
    assert dict(stage.core.rejected) == {
        ("body", 1): 1, ("unasked", 1): 1, ("misplaced", 1): 1, ("quota", 2): 1,
    }  # fmt: skip
    stage.core.on_primary(Cleanup(1), 0.0)
    assert stage.say(2, Batch(body_of(b"y" * 40)))


def test_missing_batches_are_fetched_from_whom_the_primary_names_then_from_others():
    stage = Stage()
    body = body_of(b"x")
    digest = batch_digest(body)
    stage.core.on_primary(Synchronize((digest,), (3,)), 0.0)
    assert stage.out().send == [(3, BatchRequest((digest,)))]
    stage.core.tick(0.5)
    assert not stage.out()
    stage.core.tick(1.0)
    assert sorted(to for to, _ in stage.out().send) == [1, 2, 3]
    effects = stage.say(2, BatchReply((body,)))
    assert effects.primary == [OthersBatch(digest, 0, body)]
    assert stage.core.next_deadline_s() == float("inf")
    stage.core.on_primary(Synchronize((digest,), (3,)), 2.0)  # held by now: told again
    assert stage.out().primary == [OthersBatch(digest, 0, body)]


def test_requests_are_answered_within_bounds():
    stage = Stage(replace(CONFIG, most_answers_bytes=100))
    bodies = [body_of(bytes([number]) * 30) for number in range(4)]
    for body in bodies:
        stage.say(1, Batch(body))
    digests = tuple(map(batch_digest, bodies))
    assert stage.say(2, BatchRequest((*digests[:2], bytes(32)))).send == [(2, BatchReply(tuple(bodies[:2])))]
    assert not stage.say(2, BatchRequest(digests[:2]))
    assert stage.core.rejected["flood", 2] == 1
    assert stage.say(2, BatchRequest(digests[:1]), 1.0).send


def test_own_batches_survive_a_restart():
    stage = Stage()
    stage.core.on_transaction(b"a" * 100, 0.0)
    stage.core.on_transaction(b"b" * 100, 0.0)
    stage.out()
    first, second = (body_of(letter * 100) for letter in (b"a", b"b"))
    stage.core.on_primary(Certified((batch_digest(first),)), 0.0)
    stage.out()
    stage.begin()
    effects = stage.out()
    assert effects.primary == [OurBatch(batch_digest(second), 0, second)]  # that is in no block, as far as is known
    assert not effects.send  # who lacks it asks when a header names it
    stage.core.on_primary(Synchronize((), ()), 0.0)
    assert {each.body for each in stage.out().primary} == {first, second}


def test_batches_are_kept_for_some_rounds_of_collection():
    stage = Stage()
    old, new = body_of(b"old"), body_of(b"new")
    stage.say(1, Batch(old))
    stage.core.on_primary(Cleanup(5), 0.0)
    stage.out()
    stage.say(1, Batch(new))
    stage.core.on_primary(Cleanup(10), 0.0)
    stage.out()
    assert len(stage.core.batch_store) == 2
    stage.core.on_primary(Cleanup(11), 0.0)
    assert [record.key for record in stage.out().persist] == [batch_digest(old)]
    assert stage.core.batch_store.body(batch_digest(old)) is None
    assert stage.core.batch_store.body(batch_digest(new)) == new
    assert next(iter(stage.disk.items("batch")))[0] == batch_digest(new)
