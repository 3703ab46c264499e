"""Committees on the simulated network: rows A1 to A6 and B1 to B6 of the fault table of the specification (section 9).

Every run ends in `agree`: commits of any two validators begin each other, nobody made two headers for a round, no
commit number came twice, no early place was wrong, and the pure function on the recorded DAG gives the same log.
"""

from itertools import pairwise

import pytest

from emulator.sdk.store import Store
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.consensus.run_file import commit_log, feed
from nodes.dagbft.messages import Certificate, Header, Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.records import TABLES as PRIMARY_TABLES
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.worker.batch_store import TABLES as WORKER_TABLES

QUICK = PrimaryConfig(leader_timeout_s=0.5, rules=Rules(look_back=20, keep=30))
PSYNC = PrimaryConfig(leader_timeout_s=0.5, rules=Rules(protocol="psync", look_back=20, keep=30))


def simulation(n: int = 4, config: PrimaryConfig = QUICK, **settings) -> Simulation:
    made = Simulation(Settings(n=n, seed=5, primary=config, **settings))
    made.load(20)
    return made


def heights(run: Simulation) -> list[int]:
    return [len(validator.history.commits()) for validator in run.validators]


def agree(run: Simulation, wiped: tuple[int, ...] = ()) -> None:
    logs = [run.log(number) for number in range(run.settings.n) if number not in wiped]
    longest = max(logs, key=len)
    assert all(longest.startswith(log) for log in logs)
    for validator in run.validators:
        assert not validator.history.again
        assert validator.primary.consensus.check.wrong == 0
        if validator.me not in wiped:
            numbers = [commit.number for commit in validator.history.commits()]
            assert all(before < after for before, after in pairwise(numbers))
    rules, committee = run.settings.primary.rules, run.roster.committee
    _, events = feed(run.blocks(), committee, rules, SeededCoin(committee, run.settings.seed))
    assert commit_log(events).startswith(longest)


def early_share(run: Simulation) -> float:
    """Of the blocks that were ordered, the part that was final before, at their authors."""
    early = ordered = 0
    for validator in run.validators:
        times = validator.history.commit_times()
        found = {event.block: t_s for t_s, event in validator.history.events if not isinstance(event, Commit)}
        mine = [slot for slot in times if slot[1] == validator.me]
        ordered += len(mine)
        early += sum(slot in found and found[slot] < times[slot] for slot in mine)
    return early / ordered


@pytest.mark.parametrize("n", [4, 7, 10])
@pytest.mark.parametrize("config", [QUICK, PSYNC])
def test_without_faults_a_leader_commits_every_second_round(n, config):  # A1
    run = simulation(n, config).start().run(10)
    agree(run)
    rounds = min(validator.primary.proposer.round for validator in run.validators)
    assert rounds > 20
    assert min(heights(run)) >= rounds / 2 - 4
    assert early_share(run) > (0.8 if config is PSYNC else 0.95)  # psync commits after three rounds, not four
    executed = [[event for _, event in validator.history.executed] for validator in run.validators]
    assert all(
        any(isinstance(event, Commit) and event.number == min(heights(run)) - 3 for event in each) for each in executed
    )
    assert all(not validator.primary.rejected for validator in run.validators)


def test_signatures_and_the_threshold_coin_change_nothing_but_the_cost():
    run = simulation(4, signatures=True).start().run(3)
    agree(run)
    assert min(heights(run)) >= 2
    real = simulation(4, threshold_coin=True).start().run(3)
    assert len({real.log(number)[:100] for number in range(4)}) == 1


def test_the_same_seed_gives_the_same_run():
    first, second = (simulation().start().run(4) for _ in range(2))
    assert [v.history.events for v in first.validators] == [v.history.events for v in second.validators]


def test_f_crashed_from_the_start():  # A2
    for gone in (0, 2):
        run = simulation().start(gone).run(15)
        agree_living(run, gone)
        assert min(height for number, height in enumerate(heights(run)) if number != gone) > 8


def agree_living(run: Simulation, *gone: int) -> None:
    logs = [run.log(number) for number in range(run.settings.n) if number not in gone]
    longest = max(logs, key=len)
    assert all(longest.startswith(log) for log in logs)


def test_f_plus_one_crashed_stop_it_until_one_returns():  # A3
    run = simulation().start().run(4)
    run.crash(1)
    run.crash(2)
    run.run(3)
    before = heights(run)
    run.run(20)
    assert heights(run) == before
    run.restart(1)
    run.run(8)
    assert heights(run)[0] > before[0] + 4
    agree(run)


