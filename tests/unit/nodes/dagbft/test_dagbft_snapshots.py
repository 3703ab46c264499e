"""F5: snapshots of ledger and consensus: restarts begin there, the archive is bounded, and whoever was away for longer
than what others keep takes one from them.

Every run ends in `agree`: of each commit number there is one commit, one digest of the ledger and one snapshot, no
early result was wrong, and no transaction was executed twice.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from dagbft_trade import CONFIGS, EVERY, KEEP, Trade

from emulator.model.errors import DataError
from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.byzantine.snapshots import SnapshotForger
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.snapshot import Snapshot, snapshot_digest
from nodes.dagbft.execution.state import State
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, result_hash
from nodes.dagbft.field_types import MOST_PART_BYTES, Cause, batch_digest
from nodes.dagbft.primary.records import Archive
from nodes.dagbft.primary.snapshots import Snapshots
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.wire import encode as encode_message
from nodes.dagbft.wire import join_transactions


@pytest.mark.parametrize("config", CONFIGS)
def test_snapshots_are_equal_and_the_archive_is_bounded(config):
    trade = Trade(CONFIGS[config]).load()
    trade.run.start()
    sizes = []
    while trade.primary(0).pace.round < 11 * EVERY:
        trade.go(1)
        sizes.append(
            [len(trade.disk(0).get(name, ())) for name in ("certificate", "digest", "commit", "snapshot", "vote")]
        )
    trade.agree()
    held = 4 * (4 * EVERY + KEEP + 20)
    assert all(certificates == digests <= held for certificates, digests, *_ in sizes)
    assert all(commits <= 4 * EVERY and snapshots <= 2 for _, _, commits, snapshots, _ in sizes)
    assert max(votes for *_, votes in sizes) <= 4 * (KEEP + 30)
    assert trade.primary(0).archive.begin().commits > 3 * EVERY
    assert len(list(trade.run.validators[0].archive.commits())) > 4 * EVERY
    worker = trade.run.validators[0].workers[0]
    assert len(worker.batch_store) < trade.count / 2
    for validator in trade.run.validators:
        assert validator.ledger.counts.early_ok > 100


def test_a_restart_executes_what_came_after_the_snapshot_and_nothing_twice():
    trade = Trade().load()
    trade.run.start()
    trade.go(12)
    for number in (0, 1, 2, 3, 0):
        validator = trade.run.validators[number]
        executed, found = validator.ledger.commits, validator.primary.consensus.commits
        trade.run.crash(number)
        trade.run.restart(number)
        newest = validator.primary.snapshots.offers[-1].commits
        assert EVERY < newest <= validator.ledger.commits
        assert executed - newest < EVERY
        trade.go(0.001)
        assert validator.ledger.commits >= executed  # its own worker had all batches
        assert validator.primary.consensus.commits >= found
        trade.go(2)
    trade.agree()
    assert max(trade.commits()) - min(trade.commits()) < 4


def crash_at(trade: Trade, number: int, transaction: int, when: str) -> list[bool]:
    """Have a validator crash at the n-th transaction of its primary; for each so far, whether it held a snapshot."""
    held: list[bool] = []

    def point(process: int, effects: Any) -> str:
        if process != PRIMARY or not effects.persist:
            return ""
        held.append(any(record.table == "snapshot" and record.value for record in effects.persist))
        return when if len(held) == transaction else ""

    trade.run.validators[number].crash_point = point
    return held


@cache
def around(count: int) -> int:
    """The number of the transaction that holds snapshot `count` (from 0) of validator 2."""
    trade = Trade().load()
    trade.run.start()
    held = crash_at(trade, 2, 0, "")
    while sum(held) <= count:
        trade.go(0.5)
    return [number for number, has in enumerate(held, 1) if has][count]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("count", [0, 2, 3])
def test_restarts_at_every_record_around_a_snapshot(count, when):
    middle = around(count)
    for transaction in range(middle - 3, middle + 4):
        trade = Trade().load()
        trade.run.start()
        crash_at(trade, 2, transaction, when)
        while trade.run.validators[2].alive:
            trade.go(0.1)
        trade.run.restart(2)
        trade.go(3)
        trade.agree()
        assert max(trade.commits()) - min(trade.commits()) < 4


def damage(trade: Trade, number: int, which: int) -> None:
    """Change a byte of a snapshot."""
    pieces = trade.disk(number)["piece"]
    commits = trade.primary(number).snapshots.offers[which].commits
    key = commits.to_bytes(8, "big") + bytes(4)
    pieces[key] = bytes([pieces[key][0] ^ 1]) + pieces[key][1:]


def test_where_the_newest_snapshot_is_damaged_the_older_one_is_used():
    trade = Trade().load()
    trade.run.start()
    trade.go(10)
    trade.run.crash(1)
    damage(trade, 1, -1)
    trade.run.restart(1)
    (told,) = trade.primary(1).snapshots.damaged
    assert "digest" in told
    trade.go(3)
    trade.agree()
    assert max(trade.commits()) - min(trade.commits()) < 4


def test_where_no_snapshot_is_sound_the_store_is_refused():
    trade = Trade().load()
    trade.run.start()
    trade.go(10)
    trade.run.crash(1)
    damage(trade, 1, -1)
    damage(trade, 1, -2)
    with pytest.raises(DataError, match=r"no snapshot to begin with.*Restore the store from a copy"):
        trade.run.restart(1)


def test_a_commit_that_is_missing_after_the_snapshot_is_refused():
    trade = Trade().load()
    trade.run.start()
    trade.go(10)
    while trade.primary(1).consensus.commits < trade.primary(1).snapshots.offers[-1].commits + 4:
        trade.go(0.02)
    trade.run.crash(1)
    newest = trade.primary(1).snapshots.offers[-1].commits
    del trade.disk(1)["commit"][(newest + 1).to_bytes(8, "big")]
    with pytest.raises(DataError, match=f"lacks commit {newest + 1}"):
        trade.run.restart(1)


def away(trade: Trade, number: int, *, wipe: bool) -> int:
    """A validator is away until others have deleted its past; the rounds then."""
    trade.run.start()
    trade.go(4)
    mine = trade.commits()[number]
    trade.lost = number
    if wipe:
        trade.run.crash(number, wipe=True)
    others = [each for each in range(4) if each != number]
    while min(trade.primary(each).archive.begin().commits for each in others) <= mine:
        trade.go(1)
    round = trade.primary(others[0]).pace.round
    trade.lost = -1
    if wipe:
        trade.run.restart(number)
    return round


@pytest.mark.parametrize("wipe", [True, False], ids=["wiped", "cut off"])
@pytest.mark.parametrize("config", CONFIGS)
def test_whoever_was_away_for_longer_than_what_is_kept_comes_back(config, wipe):
    trade = Trade(CONFIGS[config]).load()
    round = away(trade, 2, wipe=wipe)
    before = len(trade.told)
    trade.go(6)
    trade.agree()
    late = trade.run.validators[2]
    assert late.primary.archive.begin().commits > 0
    assert not wipe or min(commit.number for commit in late.archive.commits()) > 0  # the log begins there
    assert max(trade.commits()) - min(trade.commits()) < 4
    assert late.primary.proposer.round >= trade.primary(0).proposer.round - 3
    own = [reply for number, reply in trade.told[before:] if number == 2]
    assert {int(reply.cause) for reply in own} == {int(Cause.EARLY), int(Cause.COMMITTED)}
    assert not wipe or min(reply.round for reply in own) > round  # nothing early is told of before
    assert late.ledger.counts.early_ok > 10
    for _ in range(2):  # and it begins again from what it has adopted, or taken since
        trade.run.crash(2)
        trade.run.restart(2)
        trade.go(3)
    trade.agree()
    assert max(trade.commits()) - min(trade.commits()) < 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_while_a_snapshot_is_adopted(when):
    trade = Trade().load()
    away(trade, 2, wipe=True)
    trade.run.validators[2].crash_point = lambda process, effects: when if effects.again else ""
    while trade.run.validators[2].alive:
        trade.go(0.1)
    trade.run.restart(2)
    assert bool(trade.primary(2).snapshots.offers) == (when == "after")
    trade.go(6)
    trade.agree()
    assert max(trade.commits()) - min(trade.commits()) < 4


def test_whoever_has_a_snapshot_and_no_blocks_above_its_floor_proposes_nothing():
    trade = Trade().load()
    away(trade, 2, wipe=False)
    late = trade.run.validators[2]
    late.crash_point = lambda process, effects: "after" if effects.again else ""
    while late.alive:
        trade.go(0.1)
    trade.lost = 2
    made = dict(late.history.made)
    disk = trade.disk(2)
    disk["certificate"].clear()  # nor any that it had before
    disk["digest"].clear()
    trade.run.restart(2)
    trade.go(3)
    assert late.primary.pace.round == late.primary.blocks.floor > 0
    assert late.history.made == made
    trade.lost = -1
    trade.go(6)
    trade.agree()
    assert len(late.history.made) > len(made)


def test_a_liar_that_serves_false_snapshots_costs_a_retry_and_is_counted():
    trade = Trade(make={3: SnapshotForger}).load()  # whom 2 asks first
    away(trade, 2, wipe=True)
    trade.go(8)
    trade.agree(3)
    assert max(trade.commits()[:3]) - min(trade.commits()[:3]) < 4
    assert trade.primary(3).lies > 0
    assert trade.primary(2).rejected["snapshot", 3] > 0
    assert not [peer for reason, peer in trade.primary(2).rejected if reason == "snapshot" and peer != 3]


def test_a_dependency_on_a_result_from_before_the_snapshot_is_met():
    """And one on a result that nobody has put out is not."""

    def chained(number: int, expected: bytes) -> Transaction:
        operations = ((int(Code.ADD), key_of(0, 1), 0, 5),)
        return Transaction(Kind.ALPHA, 1, 0, number.to_bytes(16, "big"), expected, 0, 1, 0, operations)

    def play(ledger: Ledger, number: int, slot: tuple[int, int], transaction: Transaction) -> None:
        body = join_transactions((encode(transaction),))
        ledger.on_batch(batch_digest(body), body)
        ledger.on_block(Block(*slot, 0), (batch_digest(body),))
        ledger.on_events((Commit(number, slot, "steady", (slot,)),))

    first = chained(1, NOTHING)
    ledger = Ledger(Committee(4), 0, snapshot_rounds=4)
    play(ledger, 0, (5, 0), first)
    (snapshot,) = ledger.snapshots
    again = Ledger(Committee(4), 0, snapshot_rounds=4)
    again.resume(snapshot)
    for each in (ledger, again):
        play(each, 1, (6, 3), chained(2, result_hash(first.id, (5,))))
        play(each, 2, (7, 2), chained(3, bytes(31) + b"x"))
        assert each.state[key_of(0, 1)] == 10
    assert again.digest == ledger.digest


def test_a_large_snapshot_comes_in_parts():
    """Of 100,000 keys: two parts, each of which fits into a message."""
    ledger = Ledger(Committee(4), 0)
    ledger.state.update({key_of(number % 4, number): number + 1 for number in range(100_000)})
    disk = MemoryDisk()
    snapshots = Snapshots(Archive(disk), lambda round: 0)
    disk.apply(snapshots.keep(ledger._snapshot()))
    (offer,) = snapshots.offers
    parts = [snapshots.part(offer.commits, number) for number in range(offer.parts)]
    assert len(parts) == 2
    assert all(len(encode_message(part)) <= MOST_PART_BYTES + 100 for part in parts)
    assert snapshot_digest(b"".join(part.body for part in parts)) == offer.digest
    assert snapshots.part(offer.commits, 2) is None
    assert snapshots.part(offer.commits + 1, 0) is None
    newest = Snapshots(Archive(disk), lambda round: 0).newest()
    assert newest is not None
    assert len(State.decode(newest.state)) == 100_000


def test_a_snapshot_says_what_the_ledger_has():
    trade = Trade().load()
    trade.run.start()
    trade.go(8)
    validator = trade.run.validators[0]
    kept = list(validator.primary.archive.snapshots())[-1]
    data = b"".join(validator.primary.archive.part(kept.commits, part) for part in range(kept.parts))
    snapshot = Snapshot.decode(data)
    assert (snapshot.commits, snapshot.leader, len(data)) == (kept.commits, kept.leader, kept.size)
    assert snapshot.digest == validator.history.digests[kept.commits]
    assert snapshot.outcomes > 50
