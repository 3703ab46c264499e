"""The worker's core: sealing, acknowledging, fetching, what it keeps and what it refuses."""

from dataclasses import replace

import pytest

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.messages import (
    Batch,
    BatchAck,
    BatchReply,
    BatchRequest,
    Cleanup,
    OthersBatch,
    OurBatch,
    SubmitTx,
    Synchronize,
    Vote,
    batch_digest,
)
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.store import MemoryDisk
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
        self.core.shelf.kept(effects.persist)
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


def test_a_batch_is_sent_again_to_those_that_have_not_acknowledged_it():  # F3
    stage = Stage()
    stage.core.on_transaction(b"a" * 100, 0.0)
    assert [to for to, _ in stage.out().send] == [ALL]
    body = body_of(b"a" * 100)
    stage.core.on_message(2, BatchAck(batch_digest(body)), 0.5)
    assert stage.core.next_deadline_s() == pytest.approx(1.0)
    stage.core.tick(1.0)
    assert stage.out().send == [(1, Batch(body)), (3, Batch(body))]
    stage.core.on_message(1, BatchAck(batch_digest(body)), 1.5)  # a quorum: the third fetches it when it needs it
    assert stage.core.next_deadline_s() == float("inf")


def test_transactions_of_different_homes_are_kept_apart():
    stage = Stage(shard_of=lambda transaction: transaction[0])
    for transaction in (b"\0a", b"\1b", b"\0c"):
        assert stage.core.on_transaction(transaction, 0.0)
    assert not stage.core.on_transaction(b"\7d", 0.0)  # no such shard
    stage.core.tick(0.1)
    assert [message.body for _, message in stage.out().send] == [body_of(b"\0a", b"\0c"), body_of(b"\1b")]
    assert stage.core.counts["transactions malformed"] == 1


def test_the_primary_hears_of_a_batch_when_a_quorum_has_stored_it():
    stage = Stage()
    stage.core.on_transaction(b"a" * 100, 0.0)
    stage.out()
    body = body_of(b"a" * 100)
    ack = BatchAck(batch_digest(body))
    assert not stage.say(1, ack).primary
    assert not stage.say(1, ack).primary  # the same one again does not count
    assert not stage.say(2, BatchAck(bytes(32))).primary
    assert stage.say(2, ack).primary == [OurBatch(ack.digest, 0, body)]
    assert not stage.say(3, ack).primary


def test_where_too_many_batches_are_on_their_way_clients_are_refused():
    stage = Stage()
    taken = [stage.core.on_transaction(b"%d" % number * 100, 0.0) for number in range(5)]
    assert taken == [True, True, False, False, False]
    assert not stage.core.on_transaction(b"", 0.0)
    assert stage.core.counts["transactions refused"] == 3


def test_a_batch_of_another_is_acknowledged_with_the_record_that_keeps_it():
    stage = Stage()
    body = body_of(b"x", b"y")
    effects = stage.say(2, Batch(body))
    assert effects.send == [(2, BatchAck(batch_digest(body)))]
    assert [record.key for record in effects.persist] == [batch_digest(body)]
    assert effects.primary == [OthersBatch(batch_digest(body), 0, body)]
    again = stage.say(3, Batch(body))
    assert again.send == [(3, BatchAck(batch_digest(body)))]
    assert not again.persist
    assert not again.primary


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
    for peer in (1, 2):
        stage.say(peer, BatchAck(batch_digest(first)))
    stage.begin()
    assert stage.out().send == [(ALL, Batch(second))]  # of which no quorum is known to have it
    stage.core.on_primary(Synchronize((), ()), 0.0)
    assert stage.out().primary == [OurBatch(batch_digest(first), 0, first)]


def test_batches_are_kept_for_some_rounds_of_collection():
    stage = Stage()
    old, new = body_of(b"old"), body_of(b"new")
    stage.say(1, Batch(old))
    stage.core.on_primary(Cleanup(5), 0.0)
    stage.out()
    stage.say(1, Batch(new))
    stage.core.on_primary(Cleanup(10), 0.0)
    stage.out()
    assert len(stage.core.shelf) == 2
    stage.core.on_primary(Cleanup(11), 0.0)
    assert [record.key for record in stage.out().persist] == [batch_digest(old)]
    assert stage.core.shelf.body(batch_digest(old)) is None
    assert stage.core.shelf.body(batch_digest(new)) == new
    assert next(iter(stage.disk.items("batch")))[0] == batch_digest(new)