KINDS = ("vote", "header", "certificate", "commit")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_crash_at_a_persist_point_and_return(kind, when):  # A4
    run = simulation(delay=uniform(0.05)).start().run(3)
    victim = run.validators[2]
    seen: list[str] = []

    def point(process, effects):
        if process == PRIMARY and any(record.table == kind and record.value for record in effects.persist):
            seen.append(kind)
            return when
        return ""

    victim.crash_point = point
    run.run(2)
    assert seen
    assert not victim.alive
    run.restart(2)
    run.run(5)
    agree(run)
    assert heights(run)[2] >= heights(run)[0] - 2


def test_a_wiped_validator_does_not_contradict_itself():  # A5
    run = simulation().start().run(5)
    votes: dict[tuple[int, int, int], set[bytes]] = {}

    def watch(sender, receiver, message, now_s):
        if isinstance(message, Vote):
            votes.setdefault((message.voter, message.round, message.author), set()).add(message.header_id)
        return 0.0

    run.network.hook = watch
    for _ in range(2):
        run.crash(2, wipe=True)
        run.restart(2)
        run.run(6)
        assert run.validators[2].primary.votes.quiet > 5
    agree(run, wiped=(2,))
    assert votes
    assert all(len(ids) == 1 for ids in votes.values())
    assert run.validators[2].primary.consensus.commits >= heights(run)[0] - 2
    assert max(run.validators[2].history.made) >= run.validators[0].primary.proposer.round - 2


@pytest.mark.parametrize("config", [QUICK, PSYNC], ids=["async", "psync"])
@pytest.mark.parametrize("after_s", [0.05, 0.13, 0.4, 2.0])
def test_a_wiped_validator_that_restarts_once_more_does_not_contradict_itself(config, after_s):  # A5, F4
    run = simulation(config=config, delay=uniform(0.03)).start()
    said: dict[tuple[int, ...], set[bytes]] = {}

    def watch(sender, receiver, message, now_s):
        if isinstance(message, Vote):
            said.setdefault((message.voter, message.round, message.author), set()).add(message.header_id)
        elif isinstance(message, Header) and sender == message.author:
            said.setdefault((message.author, message.round), set()).add(message.id)
        return 0.0

    run.network.hook = watch
    run.run(4)
    run.crash(2, wipe=True)
    run.restart(2)
    run.run(after_s)
    run.crash(2)
    run.restart(2)
    primary = run.validators[2].primary
    assert primary.probing or primary.votes.quiet > 5
    run.run(5)
    agree(run, wiped=(2,))
    assert all(len(ids) == 1 for ids in said.values())
    assert max(run.validators[2].history.made) >= run.validators[0].primary.proposer.round - 2


@pytest.mark.parametrize("config", [QUICK, PSYNC], ids=["async", "psync"])
@pytest.mark.parametrize("at_s", [3.0, 3.02, 3.05, 3.08, 3.11])
def test_a_wiped_validator_says_nothing_while_f_others_are_silent(config, at_s):  # A5, F4
    """It is one more than f: what q - 1 others hold does not say what it has voted for. It goes on with the first of
    the others that is back, in the same life or in another.
    """
    run = simulation(config=config, delay=uniform(0.03)).start(0).run(at_s)
    said: list[Vote | Header] = []

    def watch(sender, receiver, message, now_s):
        if sender == 2 and isinstance(message, Vote | Header):
            said.append(message)
        return 0.0

    run.crash(2, wipe=True)
    run.run(1)
    run.network.hook = watch
    run.restart(2)
    run.run(config.retry_s * 10 + 12)
    run.crash(2)
    run.restart(2)
    run.run(config.retry_s * 10 + 12)
    assert run.validators[2].primary.probing
    assert said == []
    before = heights(run)[1]
    run.validators[0].start()
    run.network.up(0)
    run.run(12)
    agree(run, wiped=(2,))
    assert said
    assert heights(run)[1] > before + 2
    assert heights(run)[0] >= heights(run)[1] - 3


def test_rolling_restarts():  # A6
    run = simulation(delay=uniform(0.04)).start()
    for step in range(8):
        run.run(2)
        run.crash(step % 4)
        run.run(1)
        run.restart(step % 4)
    run.run(4)
    agree(run)
    assert min(heights(run)) > 30


def test_partition_without_a_quorum_stops_and_heals():  # B1
    run = simulation(7).start().run(3)
    run.network.cut([(0, 1, 2, 3), (4, 5, 6)])
    run.run(3)
    before = heights(run)
    run.run(10)
    assert heights(run) == before
    run.network.heal()
    run.run(8)
    agree(run)
    assert min(heights(run)) > max(before) + 4


