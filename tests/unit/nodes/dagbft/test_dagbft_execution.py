"""Transactions, state, locks and the ledger, piece by piece."""

from __future__ import annotations

from random import Random

import pytest
from dagbft_script import ADD, FULL, GET, PUT, SWAP, TRANSFER, Script, alpha, beta, gamma, new_id

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.executor import CYCLE, EXPIRED, LATE, REPEATED, UNMET
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.overlay import Overlay
from nodes.dagbft.execution.state import Layer, State, apply
from nodes.dagbft.execution.transactions import (
    decode,
    encode,
    home_shard,
    is_sound,
    key_of,
    prepare,
    result_hash,
    summary_of,
    write_keys,
)
from nodes.dagbft.field_types import Cause, batch_digest
from nodes.dagbft.wire import join_transactions


def test_operations_do_what_they_say_and_put_out_what_they_found():
    state = State()
    operations = (
        (PUT, 1, 0, 10),
        (ADD, 1, 0, 5),
        (SWAP, 1, 15, 7),
        (SWAP, 1, 15, 8),
        (TRANSFER, 1, 2, 3),
        (GET, 2, 0, 0),
    )
    assert apply(operations, state) == (10, 15, 1, 0, 1, 3)
    assert state == {1: 4, 2: 3}
    assert apply(((TRANSFER, 1, 2, 5), (GET, 9, 0, 0)), state) == (0, 0)
    assert apply(((ADD, 1, 0, 2**64 - 1),), state) == (3,)
    assert 9 not in state
    layer = Layer(state)
    apply(((ADD, 1, 0, 1),), layer)
    assert (layer[1], layer[2], state[1]) == (4, 3, 3)


def test_state_has_one_encoding():
    state = State({5: 1, 3: 2, 4: 0})
    assert State.decode(state.encode()) == {3: 2, 5: 1}
    assert state.digest() == State({3: 2, 5: 1}).digest() != State().digest()
    for bad in (b"x", State({5: 1}).encode() + State({3: 2}).encode(), bytes(16)):
        with pytest.raises(ValueError, match="expected"):
            State.decode(bad)


def test_transactions_are_read_as_they_were_written():
    whole = beta(3, (GET, key_of(1, 7), 0, 0), (ADD, key_of(3, 8), 0, 2**64 - 1), chained=1)._replace(padding=b"zz")
    assert decode(encode(whole)) == whole
    assert home_shard(encode(whole)) == 3
    assert home_shard(b"abc") == -1
    with pytest.raises(ValueError, match="expected"):
        decode(encode(whole)[:80])
    with pytest.raises(ValueError, match="expected at least"):
        decode(b"")
    with pytest.raises(ValueError, match="within"):
        encode(whole._replace(shard=1 << 16))
    with pytest.raises(ValueError, match="operations; expected"):
        encode(whole._replace(operations=whole.operations * 40))


def test_what_a_kind_may_not_do_is_void():
    home, foreign = (ADD, key_of(1, 1), 0, 1), (ADD, key_of(2, 1), 0, 1)
    assert is_sound(alpha(1, home))
    assert not is_sound(alpha(1, home, foreign))
    assert not is_sound(alpha(1))
    assert not is_sound(alpha(1, (9, key_of(1, 1), 0, 0)))
    assert not is_sound(beta(1, home, foreign))
    assert is_sound(beta(1, home, (GET, key_of(2, 1), 0, 0)))
    assert not is_sound(beta(1, (TRANSFER, key_of(1, 1), key_of(2, 1), 1)))
    parts = gamma(5, home, foreign)
    assert all(map(is_sound, parts.values()))
    assert not is_sound(parts[1]._replace(part=1))
    assert not is_sound(parts[1]._replace(parts=3))
    assert parts[1].group == parts[2].group != gamma(6, home, foreign)[1].group


def test_batches_are_made_ready_whatever_is_in_them():
    good, foreign = alpha(1, (ADD, key_of(1, 1), 0, 1)), alpha(1, (PUT, key_of(2, 9), 0, 1))
    body = join_transactions([encode(good), encode(foreign), b"?", encode(good)[:70], encode(good) + b"pad"])
    ready = prepare(body)
    assert [bool(operations) for _, operations, _ in ready.rows] == [True, False, False, False, True]
    assert (ready.shard, ready.written, ready.plain) == (1, {key_of(1, 1)}, True)
    assert write_keys(body) == {key_of(1, 1)}
    assert prepare(b"no batch").rows == []
    assert summary_of([3, 1, 3]) == summary_of([1, 3]) != summary_of([1])


