"""Crashes, partitions, loss and adversarial delays with up to f liars at the same time: rows A1 to A6 and B1 to B6.

Each row by itself is in test_dagbft_simulate.py; here the verdict also looks at everything that was sent, and faults
come together, in schedules drawn from a seed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from dagbft_rows import ASYNC, PSYNC, Row, earlies

from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.messages import Certificate, Header
from nodes.dagbft.simulate import five_regions
from nodes.dagbft.simulate.validator import PRIMARY


def test_twenty_validators_in_five_regions():  # A1
    row = Row(20, {}, replace(ASYNC, grace_s=0.1), load_hz=10, delay=five_regions).start().go(2.5)
    row.verdict()
    rounds = min(row.primary(number).proposer.round for number in range(20))
    assert row.height() >= rounds / 2 - 4
    assert not any(row.primary(number).rejected for number in range(20))


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_whoever_leads_next_is_gone(config):  # A2: f validators that lead one after another
    row = Row(7, {}, config)
    row.start(1, 2).go(12)
    row.liars = {1: "gone", 2: "gone"}
    row.run.validators[1].start()
    row.run.validators[2].start()
    row.go(4).verdict()
    times = sorted({t_s for t_s, _ in row.run.validators[0].history.events})
    gaps = [after - before for before, after in pairwise(times)]
    assert row.height() > 8
    assert max(gaps) < 8 * config.leader_timeout_s


TABLES = ("vote", "header", "certificate", "commit")


@pytest.mark.parametrize("seed", range(4))
def test_crashes_between_keeping_and_sending(seed):  # A4, A6
    random = Random(seed)
    row = Row(4, {3: "equivocate"} if seed % 2 else {}, seed=seed).start().go(1)
    for _ in range(8):
        victim = row.run.validators[random.choice(row.honest)]
        table, when = random.choice(TABLES), random.choice(["before", "after"])
        victim.crash_point = lambda process, effects, table=table, when=when: (
            when if process == PRIMARY and any(each.table == table for each in effects.persist) else ""
        )
        row.go(0.8)
        if not victim.alive:
            row.run.restart(victim.me)
        victim.crash_point = None
        row.go(0.3)
    row.go(3).verdict()
    assert row.height() > 8


@pytest.mark.parametrize("seed", range(5))
def test_schedules_of_faults_from_a_seed(seed):  # A3 to A6, B1 to B3, B6, C1 to C3 together
    random = Random(f"faults/{seed}")
    n = random.choice([4, 4, 7])
    behaviours = ["equivocate", "double-vote", "twins", "shun", "silent-leader", "withhold-certificates", "slow"]
    liars = {number: random.choice(behaviours) for number in random.sample(range(n), (n - 1) // 3)}
    config = random.choice([ASYNC, PSYNC])
    config = replace(config, rules=replace(config.rules, look_back=random.choice([4, 20])))
    row = Row(n, liars, config, seed=seed).start().go(1)
    row.run.network.jitter = 0.5
    for _ in range(6):
        match random.choice(["crash", "partition", "one-way", "loss", "calm"]):
            case "crash":
                victim = random.choice(row.honest)
                row.run.crash(victim)
                row.go(random.uniform(0.2, 2))
                row.run.restart(victim)
            case "partition":
                side = {number for number in range(n) if random.random() < 0.5}
                row.run.network.cut_where(lambda a, b, side=side: (a in side) != (b in side))
                row.go(random.uniform(0.5, 2))
            case "one-way":
                deaf = random.choice(row.honest)
                row.run.network.cut_where(lambda a, b, deaf=deaf: b == deaf)
                row.go(random.uniform(0.5, 2))
            case "loss":
                row.run.network.loss = random.choice([0.01, 0.05, 0.2])
                row.go(1)
            case _:
                row.go(0.5)
        row.run.network.heal()
        row.run.network.loss = 0.0
    before = row.height()
    row.go(8).verdict()
    assert row.height() > before + 3


def test_isolated_beyond_what_is_kept():  # B2
    config = replace(ASYNC, rules=Rules(look_back=4, keep=24))
    row = Row(4, {}, config).start().go(1)
    row.run.network.cut([(0, 1, 2)])
    row.go(12)
    assert row.primary(0).blocks.floor > row.primary(3).pace.round
    row.run.network.heal()
    row.go(5).verdict()
    assert row.heights()[3] >= row.heights()[0] - 2


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
def test_a_scheduler_that_holds_back_whoever_leads_next(config):  # B5
    row = Row(4, {}, config).start()
    leader = row.primary(0).consensus.rule.leader

    def hold(sender, receiver, message, now_s):
        late = isinstance(message, Header | Certificate) and sender == message.author == leader(message.round)
        return 12.0 if late else 0.0

    row.wire.hook = hold
    row.go(8)
    kinds = {commit.kind for commit in row.run.validators[0].history.commits()[1:]}
    assert kinds == ({"fallback"} if config is ASYNC else set())
    row.wire.hook = None
    row.go(14).verdict()
    assert row.run.validators[0].history.commits()[-1].kind == "steady"
    assert earlies(row) > 10
