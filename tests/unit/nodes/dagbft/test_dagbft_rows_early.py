"""Early finality under attack, in committees on the jumping clock: rows E1 to E3 and E8, each with the clause that
protects against it switched off (M1): the verdict must then be red.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_rows import ASYNC, PSYNC, Row, breaches, earlies

from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.consensus.early import Early, EarlyRule
from nodes.dagbft.consensus.ordering import CausalOrder
from nodes.dagbft.messages import Certificate, Header


def shunned(config) -> Row:
    """The next leader, in charge of the same shard, leaves out a block that others reference (fixture A, live)."""
    return Row(4, {3: "shun"}, config).start().go(12)


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_a_leader_that_leaves_out_a_block_of_its_shard(config):  # E1
    row = shunned(config)
    row.verdict()
    assert row.liar(3).lies > 20
    assert earlies(row) > 200
    assert row.height() > 20


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_without_the_leader_check_it_is_red(config, monkeypatch):  # M1: L
    monkeypatch.setattr(EarlyRule, "passes_leader_check", lambda self, round, author, above: True)
    assert any(text.startswith("I6") for text in breaches(shunned(config)))


def surfacing(config) -> Row:
    """An owner whose blocks reach all others too late to be referenced, in three rounds of four, and one of them even
    later; they surface as parents of its next ones (fixture B, live).
    """
    row = Row(4, {}, config)

    def late(sender, receiver, message, now_s):
        if sender != 1 or not isinstance(message, Header | Certificate) or message.round % 4 == 0:
            return 0.0
        return 0.5 if receiver == 0 else 0.2 if isinstance(message, Certificate) else 0.0

    row.wire.hook = late
    return row.start().go(10)


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_blocks_that_surface_leaders_later(config):  # E2
    row = surfacing(config)
    row.verdict()
    assert earlies(row) > 30
    assert row.height() > 10


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_looking_past_holes_is_red(config, monkeypatch):  # M1: C
    honest = EarlyRule.resolved

    def hasty(self, round, author):
        passed = round < max(self._dag.layers, default=0) - 1
        return honest(self, round, author) or (passed and not self._dag.holds(round, author))

    monkeypatch.setattr(EarlyRule, "resolved", hasty)
    assert any(text.startswith("I6") for text in breaches(surfacing(config)))


def test_a_shard_whose_owner_is_gone_comes_back_when_the_floor_passes():  # E3
    config = replace(ASYNC, rules=Rules(look_back=4, keep=30))
    row = Row(4, {2: "silent"}, config).start().go(15)
    row.verdict()
    assert row.height() > 6
    events = [event for _, event in row.run.validators[0].history.events]
    holes = {(round, 2): row.run.roster.committee.shard(2, round) for round in range(1, 400)}
    early = [event for event in events if isinstance(event, Early)]
    assert early
    assert len({event.shard for event in early}) > 1
    leader = 0
    for event in events:  # nothing of a shard is early above a hole that the floor has not passed
        if isinstance(event, Commit):
            leader = event.leader[0]
        else:
            above = [slot for slot, shard in holes.items() if shard == event.shard and slot[0] < event.block[0]]
            assert all(round <= leader - 4 for round, _ in above)
    row.wire.hook = None
    back = Row(4, {}, config).start().go(4)
    back.run.crash(2)
    back.go(4)
    back.run.restart(2)
    start = earlies(back)
    back.go(5).verdict()
    assert earlies(back) - start > 100


def asynchrony(look_back: int = 4) -> tuple[Row, int]:
    """No leader is heard of in time for a long while; how many rounds the longest wait for a commit was, after an
    early answer.
    """
    config = replace(PSYNC, leader_timeout_s=0.2, rules=Rules(protocol="psync", look_back=look_back, keep=60))
    row = Row(4, {}, config)
    row.start()
    leader = row.primary(0).consensus.rule.leader

    def burst(sender, receiver, message, now_s):
        late = isinstance(message, Header | Certificate) and leader(message.round) == message.author == sender
        return 1.0 if late and now_s % 8 > 2 else 0.0

    row.wire.hook = burst
    row.go(20)
    row.wire.hook = None
    row.go(4)
    longest = 0
    early: dict[tuple[int, int], bool] = {}
    for _, event in row.run.validators[0].history.events:
        if isinstance(event, Early):
            early[event.block] = True
        else:
            longest = max([longest, *(event.leader[0] - slot[0] for slot in event.blocks if slot in early)])
    return row, longest


def test_what_was_early_comes_true_after_more_rounds_than_the_look_back():  # E8
    row, longest = asynchrony()
    row.verdict()
    assert longest > 4
    check = row.primary(0).consensus.check
    assert check.ok > 50
    assert check.wrong == 0


def test_with_the_floor_at_the_leader_itself_it_is_red(monkeypatch):  # M1: floor anchor
    monkeypatch.setattr(CausalOrder, "anchor", lambda self, previous, leader: leader)
    row, _ = asynchrony()
    assert any(text.startswith("I6") for text in breaches(row))