def test_an_early_result_is_told_and_then_confirmed():
    script = Script()
    mine = alpha(0, (ADD, key_of(0, 1), 0, 5))
    block = script.block(1, 0, mine)
    (reply,) = script.early(block, 0)
    assert (reply.cause, reply.results) == (Cause.EARLY, ((mine.id, result_hash(mine.id, (5,))),))
    assert script.ledger.state == {}
    (again,) = script.commit(block)
    assert (again.cause, again.results) == (Cause.COMMITTED, reply.results)
    assert script.ledger.state == {key_of(0, 1): 5}
    assert (script.ledger.counts.early_ok, script.ledger.counts.early_wrong, script.ledger.early_open) == (1, 0, 0)


def test_a_wrong_early_event_is_found_out():
    """The rule of the prototype, fixture A: a block is called final though one below it is still to come."""
    script = Script()
    hole = script.block(1, 0, alpha(0, (ADD, key_of(0, 1), 0, 1)))
    block = script.block(2, 0, alpha(0, (ADD, key_of(0, 1), 0, 2)), alpha(0, (ADD, key_of(0, 2), 0, 2)))
    script.early(block, 0)
    script.commit(hole, block)
    counts = script.ledger.counts
    assert (counts.early, counts.early_ok, counts.early_wrong, counts.resets) == (2, 0, 2, 1)
    assert script.ledger.state == {key_of(0, 1): 3, key_of(0, 2): 2}


def test_an_early_block_that_is_never_ordered_is_counted():
    script = Script(look_back=2)
    lost = script.block(1, 0, alpha(0, (ADD, key_of(0, 1), 0, 1)))
    script.early(lost, 0)
    script.commit(script.block(9, 1))
    assert script.ledger.counts.early_unmatched == 1


def test_an_early_event_that_does_not_follow_is_left_to_commit():
    script = Script()
    first, second = script.block(1, 0), script.block(2, 0, alpha(0, (ADD, key_of(0, 1), 0, 1)))
    assert script.early(second, 1, after=first) == []
    assert script.ledger.counts.early_skipped == 1
    script.commit(first, second)
    assert script.ledger.state == {key_of(0, 1): 1}


def test_a_block_of_another_shard_does_nothing_for_a_transaction():
    script = Script()
    block = script.block(1, 0, alpha(1, (ADD, key_of(1, 1), 0, 1)), alpha(0, (ADD, key_of(0, 1), 0, 1)))
    script.commit(block)
    assert script.ledger.state == {key_of(0, 1): 1}
    assert script.results(block) == [(), (1,)]


def test_a_batch_that_is_carried_twice_runs_once():
    script = Script()
    mine = alpha(0, (ADD, key_of(0, 1), 0, 1))
    first, again = script.block(1, 0, mine), script.block(2, 0, mine)
    script.early(first, 0)
    script.early(again, 1, after=first)
    script.commit(first, again)
    assert script.ledger.state == {key_of(0, 1): 1}
    assert script.results(again) == [REPEATED]
    assert script.ledger.counts.early_ok == 2


def test_a_gamma_transaction_runs_when_its_last_part_is_there_and_delays_what_touches_its_keys():
    script = Script()
    parts = gamma(9, (ADD, key_of(0, 1), 0, 5), (ADD, key_of(1, 1), 0, 7))
    one = script.block(1, 0, parts[0], alpha(0, (ADD, key_of(0, 1), 0, 100), (ADD, key_of(0, 2), 0, 1)))
    behind = script.block(2, 0, alpha(0, (GET, key_of(0, 2), 0, 0)), alpha(0, (ADD, key_of(0, 3), 0, 1)))
    script.commit(one, behind)
    assert script.results(one, behind) == [None, None, None, (1,)]
    assert script.ledger.state == {key_of(0, 3): 1}
    other = script.block(3, 1, parts[1])
    script.commit(other)
    assert script.results(one, behind, other) == [(5, 7), (105, 1), (1,), (1,), (5, 7)]


def test_a_gamma_transaction_is_early_when_all_its_parts_are():
    script = Script()
    parts = gamma(9, (ADD, key_of(0, 1), 0, 5), (ADD, key_of(1, 1), 0, 7))
    one = script.block(1, 0, parts[0], alpha(0, (ADD, key_of(0, 1), 0, 100)))
    other = script.block(1, 1, parts[1])
    assert script.early(one, 0) == []
    (reply,) = script.early(other, 0)
    assert [hash for _, hash in reply.results] == [
        result_hash(parts[0].id, (5, 7)), result_hash(reply.results[1][0], (105,))
    ]  # fmt: skip
    script.commit(one)
    script.commit(other)
    assert (script.ledger.counts.early_ok, script.ledger.counts.early_wrong) == (3, 0)


