"""Payload on the way into a header: asked for when the header is due, small batches inside it, and never twice."""

from dataclasses import replace

import pytest
from dagbft_stage import CONFIG, Stage

from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, summary_of
from nodes.dagbft.field_types import INLINE, batch_digest
from nodes.dagbft.messages import Certified, Synchronize
from nodes.dagbft.messages import Seal as SealOrder
from nodes.dagbft.primary.pace import NEVER
from nodes.dagbft.wire import join_transactions

LONE = replace(CONFIG, header_delay_s=0.0)


def body_of(*keys: int) -> bytes:
    """A batch that writes these keys."""
    return join_transactions(
        encode(Transaction(int(Kind.ALPHA), 0, key >> 48, key.to_bytes(16, "big"), NOTHING, 0, 1, 0,
                           ((int(Code.ADD), key, 0, 1),)))
        for key in keys
    )  # fmt: skip


KEYS = (key_of(1, 7), key_of(1, 9))
BODY = body_of(*KEYS)


def test_a_batch_inside_a_header_is_covered_by_its_id_and_its_summary():
    stage = Stage()
    plain = stage.header(1, 1)
    assert stage.header(1, 1, inline=BODY).id != plain.id
    assert stage.votes(1, stage.header(1, 1, inline=BODY)) == []  # its summary is that of no keys
    assert stage.refused() == {("summary", 1): 1}
    (vote,) = stage.votes(2, stage.header(2, 1, inline=BODY, summary=summary_of(KEYS)))
    assert vote.author == 2
    assert not stage.effects.workers  # there is nothing to fetch


@pytest.mark.parametrize("inline", [bytes(5), b"\0\0\0\2x", BODY[:-1], join_transactions([bytes(1997)])])
def test_what_is_no_batch_or_too_large_is_not_voted_for(inline):
    stage = Stage()
    assert stage.votes(1, stage.header(1, 1, inline=inline)) == []
    assert stage.refused() == {("inline", 1): 1}
    assert stage.votes(1, stage.header(1, 1))  # and stands in nobody's way


def test_named_batches_come_first_and_the_one_inside_last():
    header = Stage().header(1, 1, payload=((bytes(32), 0),), inline=BODY)
    assert header.names == ((bytes(32), 0), (batch_digest(BODY), INLINE))
    assert Stage().header(1, 1).names == ()


def test_workers_are_asked_when_a_header_can_be_made_and_have_a_moment_to_answer():
    stage = Stage(LONE)
    stage.out()
    shard = stage.roster.committee.shard(0, 1)
    assert stage.effects.workers == [(0, Synchronize((), ())), (0, SealOrder(1, shard, 2000))]
    assert stage.core.next_deadline_s() == pytest.approx(0.05)
    assert not stage.effects.made
    stage.core.on_sealed(0, 1, BODY, 0.01)
    stage.out()
    (header,) = stage.effects.made
    assert (header.payload, header.inline, header.summary) == ((), BODY, summary_of(KEYS))
    stage.now_s = 1.0
    stage.play(1, (0, 1, 2, 3))  # all blocks of round 1: nothing else is waited for
    stage.core.tick(1.04)
    assert not stage.core.take().made
    stage.core.tick(1.05)  # a worker that does not answer holds up nothing
    (header,) = stage.core.take().made
    assert (header.round, header.inline) == (2, b"")


class Answered(Stage):
    """A stage whose worker answers at once: with the batches of `given`, by round, or with nothing."""

    def __init__(self) -> None:
        self.given: dict[int, bytes] = {1: BODY}
        self.inline_bytes: dict[int, int] = {}  # that were asked for, by round
        super().__init__(LONE)
        self.out()

    def out(self) -> list:
        sent = super().out()
        for _, order in self.effects.workers:
            if isinstance(order, SealOrder):
                self.inline_bytes[order.round] = order.inline_bytes
                self.core.on_sealed(0, order.round, self.given.pop(order.round, b""), self.now_s)
        return sent

    def made(self):
        """The header that is due now."""
        self.now_s += 5.0
        self.core.tick(self.now_s)
        self.out()
        (header,) = self.effects.made
        return header


def test_a_batch_inside_a_lost_block_goes_into_a_later_header_of_its_shard():
    stage = Answered()
    first = stage.made()
    assert first.inline == BODY
    for round in range(2, 5):
        stage.play(1)  # nobody votes for it
        header = stage.made()
        assert (header.round, header.inline) == (round, b"")
    stage.play(1)
    again = stage.made()
    assert (again.round, again.shard, again.inline) == (5, first.shard, BODY)
    assert stage.inline_bytes == {1: 2000, 2: 2000, 3: 2000, 4: 2000, 5: 0}  # of what else there is, a batch is made
    assert stage.core.counts["reinjected"] == 1


def test_a_batch_inside_is_taken_up_after_a_restart_and_once_only():
    stage = Answered()
    first = stage.made()
    stage.play(1)
    stage.made()
    stage.core = stage.begin(genesis=False)  # two headers on disk: the older one is lost
    stage.out()
    assert stage.core.counts["reinjected"] == 1
    for _ in range(3):
        stage.play(1)
        header = stage.made()
    assert (header.round, header.shard, header.inline) == (5, first.shard, BODY)
    stage.say(0, stage.certificate(header))
    assert stage.core.header_at((5, 0)) == header
    stage.core.payload.ordered(header.names)
    stage.core.on_sealed(0, 9, BODY, stage.now_s)  # handed in again: it is done
    assert not stage.core.payload.inline_waits(first.shard)


def test_the_worker_hears_which_of_its_batches_are_in_a_block():
    stage = Answered()
    stage.made()
    batch = bytes(range(32))
    stage.core.on_batch(batch, 0, frozenset(), True, stage.now_s)
    stage.play(1)
    header = stage.made()
    stage.say(0, stage.certificate(header))
    assert (0, Certified((batch,))) in stage.effects.workers


def test_a_batch_has_a_moment_to_come_by_itself():
    stage = Stage()
    batch = bytes(range(32))
    stage.say(1, stage.header(1, 1, payload=((batch, 0),), summary=summary_of([7])))
    assert not [order for _, order in stage.effects.workers if order == Synchronize((batch,), (1,))]
    stage.core.tick(0.3)
    assert (0, Synchronize((batch,), (1,))) in stage.core.take().workers
    assert stage.core.next_deadline_s() < NEVER
