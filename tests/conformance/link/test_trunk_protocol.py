"""The trunk's format and repair against their model: streams cut anywhere, any loss, any order; asks at their times.

Every trunk begins five datagrams before its numbers begin anew at 0, so whatever is tested here passes that.
"""

from __future__ import annotations

import struct
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import trunk as model
from oracle.trunk import Gaps, Head, Record, sequence
from scripts import Dice

from emulator.link.engine.engine import Engine
from emulator.link.engine.structures import Sent
from emulator.link.engine.tables import memory_ports
from emulator.link.trunks import Hosts, cookie, trunk
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

SECRET = b"of this test"
DELAY_S = 10.0


def engine(own: int, datagram_bytes: int = 1472, delay_s: float = DELAY_S) -> Engine:
    """One of two hosts: n0 of host 0 sends to n1 of host 1 on end 0."""
    spec = EndSpec(schedule=PiecewiseSchedule.constant(delay_s))
    nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.0.0.{n + 1}") for n in range(2))
    network = Network(nodes, (LinkSpec("n0:n1", 0, 1, "r", "l", spec, spec),))
    ports = [port for port in memory_ports(network) if port.node == own]
    hosts = Hosts(own, np.arange(2, dtype=np.uint8), {1 - own: trunk(SECRET, own, 1 - own, -1, datagram_bytes)})
    return Engine(network, ports, None, 1, hosts=hosts, small_slots=1 << 12, large_slots=1 << 8)


def packet(number: int, size: int) -> bytes:
    return bytes(10) + bytes([number % 256]) * size


def record(number: int, size: int, due_s: float = DELAY_S) -> Record:
    data = packet(number, size)
    return Record(due_s + number * 1e-6, 0, 1, -1, 0, 0, 0, size, data)


def datagram(place: int, one: Record, sender: int = 0, receiver: int = 1) -> bytes:
    """A datagram at this place of the stream, with one record."""
    (sent,) = model.datagrams([one], [1440], cookie(SECRET, sender, receiver), sender)
    return model.HEAD.pack(*Head.of(sent)._replace(sequence=sequence(place))) + sent[model.HEAD.size :]


def carried(trunk_engine: Engine, now_s: float = 1.0, kind: int = model.DATA) -> list[bytes]:
    """The datagrams of a kind that an engine of host 0 sends now."""
    peer = trunk_engine.trunks[0]
    sent = iter(lambda: trunk_engine.pull(peer, now_s), b"")
    return [datagram for datagram in sent if Head.of(datagram).kind == kind]


sizes = st.lists(st.one_of(st.integers(0, 60), st.integers(0, 3000), st.just(65000)), min_size=1, max_size=12)


@given(sizes, st.sampled_from([1232, 1472, 8968]), st.lists(st.booleans(), min_size=12, max_size=12))
def test_what_the_engine_sends_is_the_stream_of_the_model(lengths, datagram_bytes, flushed):
    with engine(0, datagram_bytes) as sender:
        sender.push(1, 0.0, _beat(1 << 22))
        sent: list[bytes] = []
        for number, (length, flush) in enumerate(zip(lengths, flushed, strict=False)):
            assert sender.offer(0, number * 1e-6, packet(number, length), length)
            sender.play(number * 1e-6)
            sent += carried(sender) if flush else []
        sent += carried(sender)
        assert [Head.of(datagram).sequence for datagram in sent] == [sequence(n) for n in range(len(sent))]
        assert max(map(len, sent)) <= datagram_bytes
        assert model.read_stream(sent) == [record(n, length) for n, length in enumerate(lengths)]


@given(
    sizes,
    st.lists(st.integers(1, 1440), min_size=1, max_size=40),
    st.lists(st.integers(0, 10**6), max_size=400),
    st.randoms(use_true_random=False),
)
def test_every_record_that_is_whole_comes_out_once_whatever_is_missing(lengths, cuts, lost, chance):
    records = [record(n, length) for n, length in enumerate(lengths)]
    sent = model.datagrams(records, [*cuts, 1440], cookie(SECRET, 0, 1), 0)
    bodies = [len(datagram) - model.HEAD.size for datagram in sent]
    missing = {number % len(sent) for number in lost}
    order = [n for n in range(len(sent)) for _ in range(chance.choice([1, 1, 2]))]
    first, later = [n for n in order if n not in missing], [n for n in order if n in missing]
    if chance.random() < 0.7:
        chance.shuffle(first)
        chance.shuffle(later)
    with engine(1) as receiver:
        come: set[int] = set()
        for part in (first, later):
            for number in part:
                receiver.push(0, 0.0, sent[number])
            come |= set(part)
            expected = model.whole(records, bodies, come) if _short(records, bodies) else None
            found = [(p.at_s, p.data) for p in receiver.in_flight(0)]
            if expected is not None:
                assert found == [(one.due_s, one.data) for one in expected]
        report = receiver.trunk_report(0)
        assert report.repeated == len(order) - len(sent)
        assert report.rejected == 0
        assert report.datagrams_received == len(sent)


