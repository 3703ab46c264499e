"""Snapshots: all validators take the same, a ledger that begins with one goes on as if it had executed all, and bytes
that are no snapshot are refused."""

from __future__ import annotations

from random import Random

import pytest
from dagbft_loads import Loads, Mix, Validator
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dagbft_dags import WEATHERS, random_dag, random_view

from nodes.dagbft.consensus.asynchronous import Asynchronous
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.core import ORDERS, PROTOCOLS, Rules
from nodes.dagbft.consensus.run_file import with_modes
from nodes.dagbft.execution.snapshot import Snapshot, snapshot_digest
from nodes.dagbft.execution.state import State
from nodes.dagbft.field_types import DIGEST_BYTES

EVERY = 4  # rounds
MIXES = st.builds(
    Mix,
    beta=st.sampled_from([0.0, 0.3]),
    gamma=st.sampled_from([0.0, 0.2, 0.5]),
    chained=st.sampled_from([0.0, 1.0]),
    keys=st.sampled_from([1, 2, 50]),
)


def play(validator: Validator, view, coin: SeededCoin, late: Random | None = None) -> None:
    """Feed a view; with `late`, now and then batches come later."""
    waiting = []
    for block in view:
        if block.round <= validator.consensus.dag.floor:
            continue
        hold_back = late is not None and late.random() < 0.2
        validator.take(block, batch_later=hold_back)
        if hold_back:
            waiting.append(block)
        if waiting and late is not None and late.random() < 0.3:
            validator.batch(waiting.pop(late.randrange(len(waiting))))
        if isinstance(validator.consensus.rule, Asynchronous) and (found := coin.reveal(block)):
            validator.ledger.on_events(validator.consensus.coin(*found))
    for block in waiting:
        validator.batch(block)
    validator.ledger.on_events(())


@settings(max_examples=20)
@given(st.sampled_from([4, 4, 7]), st.integers(0, 2**32), st.sampled_from(WEATHERS), MIXES,
       st.sampled_from(list(PROTOCOLS)), st.sampled_from(ORDERS), st.sampled_from([2, 6]))  # fmt: skip
def test_all_take_the_same_and_go_on_from_it_alike(n, seed, weather, mix, protocol, order, look_back):
    random, committee = Random(seed), Committee(n)
    rules = Rules(protocol, Hashed(n, seed), order, look_back, keep=10)
    blocks = random_dag(committee, 40, weather, random)
    blocks = with_modes(blocks, committee, rules, SeededCoin(committee, seed))
    loads = Loads(committee, blocks, mix, random)
    loads.repeat(0.1)
    views = [blocks, *(random_view(blocks, n, committee.faults, random) for _ in range(2))]
    bytes_at: dict[int, bytes] = {}
    for view in views:
        validator = Validator.of(committee, rules, loads, snapshot_rounds=EVERY)
        play(validator, view, SeededCoin(committee, seed), random)
        for snapshot in validator.ledger.snapshots:
            data = snapshot.encode()
            assert bytes_at.setdefault(snapshot.commits, data) == data
        for snapshot in validator.ledger.snapshots[1::2]:
            again = Validator.of(committee, rules, loads, snapshot_rounds=EVERY)
            again.ledger.resume(Snapshot.decode(snapshot.encode()))
            again.consensus.resume([], again.consensus.floor_below(snapshot.leader), snapshot.past)
            play(again, view, SeededCoin(committee, seed))
            assert (again.ledger.commits, again.ledger.digest) == (validator.ledger.commits, validator.ledger.digest)
            assert again.ledger.counts.committed == validator.ledger.counts.committed
            assert again.consensus.check.wrong == again.ledger.counts.early_wrong == again.ledger.counts.resets == 0
            for later in again.ledger.snapshots:
                assert later.encode() == bytes_at[later.commits]


U64 = st.integers(0, 2**64 - 1)
ROUNDS = st.integers(1, 2**64 - 1)
AUTHORS = st.integers(0, 1023)
NAMES, GROUPS = st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES), st.binary(min_size=16, max_size=16)


def rising(rows: st.SearchStrategy, keys: int) -> st.SearchStrategy:
    return st.lists(rows, max_size=4, unique_by=lambda row: row[:keys]).map(lambda found: tuple(sorted(found)))


SNAPSHOTS = st.builds(
    Snapshot,
    commits=U64,
    leader=U64,
    digest=NAMES,
    outcomes=U64,
    shards=st.lists(st.tuples(U64, U64, AUTHORS), min_size=4, max_size=7).map(tuple),
    ordered=rising(st.tuples(ROUNDS, AUTHORS), 2),
    batches=rising(st.tuples(AUTHORS, NAMES, ROUNDS, AUTHORS), 2),
    results=rising(st.tuples(NAMES, ROUNDS), 1),
    closed=rising(st.tuples(GROUPS, ROUNDS), 1),
    parts=rising(st.tuples(GROUPS, st.integers(0, 15), ROUNDS), 2),
    waiting=st.just(()),
    state=st.dictionaries(U64, st.integers(1, 2**64 - 1), max_size=5).map(lambda values: State(values).encode()),
)


@given(SNAPSHOTS)
def test_what_is_decoded_is_what_was_encoded(snapshot):
    data = snapshot.encode()
    assert Snapshot.decode(data) == snapshot
    assert Snapshot.decode(data).encode() == data


@given(SNAPSHOTS, st.data())
def test_damaged_bytes_are_refused(snapshot, data):
    """By the digest, always; and if somebody has named their digest, they are a snapshot or a ValueError."""
    good = snapshot.encode()
    damage = data.draw(st.sampled_from(["cut", "more", "other", "noise"]))
    at = data.draw(st.integers(0, len(good) - 1))
    if damage == "cut":
        bad = good[:at]
    elif damage == "more":
        bad = good + data.draw(st.binary(min_size=1, max_size=9))
    elif damage == "other":
        bad = good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :]
    else:
        bad = data.draw(st.binary(max_size=300))
    if bad == good:
        return
    assert snapshot_digest(bad) != snapshot_digest(good)
    if damage in ("cut", "more"):
        with pytest.raises(ValueError, match=r"Snapshot|snapshot"):
            Snapshot.decode(bad)
    else:
        try:
            assert Snapshot.decode(bad).encode() == bad
        except ValueError:
            pass