def test_of_a_cycle_the_largest_is_given_up():
    script = Script()
    both = (ADD, key_of(0, 1), 0, 1), (ADD, key_of(1, 1), 0, 1)
    these, those = gamma(9, *both), gamma(9, *both)
    victim = max((these, those), key=lambda parts: parts[0].group)
    blocks = [script.block(1, 0, these[0], those[0]), script.block(1, 1, those[1], these[1])]
    script.commit(*blocks)
    outcomes = script.results(*blocks)
    assert sorted(map(str, outcomes)) == ["(1, 1)", "(1, 1)", CYCLE, CYCLE]
    assert outcomes[0 if victim is these else 1] == CYCLE


def test_a_gamma_transaction_without_all_its_parts_expires():
    script = Script(look_back=2)
    parts = gamma(3, (ADD, key_of(0, 1), 0, 5), (ADD, key_of(1, 1), 0, 7))
    one = script.block(1, 0, parts[0], alpha(0, (ADD, key_of(0, 1), 0, 1)))
    script.commit(one)
    late = script.block(4, 1, parts[1])
    script.commit(late)
    assert script.results(late) == [LATE]
    held = script.ledger._blocks[one.slot].final
    assert held == [None, None]
    script.commit(script.block(5, 2))
    assert held == [EXPIRED, (1,)]


def test_a_dependency_must_be_met_at_its_place():
    script = Script()
    first = alpha(0, (ADD, key_of(0, 1), 0, 5), chained=1)
    right = alpha(1, (ADD, key_of(1, 1), 0, 1), chained=1, expected=result_hash(first.id, (5,)))
    wrong = alpha(1, (ADD, key_of(1, 2), 0, 1), chained=1, expected=result_hash(first.id, (6,)))
    one, two = script.block(1, 0, first), script.block(2, 1, right, wrong)
    script.commit(one, two)
    assert script.results(one, two) == [(5,), (1,), UNMET]
    far = script.block(60, 1, right._replace(id=new_id()))
    script.commit(far)
    assert script.results(far) == [UNMET]


def test_commits_wait_for_batches():
    script = Script()
    mine = alpha(0, (ADD, key_of(0, 1), 0, 5))
    body = join_transactions([encode(mine)])
    block = Block(1, 0, 0)
    script.ledger.on_block(block, [batch_digest(body)])
    assert script.commit(block) == []
    assert script.ledger.missing() == [batch_digest(body)]
    (reply,) = script.ledger.on_batch(batch_digest(body), body)
    assert reply.cause == Cause.COMMITTED
    assert script.ledger.missing() == []


def test_speculation_looks_at_what_is_in_between():
    script = Script()
    script.block(1, 1, alpha(1, (ADD, key_of(1, 1), 0, 3)))
    mine = alpha(1, (ADD, key_of(1, 1), 0, 5), chained=1)
    body = join_transactions([encode(mine)])
    script.ledger.on_batch(batch_digest(body), body)
    (reply,) = script.ledger.on_header(Block(2, 0, FULL), [batch_digest(body)])
    assert reply.results == ((mine.id, result_hash(mine.id, (8,))),)
    assert script.ledger.state == {}
    (nothing,) = script.ledger.on_header(Block(3, 0, FULL), [])
    assert (nothing.round, nothing.results) == (3, ())


def test_any_bytes_can_be_committed():
    random, script = Random(1), Script()
    for round in range(1, 30):
        body = random.randbytes(random.randrange(200))
        if round % 2:
            body = join_transactions([random.randbytes(random.randint(1, 200)) for _ in range(3)])
        block = Block(round, round % 4, FULL if round > 1 else 0)
        script.ledger.on_batch(batch_digest(body), body)
        script.ledger.on_block(block, [batch_digest(body)])
        script.commit(block)
    assert script.ledger.commits == 29


class Said:
    """Foreign reads that are always final, and pasts that hold everything."""

    def may_read(self, block, shard, keys, written):
        return True

    def reaches(self, slot, round, author):
        return True


def test_what_stands_behind_a_gamma_transaction_that_has_run_only_early_keeps_its_effect():
    """F2: a dependency is not met behind a gamma that the overlay has run and the committed state has not."""
    script = Script()
    k0, k1 = key_of(0, 0), key_of(1, 0)
    parts = gamma(9, (PUT, k0, 0, 2), (PUT, k1, 0, 1))
    first, other = script.block(1, 0, parts[0]), script.block(2, 1, parts[1])
    unmet = alpha(0, (PUT, k0, 0, 9), chained=1, expected=bytes(31) + b"x")
    reader = alpha(0, (GET, k0, 0, 0))
    block = script.block(2, 0, unmet, reader)
    replies = script.early(first, 0) + script.early(other, 0) + script.early(block, 1, after=first)
    replies += script.commit(first, block)
    told = {id: hash for reply in replies for id, hash in reply.results if reply.cause == Cause.EARLY}
    assert told.get(reader.id, result_hash(reader.id, (2,))) == result_hash(reader.id, (2,))
    script.commit(other)
    assert script.results(block) == [UNMET, (2,)]
    assert script.ledger.counts.early_wrong == 0