def _short(records: list[Record], bodies: list[int]) -> bool:
    """Whether no record touches more datagrams than a receiver looks through for one (64)."""
    edges, at = np.cumsum([0, *bodies]), 0
    for one in records:
        stop = at + len(one.packed())
        if ((edges[:-1] < stop) & (edges[1:] > at)).sum() > 60:
            return False
        at = stop
    return True


moves = st.lists(
    st.tuples(st.sampled_from(["next", "next", "lose", "late", "beat", "wait", "wait"]), st.integers(1, 60)),
    min_size=1,
    max_size=60,
)


@given(moves, st.lists(st.one_of(st.integers(0, 20_000), st.just(10**9)), min_size=1, max_size=4))
def test_what_is_missing_is_asked_for_when_the_model_asks(script, dues_us):
    """One record a datagram, due at one of these times; time goes on in steps of 10 us, each looked at a little later
    than the one before, so that no rounding decides."""
    gaps, now_us, following, held, looks = Gaps(), 1000, 0, [], 0
    with engine(1) as receiver:
        for kind, number in script:
            if kind in ("next", "lose", "late"):
                due_us = dues_us[number % len(dues_us)]
                sent = datagram(following, record(0, 30, due_us * 1e-6))
                if kind == "next":
                    gaps.arrive(now_us, following, due_us)
                    receiver.push(0, now_us * 1e-6, sent)
                elif kind == "late":
                    held.append((following, due_us, sent))
                following += 1
            elif kind == "beat":
                gaps.expect(now_us, following)
                receiver.push(0, now_us * 1e-6, _beat(1 << 20, following, 0, 1))
            else:
                for place, due_us, sent in held:
                    gaps.arrive(now_us, place, due_us)
                    receiver.push(0, now_us * 1e-6, sent)
                held.clear()
            for _ in range(number if kind == "wait" else 1):
                now_us += 10
                looks += 1
                asked = _asked(receiver, now_us * 1e-6 + looks * 1e-10)
                assert asked == [sequence(place) for place in gaps.asks(now_us)]


def _asked(receiver: Engine, now_s: float) -> list[int]:
    found: list[int] = []
    for datagram in carried(receiver, now_s, model.ASK):
        (count,) = struct.unpack_from("<H", datagram, model.HEAD.size)
        found += struct.unpack_from(f"<{count}I", datagram, model.HEAD.size + 2)
    return found


def _beat(room: int, end: int = 0, sender: int = 1, receiver: int = 0, missing: int = 0, flags: int = 0) -> bytes:
    """`end`, `missing`: places in the stream of the sender, and of the receiver."""
    told = cookie(SECRET, sender, receiver), 0, 0, flags, sender, sequence(missing)
    return model.HEAD.pack(model.MAGIC, 1, model.BEAT, sequence(end), *told) + model.BEAT_BODY.pack(0, 0, 0, 0, room, 0)


def test_no_more_is_under_way_unacknowledged_than_the_other_side_has_room_for():
    with engine(0) as sender:
        for number in range(20):
            sender.offer(0, 0.0, packet(number, 60_000), 60_000)
        sender.play(0.0)
        assert sum(map(len, carried(sender))) <= 64 << 10  # nobody has told what room there is
        sender.push(1, 1.0, _beat(200_000))
        first = sum(map(len, carried(sender)))
        assert 100_000 < first <= 200_000
        assert carried(sender) == []
        sender.push(1, 1.0, _beat(1 << 30, missing=100))
        assert first + sum(map(len, carried(sender))) > 700_000
        assert sender.trunk_report(1).dropped == 0


def test_of_what_nobody_acknowledges_4_mb_are_sent_and_12_mb_kept():
    with engine(0) as sender:
        sender.push(1, 0.0, _beat(1 << 30))
        for number in range(250):
            sender.offer(0, 0.0, packet(number, 60_000), 60_000)
            sender.play(0.0)
        sent = carried(sender)
        assert (4 << 20) - 1472 <= sum(map(len, sent)) <= 4 << 20
        dropped = sender.trunk_report(1).dropped
        assert dropped == 250 - sender.trunk_report(1).records_sent == 250 - 8190 * 1440 // 60_042
        assert sender.sent[0, Sent.DROP_OVERLOAD] == dropped


def test_what_has_not_been_sent_cannot_be_acknowledged_and_two_datagrams_are_sent_whatever_room_is_told():
    with engine(0) as sender:
        for number in range(4):
            sender.offer(0, 0.0, packet(number, 60_000), 60_000)
        sender.play(0.0)
        sent = carried(sender)
        for missing in (len(sent) + 1, len(sent) + 50, -1):
            sender.push(1, 1.0, _beat(0, missing=missing))
            assert carried(sender) == []
        sender.push(1, 1.0, _ask([0, len(sent)]))
        assert [Head.of(one).sequence for one in carried(sender)] == [sequence(0)]
        sender.push(1, 1.0, _beat(0, missing=len(sent)))
        assert [Head.of(one).sequence for one in carried(sender)] == [sequence(len(sent)), sequence(len(sent) + 1)]


