"""Properties of the plurality codec, of one update, and of agents spread over processes on a network without order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.plurality.core import Stream, Update, consensus, deal, rule_of
from nodes.plurality.host import Host
from nodes.plurality.simulate import poisson, synchronous
from nodes.plurality.wire import Query, Reply, decode

U32 = st.integers(0, 2**32 - 1)
RULES = st.one_of(
    st.builds(lambda cap, own: rule_of("dejavu", 4, cap, own), st.integers(0, 6), st.booleans()),
    st.builds(lambda h: rule_of("h-majority", 4, h), st.integers(1, 9)),
    st.sampled_from([rule_of(name, 4) for name in ("2-choices", "undecided", "voter", "3-majority")]),
)


@given(st.one_of(st.builds(Query, U32, U32, U32, U32), st.builds(Reply, U32, U32, U32, U32, U32)))
def test_messages_come_back(message):
    assert decode(message.encode()) == message


@given(st.binary(max_size=40))
def test_rubbish_is_a_message_or_a_value_error(data):
    try:
        message = decode(data)
    except ValueError:
        return
    assert message.encode() == data


@given(RULES, st.integers(0, 999), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(rule, seed, own, random):
    opinions = [Random(f"{seed}/{i}").randrange(4) for i in range(12)]
    results = []
    for shuffled in (False, True):
        update = Update(rule, 5, own, 12, Stream(f"{seed}"))
        open_queries = []
        while update.adopted < 0:
            while query := update.ask():
                assert query[1] != 5
                open_queries.append(query)
            at = random.randrange(len(open_queries)) if shuffled else 0
            number, asked = open_queries.pop(at)
            update.hear(number, opinions[asked])
        assert not open_queries
        assert update.ask() is None
        results.append((update.adopted, update.samples, update.trips))
    assert results[0] == results[1]
    assert update.samples <= max(5, rule.width)  # k + 1 for DéjàVu


class Cloud:
    """Hosts joined by a network that delivers in any order, and loses what `lose` says."""

    def __init__(self, hosts, per, random, loss=0.0):
        self.hosts, self.per, self.random, self.loss = hosts, per, random, loss
        self.flying = []
        self.now_s = 0.0

    def send(self, out):
        self.flying += [(agent // self.per, data) for agent, data in out if self.random.random() >= self.loss]

    def settle(self):
        while not all(host.done for host in self.hosts):
            if self.flying:
                to, data = self.flying.pop(self.random.randrange(len(self.flying)))
                in_time, out = self.hosts[to].receive(data, self.now_s, self.now_s)
                assert in_time or self.loss
                self.send(out)
            else:
                self.now_s = min(host.next_s() for host in self.hosts)
                for host in self.hosts:
                    self.send(host.wake(self.now_s))


def play(rule, counts, seed, per, random, loss=0.0):
    """Rounds over hosts until consensus: rounds, winner, samples, critical trips, lost, tallies."""
    opinions, kinds = deal(counts, seed), len(counts)
    count = len(opinions)
    hosts = [
        Host(rule, seed, range(first, min(first + per, count)), opinions, kinds, 1.0) for first in range(0, count, per)
    ]
    cloud = Cloud(hosts, per, random, loss)
    round = trips = 0
    winner = consensus(counts, kinds)
    tallies = [[*counts, 0]]
    while winner is None and round < 60:
        round += 1
        # Not all hear the go at once: the queries of the first are under way before the last has begun.
        order = list(hosts)
        random.shuffle(order)
        for host in order:
            cloud.send(host.begin(round, cloud.now_s))
            if cloud.flying and random.random() < 0.5:
                to, data = cloud.flying.pop()
                cloud.send(hosts[to].receive(data, cloud.now_s, cloud.now_s)[1])
        cloud.settle()
        tallies.append([sum(parts) for parts in zip(*(host.tally() for host in hosts), strict=True)])
        winner = consensus(tallies[-1], kinds)
        trips += max(host.trips for host in hosts)
    totals = [host.totals for host in hosts]
    return round, winner, sum(t.samples for t in totals), trips, sum(t.lost for t in totals), tallies


@settings(max_examples=60)
@given(RULES, st.integers(0, 999), st.sampled_from([1, 3, 8, 12]), st.randoms(use_true_random=False))
def test_agents_share_processes_with_the_results_of_the_simulation(rule, seed, per, random):
    counts = [6, 3, 2, 1]
    round, winner, samples, trips, lost, tallies = play(rule, counts, seed, per, random)
    outcome = synchronous(rule, counts, seed, max_rounds=60)
    assert (round, winner, samples, trips, lost) == (
        outcome.rounds, outcome.winner, outcome.samples, outcome.critical_trips, 0,
    )  # fmt: skip
    assert tallies == outcome.tallies


@settings(max_examples=30)
@given(st.sampled_from(["dejavu", "3-majority"]), st.integers(0, 99))
def test_loss_costs_messages_not_answers(protocol, seed):
    rule = rule_of(protocol, 2)
    round, winner, samples, _, lost, tallies = play(rule, [9, 3], seed, 4, Random(seed), loss=0.2)
    assert winner is not None or round == 60
    assert all(sum(tally) == 12 for tally in tallies)
    assert samples >= 2 * 12 * round
    assert lost > 0


@settings(max_examples=30)
@given(RULES, st.integers(0, 999), st.sampled_from([1, 5, 12]))
def test_poisson_clocks_over_processes_are_those_of_the_simulation(rule, seed, per):
    """On a network without delay, update by update: the clocks tick alike, and opinions in the present are answered."""
    counts = [7, 3, 1, 1]
    outcome = poisson(rule, counts, seed, max_time=30.0)
    opinions = deal(counts, seed)
    hosts = [Host(rule, seed, range(first, min(first + per, 12)), opinions, 4, 1.0, tick_s=1.0)
             for first in range(0, 12, per)]  # fmt: skip
    cloud = Cloud(hosts, per, Random(seed))
    for host in hosts:
        host.tick(0.0)
    for _ in range(outcome.updates):
        cloud.now_s = min(host.next_s() for host in hosts)
        for host in hosts:
            cloud.send(host.wake(cloud.now_s))
        cloud.settle()
    totals = [host.totals for host in hosts]
    assert sum(t.updates for t in totals) == outcome.updates
    assert sum(t.samples for t in totals) == outcome.samples
    assert sum(t.missed for t in totals) == 0
    tally = [sum(parts) for parts in zip(*(host.tally() for host in hosts), strict=True)]
    assert consensus(tally, 4) == outcome.winner


def test_a_tick_during_an_update_is_missed():
    host = Host(rule_of("voter", 2), 1, range(1), [0, 1, 1], 2, 100.0, tick_s=1.0)
    host.tick(0.0)
    first_s = host.next_s()
    assert len(host.wake(first_s)) == 1
    assert host.wake(first_s + 5.0) == []
    assert host.totals.missed > 0
    host.ticking = False
    assert host.next_s() == first_s + 100.0, "the timeout is all that is left to wait for"


def test_a_round_that_is_over_and_one_ahead():
    host = Host(rule_of("voter", 2), 1, range(2), [0, 1, 1], 2, 1.0)
    ahead = Query(1, 5, 2, 0).encode()
    in_time, out = host.receive(ahead, 0.0, 0.0)
    assert in_time, "before our own go, with the opinion that round 1 starts with"
    assert decode(out[0][1]) == Reply(1, 5, 2, 0, 0)
    host.begin(1, 0.0)
    assert host.receive(ahead, 0.0, 0.0)[0]
    assert not host.receive(Query(0, 5, 2, 0).encode(), 0.0, 0.0)[0]
    assert host.totals.late == 1


@pytest.mark.parametrize(
    "data",
    [b"rubbish", Query(1, 1, 2, 9).encode(), Query(1, 1, 2, 2).encode(), Query(1, 1, 7, 0).encode(),
     Query(1, 1, 0, 0).encode()],
)  # fmt: skip
def test_what_is_not_for_us_is_counted(data):
    host = Host(rule_of("voter", 2), 1, range(2), [0, 1, 1], 2, 1.0)
    assert host.receive(data, 0.0, 0.0) == (False, [])
    assert host.totals.refused == 1


def test_replies_are_believed_once_in_time_and_by_whom_was_asked():
    host = Host(rule_of("voter", 2), 1, range(1), [0, 1, 1], 2, 1.0)
    ((asked, data),) = host.begin(1, 0.0)
    query = decode(data)
    assert isinstance(query, Query)
    good = Reply(*query, 1)
    assert host.receive(good._replace(asked=3 - asked).encode(), 0.1, 0.1) == (False, [])
    assert host.receive(good._replace(opinion=3).encode(), 0.1, 0.1) == (False, [])
    assert host.receive(good.encode(), 1.1, 1.1) == (False, []), "after its timeout"
    assert host.receive(good.encode(), 0.9, 1.1) == (True, []), "the kernel had it in time"
    assert host.receive(good.encode(), 0.9, 1.2) == (False, []), "twice"
    assert host.tally() == [0, 1, 0]
    assert (host.totals.refused, host.totals.late, host.totals.samples) == (2, 2, 1)