@pytest.mark.parametrize("switched_off", ["", "note", "_is_unstable"])
def test_nobody_reads_from_afar_what_a_gamma_transaction_may_write_at_a_time_not_known(monkeypatch, switched_off):
    """Without either method the same schedule is wrong."""
    if switched_off:
        monkeypatch.setattr(Overlay, switched_off, lambda self, *given: False)
    script = Script()
    script.ledger = Ledger(Committee(4), 0, 50, Said(), Said())
    k0, m0, k1 = key_of(0, 0), key_of(0, 1), key_of(1, 0)
    parts = gamma(9, (PUT, k0, 0, 2), (PUT, k1, 0, 1))
    first, other = script.block(1, 0, parts[0]), script.block(4, 1, parts[1])
    second = script.block(2, 0, alpha(0, (ADD, k0, 0, 1), (ADD, m0, 0, 1)))
    reader = script.block(4, 2, beta(2, (GET, m0, 0, 0), (ADD, key_of(2, 0), 0, 1)))
    script.early(first, 0)
    script.early(other, 0)
    script.early(second, 1, after=first)
    script.early(reader, 0)
    script.commit(first, second, reader)
    script.commit(other)
    assert script.ledger.counts.early_wrong == (1 if switched_off else 0)


def test_early_answers_can_be_stopped_and_commits_go_on():
    script = Script()
    script.ledger.stop_early_answers()
    block = script.block(1, 0, alpha(0, (ADD, key_of(0, 1), 0, 5)))
    assert script.early(block, 0) == []
    (reply,) = script.commit(block)
    assert reply.cause == Cause.COMMITTED
    assert script.ledger.counts.early_ok == 1  # compared for ever, told no more


@pytest.mark.parametrize("looks", [True, False])
def test_nothing_is_asked_of_a_consensus_that_is_ahead(looks):
    """F6: consensus has told of a commit that the ledger has not heard of. Without the look it is wrong (M1)."""
    told = 2
    script = Script()
    script.ledger = Ledger(Committee(4), 0, 50, Said(), Said(), (lambda: told) if looks else None)
    reader = script.block(4, 1, beta(1, (GET, key_of(0, 0), 0, 0)))
    other = script.block(2, 0, alpha(0, (PUT, key_of(0, 0), 0, 7)))
    script.early(reader, 0)
    script.commit(other)
    told = 3
    script.commit(reader)
    assert script.ledger.counts.early == 1
    assert script.ledger.counts.early_wrong == (0 if looks else 1)


def test_a_block_that_does_nothing_hides_no_value_that_is_written_before_it_later():
    """A gamma part that is carried again, while the first waits: the value of before was read from afar as the last."""
    script = Script()
    script.ledger = Ledger(Committee(4), 0, 50, Said(), Said())
    k0, k1 = key_of(0, 0), key_of(1, 0)
    parts = gamma(9, (ADD, k0, 0, 3), (PUT, k1, 0, 1))
    first = script.block(1, 0, alpha(0, (PUT, k0, 0, 1)))
    second, again = script.block(2, 0, parts[0]), script.block(3, 0, parts[0])
    other = script.block(3, 1, parts[1])
    for position, (block, after) in enumerate([(first, None), (second, first), (again, second)]):
        script.early(block, position, after)
    script.early(other, 0)
    script.commit(first, second, other)
    reader = script.block(5, 2, beta(2, (GET, k0, 0, 0), (ADD, key_of(2, 0), 0, 1)))
    script.early(reader, 0)
    script.commit(again, reader)
    assert script.results(again, reader) == [REPEATED, (4, 1)]
    assert script.ledger.counts.early_ok > 3
    assert script.ledger.counts.early_wrong == 0


def test_what_is_before_in_a_shard_is_told_by_its_order_and_not_by_rounds():
    """F2 again, where a leader was ordered before a lower block of its shard, which it does not reference."""
    script = Script()
    k0, k1 = key_of(0, 0), key_of(1, 0)
    parts = gamma(9, (PUT, k0, 0, 5), (PUT, k1, 0, 1))
    leader, other = script.block(3, 0, parts[0]), script.block(4, 1, parts[1])
    unmet = alpha(0, (PUT, k0, 0, 9), chained=1, expected=bytes(31) + b"x")
    reader = alpha(0, (GET, k0, 0, 0))
    passed_over = script.block(2, 0, unmet, reader)
    script.commit(leader)
    script.early(other, 0)
    script.early(passed_over, 1, after=leader)
    script.commit(passed_over)
    script.commit(other)
    assert script.results(passed_over) == [UNMET, (5,)]
    assert script.ledger.counts.early > 1
    assert script.ledger.counts.early_wrong == 0