def _round_trip(asks: Engine, took_s: float) -> None:
    """A probe that takes so long there and back, told to host 1, which asks."""
    probe = next(one for one in carried_all(asks, 0.0) if Head.of(one).kind == model.PROBE)
    answer = Head.of(probe)._replace(kind=model.ANSWER, cookie=cookie(SECRET, 0, 1), host=0)
    asks.push(0, took_s, model.HEAD.pack(*answer) + probe[model.HEAD.size :])


def test_a_record_waits_for_others_for_100_us_unless_it_is_due_within_a_round_trip_and_a_millisecond():
    for delay_us, rtt_us, waits in ((900, 0, False), (1100, 0, True), (2900, 2000, False), (3100, 2000, True)):
        with engine(1, delay_s=delay_us * 1e-6) as sender:
            if rtt_us:
                _round_trip(sender, rtt_us * 1e-6)
            sender.offer(1, 0.0, packet(1, 40), 40)
            sender.play(0.0)
            assert [len(carried(sender, us * 1e-6)) for us in (0, 99, 101)] == ([0, 0, 1] if waits else [1, 0, 0])


def test_asks_are_repeated_after_one_and_a_half_round_trips():
    with engine(1) as receiver:
        _round_trip(receiver, 4e-3)
        receiver.push(0, 0.01, datagram(0, record(0, 30)))
        receiver.push(0, 0.01, datagram(2, record(2, 30)))
        found = [us for us in range(10_050, 30_000, 100) if _asked(receiver, us * 1.000001e-6)]
        assert found == [10_150, 16_150, 22_150, 28_150]


def test_a_quarter_of_the_room_is_acknowledged_at_once():
    with engine(1) as receiver:
        carried_all(receiver, 0.0)
        beats, full = 0, record(0, 1440 - model.RECORD.size - 10)._replace(end=9)  # of no link
        for place in range(1600):
            receiver.push(0, 1e-3, datagram(place, full))
            beats += len(carried(receiver, 1e-3, model.BEAT))
        assert beats == 1600 * 1440 // (1 << 20) == 2


def test_a_datagram_that_is_asked_for_is_sent_again_as_it_was():
    with engine(0) as sender:
        sender.offer(0, 0.0, packet(1, 4000), 4000)
        sender.play(0.0)
        sent = carried(sender)
        sender.push(1, 1.0, _ask([1, 7]))
        (again,) = carried(sender)
        assert again[model.HEAD.size :] == sent[1][model.HEAD.size :]
        assert Head.of(again)._replace(flags=0) == Head.of(sent[1])
        assert sender.trunk_report(1).repaired == 1


def _ask(places: list[int]) -> bytes:
    """What host 1 asks of host 0."""
    told = sequence(0), cookie(SECRET, 1, 0), 0, 0, 0, 1, sequence(0)
    return model.HEAD.pack(model.MAGIC, 1, model.ASK, *told) + struct.pack(
        f"<H{len(places)}I", len(places), *map(sequence, places)
    )


def _missing(trunk_engine: Engine, now_s: float) -> int:
    """The first place that an engine of host 1 says to miss, in the beat that it is made to send."""
    trunk_engine.push(0, now_s, _beat(1 << 20, 0, 0, 1, flags=model.UNACKED))
    (told,) = carried(trunk_engine, now_s + 1e-3, model.BEAT)
    return (Head.of(told).missing - model.FIRST) % model.NUMBERS


def test_a_repair_is_awaited_until_the_longest_delay_has_passed_whatever_else_is_due_sooner():
    """Of a burst to two links, of 2 and of 200 ms, the record between two of the short link is lost."""
    first, last = (record(0, 30, due_s) for due_s in (0.2, 0.002))
    with engine(1) as receiver:
        receiver.push(0, 0.0, datagram(0, first))
        receiver.push(0, 0.0, datagram(2, last))
        assert _asked(receiver, 0.02) == [sequence(1)]
        assert _asked(receiver, 0.2049) == [sequence(1)]
        receiver.push(0, 0.2049, datagram(1, first))
        report = receiver.trunk_report(0)
        assert (report.records_received, report.given_up) == (3, 0)
        receiver.push(0, 0.3, datagram(4, first))
        assert _asked(receiver, 0.5051) == []  # nor was anything found to be further ahead by what came late
        assert report.given_up == 1
        assert _missing(receiver, 0.51) == 5


@pytest.mark.parametrize("due_s", [1e9, inf])
def test_a_gap_holds_the_trunk_up_for_a_second_at_most_whatever_the_other_host_says(due_s):
    with engine(1) as receiver:
        receiver.push(0, 0.0, datagram(0, record(0, 30, due_s)))
        receiver.push(0, 0.0, datagram(2, record(0, 30)))
        assert len(_asked(receiver, 0.004)) == 1
        assert _missing(receiver, 0.0045) == 1
        assert _asked(receiver, 1.0051) == []
        assert receiver.trunk_report(0).given_up == 1
        assert _missing(receiver, 1.1) == 3


