"""The client: open loop, chains that roll back, bounds. Time is an argument."""

from __future__ import annotations

from collections import Counter
from math import inf
from random import Random

import pytest

from nodes.dagbft.client.chain import Chain
from nodes.dagbft.client.core import ClientConfig, ClientCore
from nodes.dagbft.client.load import LoadConfig
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.execution.executor import UNMET
from nodes.dagbft.execution.transactions import NOTHING, Kind, decode, is_sound, result_hash
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import FinalReply, SpecReply


def client(load=None, **more):
    return ClientCore(Committee(4), 1, 7, ClientConfig(load or LoadConfig(), **more), Random(1))


def sent(core):
    return [decode(message.transaction) for message in core.take()[0]]


def final(id, cause=Cause.COMMITTED, hash=b"h" * 32, round=5):
    return FinalReply(round, 1, cause, ((id, hash),))


def test_arrivals_follow_the_rate_and_the_shares_whatever_the_answers():
    core = client(LoadConfig(rate=1000, cross_shard=0.3, gamma=0.1, conflict=0.5, start_s=1, stop_s=5))
    assert core.next_deadline_s() > 1
    core.tick(3.0)
    first = sent(core)
    core.tick(100.0)
    kinds = Counter(transaction.kind for transaction in [*first, *sent(core)])
    assert 3600 < core.counts["sent"] < 4400
    assert kinds[Kind.BETA] / core.counts["sent"] == pytest.approx(0.3, abs=0.04)
    assert kinds[Kind.GAMMA] / 2 / core.counts["sent"] == pytest.approx(0.1, abs=0.03)
    assert all(map(is_sound, first))


def test_transactions_have_their_size_and_aim_at_the_next_header():
    core = client(LoadConfig(rate=100, size_bytes=512))
    core.on_reply(SpecReply(10, 1, ()), 0.0)
    core.tick(1.0)
    messages, _ = core.take()
    assert {len(message.transaction) for message in messages} == {512}
    assert {decode(message.transaction).shard for message in messages} == {Committee(4).shard(1, 12)}


def test_latencies_are_told_once():
    core = client(LoadConfig(rate=10), samples=1000.0)
    due_s = core.next_deadline_s()
    core.tick(due_s)
    (transaction,) = sent(core)
    for cause in (Cause.EARLY, Cause.EARLY, Cause.COMMITTED, Cause.COMMITTED):
        core.on_reply(final(transaction.id, cause), due_s + 2)
    assert [(sample.name, sample.value_s, sample.kind) for sample in core.take()[1]] == [
        ("early_latency_s", 2.0, "alpha"), ("commit_latency_s", 2.0, "alpha")
    ]  # fmt: skip
    assert core.outstanding == 0


def test_what_is_outstanding_is_bounded_and_given_up_in_the_end():
    core = client(LoadConfig(rate=100, stop_s=10), most_outstanding=5, timeout_s=20)
    core.tick(10.0)
    assert core.outstanding == core.counts["sent"] == 5
    assert core.counts["shed"] > 900
    core.tick(40.0)
    assert (core.outstanding, core.counts["lost"]) == (0, 5)
    assert core.next_deadline_s() == inf


class Sends:
    def __init__(self):
        self.expected = []

    def __call__(self, expected):
        self.expected.append(expected)
        return len(self.expected).to_bytes(16, "big")


def hash_of(number):
    return bytes([number]) * 32


def test_a_chain_goes_on_upon_guesses_and_rolls_back_where_one_was_wrong():
    sends = Sends()
    chain = Chain("early", length=5, ahead=4, send=sends)
    chain.advance(0.0)
    ids = [number.to_bytes(16, "big") for number in range(1, 9)]
    for number in range(3):
        chain.speculated(ids[number], hash_of(number), 0.0)
    assert sends.expected == [NOTHING, hash_of(0), hash_of(1), hash_of(2)]
    assert chain.finished(ids[1], hash_of(99), True, 1.0) == []  # in order only
    confirmed = chain.finished(ids[0], hash_of(0), True, 1.0)
    assert [link.id for link in confirmed] == ids[:2]
    assert (chain.confirmed, chain.rollbacks, chain.wasted) == (2, 1, 2)
    assert sends.expected[4:] == [hash_of(99)]
    assert chain.finished(ids[0], hash_of(7), False, 2.0) == []
    assert chain.confirmed == 2


def test_a_link_whose_dependency_was_not_met_is_sent_again():
    sends = Sends()
    chain = Chain("commit", length=2, ahead=4, send=sends)
    chain.advance(0.0)
    one = (1).to_bytes(16, "big")
    assert chain.finished(one, hash_of(1), True, 0.0) == []  # confirms at commit only
    assert chain.finished(one, result_hash(one, UNMET), False, 0.0) == []
    assert (chain.confirmed, chain.wasted, sends.expected) == (0, 1, [NOTHING, NOTHING])


def test_without_speculation_each_link_waits_for_the_one_before():
    sends = Sends()
    chain = Chain("none", length=3, ahead=4, send=sends)
    chain.advance(0.0)
    chain.speculated((1).to_bytes(16, "big"), hash_of(1), 0.0)
    assert len(sends.expected) == 1
    chain.finished((1).to_bytes(16, "big"), hash_of(1), False, 1.0)
    assert sends.expected == [NOTHING, hash_of(1)]


def test_chains_are_kept_going_and_their_links_timed():
    core = client(LoadConfig(rate=0, stop_s=100), chains=1, chain_length=2)
    core.tick(core.next_deadline_s())
    for now_s in (1.0, 3.0):
        (link,) = sent(core)
        assert link.chained == 1
        core.on_reply(final(link.id, Cause.EARLY, hash_of(int(now_s))), now_s)
    assert core.counts["chains"] == 1
    assert [sample.value_s for sample in core.take()[1] if sample.name == "link_s"] == [1.5]
    core.tick(core.next_deadline_s())
    assert len(sent(core)) == 1
    core.tick(100.0)
    assert core.next_deadline_s() >= 60


def test_settings_without_sense_are_refused():
    for wrong in ({"rate": -1.0}, {"cross_shard": 0.7, "gamma": 0.7}, {"size_bytes": 1 << 20}):
        with pytest.raises(ValueError, match="expected"):
            LoadConfig(**wrong)
    for wrong in ({"confirm": "soon"}, {"ahead": 0}):
        with pytest.raises(ValueError, match="expected"):
            ClientConfig(**wrong)
