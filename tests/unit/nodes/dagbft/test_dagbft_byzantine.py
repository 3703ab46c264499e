"""Byzantine validators in committees on the jumping clock: rows C1 to C3, C6, C7, C8, C10 and E4 of the fault table.

Every run must keep invariants I1 to I6 among the honest, and go on; every lie that can be seen is counted by its reason
and its author.
"""

from __future__ import annotations

import pytest
from dagbft_rows import ASYNC, PSYNC, Row, earlies

from nodes.dagbft.byzantine import BEHAVIOURS, turn, turn_worker


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_two_headers_for_two_halves(n, config):  # C1
    liars = dict.fromkeys(range(n - (n - 1) // 3, n), "equivocate")
    row = Row(n, liars, config).start().go(8)
    row.verdict()
    assert all(row.liar(number).lies > 10 for number in liars)
    assert row.height() > 8
    assert all(row.refused("equivocation", number) == len(row.honest) for number in liars)
    assert all(len(row.wire.headers[slot]) == 2 for slot in row.wire.headers if slot[1] in liars and slot[0] > 1)


@pytest.mark.parametrize("n", [4, 7])
def test_twins_with_one_key(n):  # C2
    liars = dict.fromkeys(range(n - (n - 1) // 3, n), "twins")
    row = Row(n, liars).start().go(4)
    halves = [{number for number in range(n) if number % 2 == side or number in liars} for side in (0, 1)]
    row.run.network.cut_where(lambda a, b: not any(a in half and b in half for half in halves))
    row.go(4)
    row.run.network.heal()
    row.go(6)
    row.verdict()
    assert any(len(ids) > 1 for slot, ids in row.wire.headers.items() if slot[1] in liars)
    assert row.height() > 8


def test_double_votes_help_no_second_header():  # C3
    row = Row(7, {5: "equivocate", 6: "double-vote"}).start().go(8)
    row.verdict()
    assert row.liar(6).lies > 50
    assert any(len(ids) > 1 for slot, ids in row.wire.votes.items() if slot[0] == 6)
    assert row.height() > 8


def test_a_batch_that_nobody_has_gets_no_vote():  # C6
    row = Row(4, {3: "withhold-batches"}, load_hz=60).start().go(6)
    row.verdict()
    assert row.liar(3).lies > 10
    carried = [
        name for number in row.honest for certificate in row.primary(number).archive.certificates()
        if certificate.author == 3 for name in certificate.header.payload
    ]  # fmt: skip
    assert not carried
    assert row.height() > 6


def test_a_batch_of_another_worker_gets_no_vote():  # C6
    row = Row(4, {3: "wrong-worker"}, load_hz=60, workers=2).start().go(6)
    row.verdict()
    assert row.liar(3).lies > 10
    assert row.liar(3).certified == 0
    assert row.height() > 6


def test_certificates_that_are_shown_to_one_are_fetched_through_children():  # C7
    row = Row(4, {3: "withhold-certificates"}).start().go(8)
    row.verdict()
    assert row.height() > 15
    assert 3 in row.authors_ordered()
    assert row.liar(3).lies > 10


@pytest.mark.parametrize(("behaviour", "reason"), [("wrong-shard", "shard"), ("wrong-summary", "summary")])
def test_lies_about_shard_and_keys_are_refused_and_counted(behaviour, reason):  # E4
    row = Row(4, {2: behaviour}).start().go(5)
    row.verdict()
    assert row.liar(2).lies > 5
    assert row.liar(2).certified == 0
    assert row.refused(reason, 2) == 3
    assert 2 not in row.authors_ordered()
    assert row.height() > 4


def test_bad_coin_shares_are_dropped_and_the_coin_is_right():  # C10
    row = Row(4, {1: "bad-coin", 2: "honest"}, threshold_coin=True)
    row.start().go(3)
    row.verdict()
    assert row.liar(1).lies > 1
    assert row.refused("coin", 1) == 2
    values = [row.primary(number).consensus.rule._coin for number in (0, 3)]
    common = values[0].keys() & values[1].keys()
    assert len(common) > 2
    assert all(values[0][wave] == values[1][wave] for wave in common)


@pytest.mark.parametrize(
    ("behaviour", "config"), [("silent", ASYNC), ("silent-leader", ASYNC), ("silent-leader", PSYNC)]
)
def test_silent_validators_and_leaders(behaviour, config):
    row = Row(4, {1: behaviour}, config).start().go(12)
    row.verdict()
    assert row.liar(1).lies > 0
    assert row.height() > 4
    assert earlies(row) > 10
    leaders = {commit.leader for commit in row.run.validators[0].history.commits() if commit.kind == "steady"}
    assert not {leader for leader in leaders if leader[1] == 1}


def test_behaviours_are_named():
    row = Row(4).start()
    core, worker = row.primary(0), row.run.validators[0].workers[0]
    for behaviour in BEHAVIOURS:
        assert turn(behaviour, core, lambda: core).me == 0
        assert turn_worker(behaviour, worker, 4).me == 0
    with pytest.raises(ValueError, match="'nice'; expected one of honest, equivocate"):
        turn("nice", core, lambda: core)
    with pytest.raises(ValueError, match="'nice'; expected one of"):
        turn_worker("nice", worker, 4)


def test_floods_leave_memory_flat():  # C8
    row = Row(4, {3: "flood"}, load_hz=10).start().go(2)
    sizes = []
    for _ in range(3):
        row.go(1)
        primaries = [row.primary(number) for number in row.honest]
        workers = [row.run.validators[number].workers[0] for number in row.honest]
        sizes.append(
            max(len(core.voting.suspended) + len(core._certificates) + len(core._batches) + len(core.votes._votes)
                for core in primaries) + max(len(worker._requests) for worker in workers)
        )  # fmt: skip
        assert all(len(core.blocks) < 4 * 60 for core in primaries)
    row.verdict()
    assert max(sizes) < 8 * 1024  # a flood asks for 20 headers of 1024 batches a second
    assert row.height() > 4
    for reason in ("future", "vote", "parked", "lacking", "header"):
        assert row.refused(reason, 3) >= 1, reason


@pytest.mark.parametrize(("behaviour", "fallback"), [("slow-leader", False), ("slow", True)])
def test_a_slow_validator(behaviour, fallback):  # B4: just under the timeout, and over it
    row = Row(4, {2: behaviour})
    row.delay_s = 0.3 if not fallback else 1.5
    row.start().go(15)
    row.verdict()
    assert row.height() > 10
    assert row.liar(2).lies > 0
    ordered = {slot for commit in row.run.validators[0].history.commits() for slot in commit.blocks}
    assert any(author == 2 for _, author in ordered) or fallback


@pytest.mark.parametrize("behaviour", ["hide", "lost-vote", "wiped-twice"])
@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_validators_that_hide_lose_votes_or_forget(behaviour, config):  # F1, F3, F4
    row = Row(4, {3: behaviour}, config).start().go(10)
    row.verdict()
    assert row.liar(3).lies > 50
    assert row.height() > 15