def test_an_isolated_validator_comes_back_from_below_the_floor():  # B2
    run = simulation(delay=uniform(0.04)).start().run(2)
    run.network.cut([(0, 1, 2)])
    run.run(30)
    late = run.validators[3].primary
    floor = run.validators[0].primary.blocks.floor
    assert floor > late.proposer.round  # everything it needs has been collected
    run.network.heal()
    run.run(6)
    agree(run)
    assert heights(run)[3] >= heights(run)[0] - 2
    assert late.proposer.round >= run.validators[0].primary.proposer.round - 2
    executed = [event.number for _, event in run.validators[3].history.executed if isinstance(event, Commit)]
    assert executed[-1] >= heights(run)[0] - 6


@pytest.mark.parametrize("cut", ["star", "bridge", "one-way", "flapping"])
def test_odd_partitions(cut):  # B3
    run = simulation(delay=uniform(0.04)).start().run(2)
    before = min(heights(run))
    if cut == "star":  # all talk to 0 only: nobody but 0 sees a quorum of votes
        run.network.cut_where(lambda a, b: 0 not in (a, b))
    elif cut == "bridge":  # 3 reaches 2 only
        run.network.cut_where(lambda a, b: {a, b} in ({0, 3}, {1, 3}))
    elif cut == "one-way":  # nobody hears 3
        run.network.cut_where(lambda a, b: a == 3)
    for step in range(20):
        if cut == "flapping":
            run.network.cut_where(lambda a, b, step=step: step % 2 == 0 and 1 in (a, b))
        run.run(0.5)
    if cut != "star":
        assert heights(run)[0] > before + 5
    run.network.heal()
    run.run(6)
    agree(run)
    assert min(heights(run)) > before + 5


def delay_leaders(run: Simulation, slow_s: float, until_s: float) -> None:
    """An adversary that knows the known leaders: their headers and certificates arrive late."""
    rule = run.validators[0].primary.consensus.rule

    def hook(sender, receiver, message, now_s):
        by_leader = isinstance(message, Header | Certificate) and sender == message.author == rule.leader(message.round)
        return slow_s if by_leader and now_s < until_s else 0.0

    run.network.hook = hook


@pytest.mark.parametrize(("slow_s", "kind"), [(0.1, "steady"), (0.4, "fallback")])
def test_slow_leaders_are_waited_for_or_passed_over(slow_s, kind):  # B4: 0.5 s for header and certificate together
    run = simulation(delay=uniform(0.03)).start()
    delay_leaders(run, slow_s, 15)
    run.run(15)
    commits = run.validators[0].history.commits()
    assert len(commits) > 4
    assert {commit.kind for commit in commits} == {kind}
    run.run(6)
    agree(run)
    assert run.validators[0].history.commits()[-1].kind == "steady"


def test_partial_synchrony_stalls_where_the_coin_goes_on():  # B5
    heights_at = []
    for config in (PSYNC, QUICK):
        run = simulation(delay=uniform(0.03), config=config).start()
        delay_leaders(run, 3.0, 15)
        run.run(15)
        heights_at.append(heights(run)[0])
        run.run(5)
        agree(run)
        assert heights(run)[0] > 20
    assert heights_at[0] == 0 < heights_at[1]


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_loss_and_jitter(loss):  # B6
    run = simulation()
    run.network.loss = loss
    run.network.jitter = 0.5
    run.start().run(15)
    agree(run)
    assert min(heights(run)) > 2
    assert run.network.messages < 40 * 15 * 50  # requests do not multiply


def test_real_stores_do_as_those_in_memory_do(tmp_path, monkeypatch):
    stores = []

    def new_store() -> Store:
        stores.append(Store(tmp_path / str(len(stores)), PRIMARY_TABLES + WORKER_TABLES, sync=False))
        return stores[-1]

    def play() -> Simulation:
        run = simulation(delay=uniform(0.04)).start().run(2)
        run.network.cut([(0, 1, 2)])
        run.run(8)
        run.network.heal()
        run.run(1)
        run.crash(0)
        run.run(1)
        run.restart(0)
        return run.run(4)

    in_memory = play()
    monkeypatch.setattr("nodes.dagbft.simulate.validator.MemoryDisk", new_store)
    stored = play()
    agree(stored)
    assert [stored.log(number) for number in range(4)] == [in_memory.log(number) for number in range(4)]
    for store in stores:
        store.close()
