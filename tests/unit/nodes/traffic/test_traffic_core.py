"""Cores of the traffic programs on times of our own."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.traffic.core import Echo, Meter, Pacer, Prober, Rounds, parse_pairs
from nodes.traffic.wire import Probe


def test_an_echo_tells_both_ways_without_the_turnaround():
    a, b = Prober(2.0, 64), Prober(2.0, 64)
    request = a.probe("b", 1.0)
    answer = b.receive(request, arrived_s=1.010, now_s=1.013)
    assert isinstance(answer, bytes)
    assert len(answer) == len(request)
    echo = a.receive(answer, arrived_s=1.033, now_s=1.034)
    assert echo == Echo("b", 1.0, pytest.approx(0.030), pytest.approx(0.010))
    assert (a.tallies["b"].sent, a.tallies["b"].received, a.tallies["b"].lost) == (1, 1, 0)


def test_a_probe_is_lost_once_and_a_late_echo_is_unexpected():
    a, b = Prober(2.0, 64), Prober(2.0, 64)
    answer = b.receive(a.probe("b", 0.0), 0.1, 0.1)
    assert a.expire(1.999) == []
    assert a.next_deadline_s() == 2.0
    assert a.expire(2.0) == [("b", 0.0)]
    assert a.expire(3.0) == []
    assert a.receive(answer, 3.0, 3.0) is None
    assert (a.unexpected, a.tallies["b"].lost, a.tallies["b"].received) == (1, 1, 0)
    assert a.next_deadline_s() == inf


def test_duplicates_and_rubbish_are_counted_not_believed():
    a, b = Prober(2.0, 64), Prober(2.0, 64)
    answer = b.receive(a.probe("b", 0.0), 0.1, 0.1)
    assert isinstance(a.receive(answer, 0.2, 0.2), Echo)
    assert a.receive(answer, 0.2, 0.2) is None
    assert a.receive(b"rubbish", 0.2, 0.2) is None
    assert a.receive(Probe(99, 0, 0, 0, echo=True).encode(), 0.2, 0.2) is None
    assert a.unexpected == 3


@given(st.lists(st.tuples(st.sampled_from("bcd"), st.booleans()), max_size=50))
def test_every_probe_is_received_or_lost(plan):
    prober, other = Prober(1.0, 64), Prober(1.0, 64)
    for number, (peer, answered) in enumerate(plan):
        request = prober.probe(peer, number * 0.01)
        if answered:
            prober.receive(other.receive(request, 0.0, 0.0), number * 0.01, 0.0)
    prober.expire(100.0)
    for peer, tally in prober.tallies.items():
        asked = [answered for name, answered in plan if name == peer]
        assert (tally.sent, tally.received, tally.lost) == (len(asked), sum(asked), len(asked) - sum(asked))


@given(st.integers(1, 20), st.floats(0.01, 10), st.floats(0, 0.999))
def test_rounds_visit_every_peer_once_an_interval(count, interval_s, phase):
    peers = [f"p{number}" for number in range(count)]
    rounds = Rounds(peers, interval_s, 5.0, phase)
    visits = [(rounds.next_s(), rounds.take()) for _ in range(3 * count)]
    times = [t for t, _ in visits]
    assert times == sorted(times)
    assert [peer for _, peer in visits] == peers * 3
    assert times[count] - times[0] == pytest.approx(interval_s)
    assert 5.0 <= times[0] <= 5.0 + interval_s


def test_no_peers_means_never():
    assert Rounds([], 1.0, 0.0, 0.5).next_s() == inf


def test_pacer_keeps_its_rate_over_any_rhythm():
    pacer = Pacer(8e6, inf, 0.0)
    now_s = 0.0
    while now_s < 10.0:
        pacer.sent(pacer.allowance(now_s, 1 << 17))
        now_s += 0.037
    assert pacer.sent_bytes == pytest.approx(10e6, rel=0.01)


@pytest.mark.parametrize(("rate_bps", "piece_bytes"), [(100e3, 1500), (10e6, 12_500), (100e6, 65_536), (1e9, 65_536)])
def test_pacer_sends_pieces_of_some_milliseconds(rate_bps, piece_bytes):
    pacer, now_s = Pacer(rate_bps, inf, 0.0), 0.0
    for _ in range(20):
        count = pacer.allowance(now_s, 1 << 17)
        assert count == pytest.approx(piece_bytes, abs=1)
        pacer.sent(count)
        now_s += pacer.wait_s()
    assert now_s == pytest.approx(20 * piece_bytes * 8 / rate_bps, rel=0.01)


def test_pacer_does_not_make_up_for_a_long_silence():
    pacer = Pacer(8e6, inf, 0.0)
    assert pacer.allowance(60.0, 1 << 30) == 100_000


def test_pacer_ends_with_its_total():
    pacer = Pacer(inf, 1000, 0.0)
    assert pacer.allowance(0.0, 1 << 17) == 1000
    pacer.sent(1000)
    assert pacer.done
    assert pacer.wait_s() == 0.0


def test_meter_cuts_intervals():
    meter = Meter(1.0, 0.5)
    meter.count(1000, 1.2)
    assert meter.due_s() == 1.5
    assert meter.cut(1.5) == pytest.approx(16_000)
    meter.count(500, 2.0)
    assert meter.cut(2.0) == pytest.approx(8_000)
    assert meter.mean_bps() == pytest.approx(12_000)


def test_pairs():
    assert parse_pairs(["a -> b", "b->a"], {"a", "b"}) == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize("text", ["a", "a -> ", "-> b", "a -> a", "a -> zebra", "a - b"])
def test_bad_pairs_are_refused(text):
    with pytest.raises(ValueError, match="a"):
        parse_pairs([text], {"a", "b"})