def test_repairs_count_neither_as_datagrams_nor_in_their_latency():
    with engine(1) as receiver:
        sent = datagram(0, record(0, 30))
        receiver.push(0, 1.0, model.HEAD.pack(*Head.of(sent)._replace(flags=model.REPAIR)) + sent[model.HEAD.size :])
        report = receiver.trunk_report(0)
        assert (report.records_received, report.datagrams_received, sum(report.latency)) == (1, 0, 0)
        receiver.push(0, 1.0, datagram(1, record(1, 30)))
        assert (report.records_received, report.datagrams_received, sum(report.latency)) == (2, 1, 1)


def test_datagrams_and_the_end_that_beats_tell_are_taken_as_far_as_there_are_seats():
    furthest = 8192 - 64 - 1
    with engine(1) as receiver:
        report = receiver.trunk_report(0)
        places = (-1, 1), (furthest + 1, 2), (furthest, 2), (furthest + 1, 3), (0, 3), (furthest + 1, 3)
        for place, rejected in places:
            receiver.push(0, 0.0, datagram(place, record(place, 30)))
            assert report.rejected == rejected
        assert report.records_received == 3
    for end, lost in ((furthest + 1, False), (furthest, True)):
        with engine(1) as receiver:
            receiver.push(0, 0.0, _beat(1 << 20, end, 0, 1))
            asks = carried(receiver, 1e-3, model.ASK)
            assert len(asks) == (-(-furthest // 299) if lost else 0)
            assert max(map(len, asks), default=0) <= 1232
            assert _asked(receiver, 2e-3) == ([sequence(place) for place in range(furthest)] if lost else [])


def test_no_seat_is_given_away_while_what_it_is_for_is_missing():
    with engine(1) as receiver:
        for end in (5000, 12_000, 4000):  # the last one was overtaken
            receiver.push(0, 0.0, _beat(1 << 20, end, 0, 1))
        assert _asked(receiver, 1e-3) == [sequence(place) for place in range(5000)]


def test_what_the_other_host_sends_before_play_begins_here_is_asked_for_in_play():
    probe = model.HEAD.pack(model.MAGIC, 1, model.PROBE, sequence(3), cookie(SECRET, 1, 0), 0, 0, 0, 1, sequence(0))
    with engine(0) as receiver:
        receiver.attend()
        receiver.push(1, 5000.0, probe + bytes(40))
        receiver.play(0.0)
        receiver.push(1, 0.1, _beat(1 << 20, 3))
        assert _asked(receiver, 0.1002) == [sequence(place) for place in range(3)]
        assert _asked(receiver, 0.1052) == []
        assert receiver.trunk_report(1).given_up == 3


def test_a_sender_remembers_1024_asks_and_repairs_them_in_their_order():
    with engine(0) as sender:
        sender.push(1, 0.0, _beat(1 << 22))
        for number in range(1200):
            sender.offer(0, 0.0, packet(number, 40), 40)
            sender.play(0.0)
            assert len(carried(sender, 1.0)) == 1
        for begin in (0, 700):  # so that the second round passes the end of the memory for asks
            asked = [(begin + place) % 1200 for place in range(1100)]
            for first in range(0, 1100, 290):
                sender.push(1, 2.0, _ask(asked[first : first + 290]))
            again = carried(sender, 2.0)
            assert [Head.of(one).sequence for one in again] == [sequence(place) for place in asked[:1024]]
            assert {Head.of(one).flags for one in again} == {model.REPAIR}
        sender.push(1, 3.0, _ask([1200, 8192]))
        sender.push(1, 3.0, _ask([998, 1001]))
        sender.push(1, 3.0, _beat(1 << 22, missing=1000))  # what is asked for need not be there any more
        sender.push(1, 3.0, _ask([999, 1000]))
        assert [Head.of(one).sequence for one in carried(sender, 3.0)] == [sequence(1001), sequence(1000)]
        assert sender.trunk_report(1).repaired == 2050


@settings(max_examples=2)
@given(st.integers(0, 2**40))
def test_every_record_comes_once_through_bursts_of_loss_over_all_places_of_the_rings(name):
    """Rounds of so many datagrams, of which such a share is lost; others are doubled or overtaken at times."""
    dice, now_s, number = Dice(f"trunk bursts/{name}"), 0.0, 0

    def passed(sent: list[bytes], share: float) -> list[bytes]:
        return [one for one in sent for _ in range(0 if dice.chance(share) else dice.choice([1, 1, 1, 2]))]

    with engine(0) as sender, engine(1) as receiver:
        sender.push(1, 0.0, _beat(1 << 22))
        for count, share in [(dice.randint(1, 1500), dice.random()), (3000, 0.9)]:
            expected, flying = [], []
            for _ in range(count):
                expected.append(packet(number, 30 + number % 50))
                assert sender.offer(0, now_s, expected[-1], 40)
                sender.play(now_s)
                number += 1
                now_s += 1.01e-4
                flying += passed(carried_all(sender, now_s), share)
            for look in range(200):
                if dice.chance(0.3):
                    dice.shuffle(flying)
                for one in flying:
                    receiver.push(0, now_s, one)
                lossy = share if look < 3 else 0.0
                for one in passed(carried_all(receiver, now_s), lossy):
                    sender.push(1, now_s, one)
                if receiver.trunk_report(0).records_received == number:
                    break
                now_s += 3.1e-4
                flying = passed(carried_all(sender, now_s), lossy)
            assert [one.data for one in receiver.in_flight(0)] == expected
            now_s += 2 * DELAY_S
            receiver.play(now_s)
            receiver.take()
        report = receiver.trunk_report(0)
        assert (report.given_up, report.rejected, report.late) == (0, 0, 0)
        assert sender.trunk_report(1).datagrams_sent == number
        assert sender.trunk_report(1).dropped == 0


def test_records_that_are_due_together_keep_their_order_however_far_apart_they_are_in_the_stream():
    """A link whose delay falls makes all of some milliseconds due together, while other links fill the trunk."""
    with engine(1) as receiver:
        receiver.push(0, 0.0, datagram(0, record(1, 31, 1.0)))
        for place in range(1, 20_000):
            receiver.push(0, 0.0, datagram(place, record(0, 30)._replace(end=9)))  # of no link
        receiver.push(0, 0.0, datagram(20_000, record(1, 32, 1.0)))
        assert [one.size for one in receiver.in_flight(0)] == [31, 32]


def _beats_us(trunk_engine: Engine, until_us: int, from_us: int = 0) -> list[int]:
    """When an engine beats, looked at each 10 us and a little later each time, so that no rounding decides. Other
    datagrams are taken out, too."""
    found = []
    for now_us in range(from_us, until_us, 10):
        found += [now_us for one in carried_all(trunk_engine, now_us * 1.000001e-6) if Head.of(one).kind == model.BEAT]
    return found


def test_beats_follow_data_ever_more_slowly_until_they_are_acknowledged():
    with engine(0) as sender:
        sender.offer(0, 0.0, packet(1, 40), 40)
        sender.play(0.0)
        assert _beats_us(sender, 100) == [0]  # the first of all
        beats_us = [600, 1600, 3600, 7600, 15_600, 31_600]  # from 100 us on the data is under way
        assert _beats_us(sender, 40_000, 100) == beats_us
        sender.push(1, 0.04, _beat(1 << 20, missing=1))
        assert _beats_us(sender, 400_000, 40_000) == [63_600, 313_600]  # one was due, then as without data


def test_a_beat_says_whether_its_sender_lacks_an_acknowledgement():
    with engine(0) as sender:
        sender.offer(0, 0.0, packet(1, 40), 40)
        sender.play(0.0)
        carried_all(sender, 1.0)
        for now_s, missing, flags in ((1.1, 0, model.UNACKED), (1.5, 1, 0)):
            sender.push(1, now_s, _beat(1 << 20, missing=missing))
            (told,) = carried(sender, now_s, model.BEAT)
            assert (Head.of(told).flags, Head.of(told).sequence) == (flags, sequence(1))


def test_a_record_behind_one_that_fills_its_datagram_begins_the_next_one():
    fills = 1440 - model.RECORD.size - 10
    with engine(0) as sender:
        for number, size in enumerate((fills, 40, fills - 1, 40)):
            sender.offer(0, 0.0, packet(number, size), size)
        sender.play(0.0)
        sent = carried(sender)
        assert [Head.of(one).begin for one in sent][:2] == [0, 0]
        assert [one.size for one in model.read_stream(sent)] == [fills, 40, fills - 1, 40]


def test_a_beat_tells_of_records_that_have_been_sent_not_of_those_that_wait_for_room():
    def told(now_s: float) -> list[int]:
        beats = carried(sender, now_s, model.BEAT)
        return [model.BEAT_BODY.unpack_from(one, model.HEAD.size)[0] for one in beats]

    with engine(0) as sender:
        for number in range(2):
            sender.offer(0, 0.0, packet(number, 60_000), 60_000)
        sender.play(0.0)
        assert told(0.0) == []
        assert told(0.1) == [0]  # 64 KB are sent until the other side has told its room
        assert sender.trunk_report(1).records_sent == 2
        sender.push(1, 1.0, _beat(1 << 30, missing=1))
        assert told(1.0) == []
        assert told(2.0) == [2]


def test_data_is_acknowledged_within_a_millisecond_and_at_once_where_a_beat_asks():
    (sent,) = model.datagrams([record(0, 40)], [1440], cookie(SECRET, 0, 1), 0)
    asking = _beat(1 << 20, 1, 0, 1, flags=model.UNACKED)
    with engine(1) as receiver:
        assert _beats_us(receiver, 1000) == [0]
        receiver.push(0, 1e-3, sent)
        assert _beats_us(receiver, 20_000, 1000) == [2000]  # once: the sender asks if it is lost
        for now_us in (20_000, 20_010, 20_100):
            receiver.push(0, now_us * 1e-6, asking)
            assert _beats_us(receiver, now_us + 10, now_us) == ([20_000] if now_us == 20_000 else [])
        assert _beats_us(receiver, 40_000, 20_110) == [20_500]  # however many ask
        receiver.push(0, 0.04, _beat(1 << 20, 1, 0, 1))
        assert _beats_us(receiver, 100_000, 40_000) == []


SIZES = (1232, 1472, 8972)


def _narrow(limit_bytes: int, datagrams: list[bytes]) -> list[bytes]:
    """What a path lets through."""
    return [one for one in datagrams if len(one) <= limit_bytes]


@given(
    st.sampled_from([600, *SIZES, 65_000]), st.sampled_from([600, *SIZES, 65_000]),
    st.lists(st.booleans(), max_size=60), st.lists(st.booleans(), max_size=60), st.integers(0, 12),
)  # fmt: skip
def test_the_largest_size_that_passes_both_ways_is_found_before_play_and_whatever_is_lost_both_take_what_comes(
    there, back, lost_there, lost_back, ahead
):
    """`ahead`: looks at the trunk that one host takes after the other has begun to play."""
    with engine(0, 8972) as answers, engine(1, 8972) as asks:
        losses = {answers: iter(lost_back), asks: iter(lost_there)}
        engines = [(asks, 0, answers, 1, there), (answers, 1, asks, 0, back)]
        for look in range(40 + ahead):
            for each in (answers, asks)[: 2 if look < 40 else 1]:
                each.attend()
            if look == 40:
                asks.play(0.0)
            for sender, peer, receiver, own, limit in engines:
                for one in _narrow(limit, list(iter(lambda: sender.pull(peer, look * 1e-2), b""))):  # noqa: B023
                    if not next(losses[sender], False):
                        receiver.push(own, look * 1e-2, one)
        for each in (answers, asks):
            each.play(0.0)
        found = asks.trunk_report(0).datagram_bytes, answers.trunk_report(1).datagram_bytes
        if not any(lost_there) and not any(lost_back):
            whole = max((size for size in SIZES if size <= min(there, back)), default=SIZES[0])
            assert found == (whole, whole)
        assert max(found) <= max(SIZES[0], min(there, back))
        for sender, peer, receiver, own, _ in engines:
            sender.push(peer, 1.0, _beat(1 << 22, 0, peer, own))
            sender.offer(own, 0.0, packet(1, 30_000), 30_000)
            sender.play(0.0)
            sent = carried_all(sender, 2.0)
            assert max(map(len, sent)) <= sender.trunk_report(peer).datagram_bytes
            for one in sent:
                receiver.push(own, 2.0, one)
            assert [one.data for one in receiver.in_flight(own)] == [packet(1, 30_000)]
            assert receiver.trunk_report(own).rejected == 0


def test_a_host_that_never_heard_what_passes_takes_it_and_what_begins_to_pass_in_play_is_left_alone():
    with engine(0, 8972) as answers, engine(1, 8972) as asks:
        for each in (answers, asks):
            each.attend()
        (tried,) = [one for one in carried_all(asks, 0.0) if Head.of(one).kind == model.SIZE]
        answers.push(1, 0.0, tried)
        (answer,) = [one for one in carried_all(answers, 0.0) if Head.of(one).kind == model.SIZED]
        asks.push(0, 0.0, answer)
        answers.play(0.0)
        asks.play(0.0)
        assert [asks.trunk_report(0).datagram_bytes, answers.trunk_report(1).datagram_bytes] == [8972, 1232]
        asks.push(0, 1.0, _beat(1 << 22, 0, 0, 1))
        asks.offer(1, 0.0, packet(1, 30_000), 30_000)
        asks.play(0.0)
        for one in carried_all(asks, 2.0):
            answers.push(1, 2.0, one)
        assert [one.data for one in answers.in_flight(1)] == [packet(1, 30_000)]
    with engine(0, 8972) as narrow:
        narrow.attend()
        narrow.play(0.0)
        carried_all(narrow, 0.0)
        narrow.push(1, 0.0, tried)
        assert carried_all(narrow, 0.0) == []
        assert narrow.trunk_report(1).rejected == 0  # it was under way when play began
    with engine(1, 8972) as narrow:
        narrow.attend()
        narrow.play(0.0)
        narrow.push(0, 0.0, answer)
        assert [narrow.trunk_report(0).datagram_bytes, narrow.trunk_report(0).rejected] == [1232, 0]


def test_sizes_that_nobody_can_have_sent_are_rejected():
    def sized(kind: int, size: int, own: int) -> bytes:
        head = model.HEAD.pack(
            model.MAGIC, 1, kind, sequence(0), cookie(SECRET, 1 - own, own), 0, 0, 0, 1 - own, sequence(0)
        )
        return head + struct.pack("<II", 8972, 0) + bytes(size - model.HEAD.size - 8)

    for own, expected in ((0, model.SIZE), (1, model.SIZED)):  # host 0 answers, host 1 asks
        with engine(own, 1472) as receiver:
            receiver.attend()
            report = receiver.trunk_report(1 - own)
            receiver.push(1 - own, 0.0, sized(expected, 1472, own))
            assert report.rejected == 0
            receiver.push(1 - own, 0.0, sized(expected, 8972, own))
            receiver.push(1 - own, 0.0, sized(expected, 1472, own)[:36])
            receiver.push(1 - own, 0.0, sized(model.SIZE + model.SIZED - expected, 1472, own))
            assert report.rejected == 3
            receiver.play(0.0)
            assert report.datagram_bytes == (1472 if own else 1232)  # 8,972 cannot pass: no such size has come


def test_four_times_of_a_probe_reach_both_hosts():
    with engine(0) as lead, engine(1) as other:
        probe = carried_all(other, 2.0)[0]
        lead.push(1, 5.0, probe)
        answer = next(one for one in carried_all(lead, 5.5) if Head.of(one).kind == model.ANSWER)
        other.push(0, 2.75, answer)
        result = next(one for one in carried_all(other, 2.8) if Head.of(one).kind == model.RESULT)
        lead.push(1, 6.0, result)
        for report in (lead.trunk_report(1), other.trunk_report(0)):
            one = report.probe[0]
            assert report.probed == 1
            times = one.asked_ns, one.heard_ns, one.told_ns, one.answered_ns
            assert [each / 1e9 for each in times] == [2.0, 5.0, 5.5, 2.75]
            assert one.asker == 1
            assert report.least_rtt_s == 0.25
        assert lead.trunk_report(1).rejected == other.trunk_report(0).rejected == 0


def test_times_of_a_probe_may_be_any_numbers():
    times = [(1 << 63) - 1, -1 << 63, (1 << 63) - 1, -1 << 63]  # asked, answered, heard, told
    head = model.HEAD.pack(model.MAGIC, 1, model.RESULT, sequence(0), cookie(SECRET, 1, 0), 0, 0, 0, 1, sequence(0))
    with engine(0) as receiver:
        receiver.push(1, 0.0, head + struct.pack("<5q", *times, 1))
        report = receiver.trunk_report(1)
        assert report.probed == 1
        assert [report.probe[0].asked_ns, report.probe[0].answered_ns] == times[:2]


def carried_all(trunk_engine: Engine, now_s: float) -> list[bytes]:
    return list(iter(lambda: trunk_engine.pull(trunk_engine.trunks[0], now_s), b""))


def test_strangers_other_versions_and_broken_heads_are_counted_and_dropped():
    good = model.datagrams([record(0, 100)], [1440], cookie(SECRET, 0, 1), 0)[0]
    head = Head.of(good)
    wrong = [
        head._replace(magic=1), head._replace(version=2), head._replace(kind=8), head._replace(cookie=7),
        head._replace(host=2), head._replace(begin=500), head._replace(sequence=sequence(9000)),
    ]  # fmt: skip
    with engine(1) as receiver:
        for number, one in enumerate(wrong, 1):
            receiver.push(0, 0.0, model.HEAD.pack(*one) + good[model.HEAD.size :])
            assert receiver.trunk_report(0).rejected == number
        receiver.push(0, 0.0, good[:20])
        receiver.push(0, 0.0, good[: model.HEAD.size])
        assert receiver.trunk_report(0).rejected == len(wrong) + 2
        assert receiver.in_flight(0) == []
        receiver.push(0, 0.0, good)
        assert len(receiver.in_flight(0)) == 1


def test_a_datagram_that_is_larger_than_any_that_was_found_to_pass_is_rejected():
    """Else its end would lie in the place of its neighbour."""
    with engine(1) as receiver:
        for body_bytes, rejected in ((1441, 1), (8972 - model.HEAD.size, 2), (1440, 2)):
            one = record(0, body_bytes - model.RECORD.size - 10)
            (sent,) = model.datagrams([one], [body_bytes], cookie(SECRET, 0, 1), 0)
            receiver.push(0, 0.0, sent)
            assert receiver.trunk_report(0).rejected == rejected
        assert len(receiver.in_flight(0)) == 1


def test_records_that_make_no_sense_are_counted_and_those_behind_them_come():
    fine = record(1, 40)
    wrong = [
        fine._replace(end=2), fine._replace(end=-1), fine._replace(node=0), fine._replace(node=9),
        fine._replace(kind=3), fine._replace(kind=1), fine._replace(due_s=inf), fine._replace(dest=4),
        fine._replace(dest=-3), fine._replace(data=b"short"),
    ]  # fmt: skip
    sent = model.datagrams([*wrong, fine], [1400], cookie(SECRET, 0, 1), 0)
    with engine(1) as receiver:
        for datagram in sent:
            receiver.push(0, 0.0, datagram)
        assert receiver.trunk_report(0).rejected == len(wrong)
        assert [one.data for one in receiver.in_flight(0)] == [fine.data]


def downlink() -> Engine:
    """Host 0 with all nodes; host 1 may send it the queue of end 1."""
    spec = EndSpec(schedule=PiecewiseSchedule.constant(1.0))
    nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.0.0.{n + 1}") for n in range(2))
    network = Network(nodes, (LinkSpec("n0:up", 0, 1, "up", "x", spec, spec, moving=True),))
    hosts = Hosts(0, np.arange(2, dtype=np.uint8), {1: trunk(SECRET, 0, 1)})
    return Engine(network, [], None, 1, hosts=hosts, small_slots=64, large_slots=8)


def test_a_record_that_is_too_large_is_counted_also_where_its_head_is_torn():
    """Else a queue's state would be read beyond the room for it."""
    state = record(0, 70_000)._replace(end=1, kind=2)  # a queue's state
    sent = model.datagrams([state], [20, 1440], cookie(SECRET, 1, 0), 1)
    with downlink() as receiver:
        for datagram in sent:
            receiver.push(1, 0.0, datagram)
        assert receiver.trunk_report(1).rejected == 1


def test_a_torn_record_that_is_longer_or_shorter_than_its_datagrams_say_is_counted():
    """Else bytes would be read that never came."""
    whole = record(0, 2000)
    for length in (whole.size + 10 - 1, whole.size + 10 + 1, 60_000):
        stream = whole.packed()[: model.RECORD.size - 4] + struct.pack("<I", length) + whole.data
        with engine(1) as receiver:
            for place, (first, last, begin) in enumerate([(0, 1440, 0), (1440, len(stream), len(stream) - 1440)]):
                told = sequence(place), cookie(SECRET, 0, 1), 0, begin, 0, 0, sequence(0)
                receiver.push(0, 0.0, model.HEAD.pack(model.MAGIC, 1, model.DATA, *told) + stream[first:last])
            assert receiver.trunk_report(0).rejected == 1
            assert receiver.in_flight(0) == []


def test_a_queue_cannot_be_in_any_state_and_a_state_comes_once():
    fine = [-inf, -inf, inf, 0.0, 0.0]  # last departure, last arrival, seconds a byte, bytes left, since when
    wrong = [[*fine[:place], value, *fine[place + 1 :]] for place in range(5) for value in (nan, inf)]
    wrong.remove(fine)
    wrong += [[*fine[:place], -inf, *fine[place + 1 :]] for place in (2, 3, 4)] + [[*fine[:3], -1.0, 0.0]]
    waits = 1  # else it would be gone when it has come
    sent = [struct.pack("<5dI4x", *state, waits) for state in (*wrong, fine)]
    sent.insert(0, sent[-1][:-1])
    records = [Record(0.0, 1, 0, -1, 0, 2, step, 0, data) for step, data in enumerate(sent)]
    with downlink() as receiver:
        for datagram in model.datagrams([*records, records[-1]], [1400], cookie(SECRET, 1, 0), 1):
            receiver.push(1, 0.0, datagram)
        report = receiver.trunk_report(1)
        assert report.records_received == len(records) + 1
        assert report.rejected == len(records)  # all but the one before the last


def test_what_comes_late_is_counted_and_what_was_overtaken_too():
    records = [record(n, 40, due_s=1.0) for n in range(4)]
    sent = model.datagrams(records, [model.RECORD.size + 50], cookie(SECRET, 0, 1), 0)
    with engine(1) as receiver:
        for number, now_s in ((0, 0.9), (2, 0.9), (1, 1.1), (3, 1.1)):
            receiver.push(0, now_s, sent[number])
        report = receiver.trunk_report(0)
        assert (report.late, report.reordered) == (2, 1)
        assert [one.data[10] for one in receiver.in_flight(0)] == [0, 1, 2, 3]


def test_packets_of_two_senders_that_are_due_together_come_in_the_order_of_the_steps_in_which_they_left():
    """A downlink's sender is of another host in each step; what the first one sent last comes last."""
    spec = EndSpec(schedule=PiecewiseSchedule.constant(1.0))
    nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.0.0.{n + 1}") for n in range(3))
    network = Network(nodes, (LinkSpec("n0:up", 0, 1, "up", "x", spec, spec, moving=True),))
    trunks = {peer: trunk(SECRET, 0, peer) for peer in (1, 2)}
    hosts = Hosts(0, np.arange(3, dtype=np.uint8), trunks)
    with Engine(network, [], None, 1, hosts=hosts, small_slots=64, large_slots=8) as receiver:
        for sender, step, place in ((2, 1, 0), (1, 0, 3), (1, 0, 2)):
            one = record(0, place + 40)._replace(end=1, node=0, step=step)
            receiver.push(sender, 0.0, datagram(place, one, sender, 0))
        assert [one.size for one in receiver.in_flight(1)] == [42, 43, 40]
