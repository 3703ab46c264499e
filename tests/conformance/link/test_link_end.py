"""The contract of a link end, on a clock that only jumps; `tests/netns/link/test_link_tun.py` has it on real ports."""

from math import inf

import pytest
from link_ends import FAR, KINDS, Setting, inside, make, make_end, table
from oracle.link_end import MEMORY_BYTES

from emulator.link.stats import EndStats
from emulator.model.network import Effects, PiecewiseSchedule

pytestmark = pytest.mark.parametrize("kind", KINDS)


def packet(t, size=1000, name=0):
    return (t, bytes(10) + name.to_bytes(4, "big") + bytes(6), size, -1, 0, -1)


def names(items):
    return [int.from_bytes(item[1][10:14], "big") for item in items]


def times(items):
    return [item[0] for item in items]


def drain(end):
    """Everything that will ever come out, asked for exactly when the end says so."""
    out = []
    while (at := end.next_s()) < inf:
        items = end.due(at)
        assert items == [] or items[0][0] <= at
        out += items
    return out


# --- 0 means 0 ---


def test_an_end_without_values_passes_packets_at_the_instant_they_come(kind):
    end = make(kind)
    end.offer([packet(3.0, name=1)])
    assert end.next_s() == 3.0
    assert [(item[0], item[5]) for item in end.due(3.0)] == [(3.0, FAR)]
    assert end.stats()[EndStats.ASKED_DELAY_SUM_S] == 0.0


def test_zero_loss_loses_nothing_and_draws_nothing(kind):
    fresh, end = lossy(kind, "a:b", 0.5), lossy(kind, "a:b", 0.0)
    end.offer([packet(0.001 * n, name=n) for n in range(1000)])
    assert names(drain(end)) == list(range(1000))
    end.set(2.0, loss=0.5)
    for other in (fresh, end):
        other.offer([packet(2.0, name=n) for n in range(1000)])
    assert names(drain(fresh)) == names(drain(end))  # the stream of the loss began with the first of these


def test_a_queue_of_zero_packets_takes_only_what_can_be_sent_at_once(kind):
    end = make(kind, rate_bps=8000.0, effects=Effects(queue_packets=0))
    end.offer([packet(0.0, 100, 1), packet(0.0, 100, 2)])
    end.offer([packet(0.1, 100, 3)])  # the first has just left
    assert names(drain(end)) == [1, 3]
    assert end.stats()[EndStats.DROP_QUEUE] == 1


# --- delay ---


def test_the_delay_is_the_one_that_holds_when_the_packet_leaves_the_queue(kind):
    end = make(kind, table((0, 0.010, 8e6, 0, 1), (1, 0.020, 8e6, 0, 1)))
    end.offer([packet(0.5, 1000)])  # 1 ms to send: it leaves at 0.501
    [arrived] = drain(end)
    assert arrived[0] == pytest.approx(0.501 + 0.010 + 0.010 * 0.501, abs=1e-12)


def test_order_is_kept_where_the_delay_falls(kind):
    end = make(kind, table((0, 0.200, inf, 0, 1), (0.1, 0.200, inf, 0, 1), (0.1, 0.010, inf, 0, 1)))
    end.offer([packet(0.05, name=1)])
    end.offer([packet(0.15, name=2)])
    end.offer([packet(0.30, name=3)])
    out = drain(end)
    assert names(out) == [1, 2, 3]
    assert times(out) == pytest.approx([0.25, 0.25, 0.31])


def test_order_is_kept_while_the_delay_falls_faster_than_time_runs(kind):
    end = make(kind, table((0, 1.0, inf, 0, 1), (0.1, 0.0, inf, 0, 1)))
    end.offer([packet(0.01 * n, name=n) for n in range(10)])
    out = drain(end)
    assert names(out) == list(range(10))
    assert times(out) == sorted(times(out))


# --- rate ---


def test_the_rate_is_exact_over_a_sleep(kind):
    end = make(kind, rate_bps=1e6, delay_s=0.002)
    end.offer([packet(0.0, 1250, n) for n in range(100)])  # 10 ms each
    out = end.due(1.5)  # the relay wakes half a second after everything has happened
    assert times(out) == pytest.approx([0.01 * (n + 1) + 0.002 for n in range(100)], abs=1e-12)


def test_the_rate_is_integrated_over_its_changes(kind):
    end = make(kind, table((0, 0, 1e6, 0, 1), (0.004, 0, 0, 0, 1), (1.0, 0, 2e6, 0, 1)))
    end.offer([packet(0.0, 1250, 1), packet(0.0, 1250, 2)])  # 10,000 bits each; 4,000 leave before the pause
    assert times(drain(end)) == pytest.approx([1.0 + 6000 / 2e6, 1.0 + 16000 / 2e6], abs=1e-12)


def test_a_rate_of_zero_lets_nothing_leave(kind):
    end = make(kind, rate_bps=0.0)
    end.offer([packet(0.0)])
    assert end.due(1e6) == []
    assert end.next_s() == inf
    assert inside(end) == 1


def test_an_idle_transmitter_starts_with_the_packet_not_with_the_past(kind):
    end = make(kind, rate_bps=8000.0)
    end.offer([packet(0.0, 100, 1)])
    end.offer([packet(5.0, 100, 2)])
    assert times(drain(end)) == pytest.approx([0.1, 5.1])


def test_packets_of_one_batch_with_a_gap_between_them_leave_with_the_gap(kind):
    end = make(kind, rate_bps=8000.0)
    end.offer([packet(0.0, 100, 1), packet(5.0, 100, 2)])
    assert times(drain(end)) == pytest.approx([0.1, 5.1])


# --- queue bounds ---


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"queue_packets": 5}, 6),
        ({"queue_bytes": 500}, 6),
        ({"queue_bytes": 599}, 6),
        ({"queue_s": 0.499}, 5),  # the sixth would wait 0.5 s
        ({"queue_s": 0.5}, 6),
        ({"queue_packets": 9, "queue_bytes": 300}, 4),
        ({}, 20),
    ],
)
def test_queue_bounds_are_exact(kind, bounds, kept, at_once):
    end = make(kind, rate_bps=8000.0, effects=Effects(**bounds))  # 100 bytes take 0.1 s
    items = [packet(0.0, 100, n) for n in range(20)]
    for batch in [items] if at_once else [[item] for item in items]:
        end.offer(batch)
    assert names(drain(end)) == list(range(kept))
    assert end.stats()[EndStats.DROP_QUEUE] == 20 - kept


def test_head_drop_keeps_the_newest_and_the_one_in_transmission(kind):
    end = make(kind, rate_bps=8000.0, effects=Effects(queue_packets=3, head_drop=True))
    end.offer([packet(0.0, 100, n) for n in range(10)])
    assert names(drain(end)) == [0, 7, 8, 9]
    assert end.stats()[EndStats.DROP_QUEUE] == 6


def test_head_drop_refuses_a_packet_larger_than_the_queue(kind):
    end = make(kind, rate_bps=8000.0, effects=Effects(queue_bytes=250, head_drop=True))
    end.offer([packet(0.0, 100, n) for n in range(3)])
    end.offer([packet(0.0, 300, 3)])
    assert names(drain(end)) == [0]


def test_the_queue_in_time_counts_what_is_left_of_the_packet_in_transmission(kind):
    end = make(kind, rate_bps=8000.0, effects=Effects(queue_s=0.05))
    end.offer([packet(0.0, 100, 1)])
    end.offer([packet(0.04, 100, 2)])  # would wait 60 ms
    end.offer([packet(0.06, 100, 3)])  # 40 ms
    assert names(drain(end)) == [1, 3]


def test_what_one_end_holds_is_bounded_even_without_a_queue_bound(kind):
    end = make(kind, rate_bps=0.0)
    for name in range(6):
        end.offer([packet(0.0, MEMORY_BYTES // 4, name)])
    assert inside(end) == 4
    assert end.stats()[EndStats.DROP_OVERLOAD] == 2


# --- configuration that changes while packets wait ---


def test_a_new_rate_applies_to_what_is_left(kind):
    end = make(kind, rate_bps=8000.0)
    end.offer([packet(0.0, 1000, 1), packet(0.0, 1000, 2)])
    end.set(0.5, rate_bps=80000.0)  # half of the first has been sent
    assert times(drain(end)) == pytest.approx([0.55, 0.65])


def test_a_new_delay_applies_to_what_has_not_left(kind):
    end = make(kind, rate_bps=8000.0, delay_s=1.0)
    end.offer([packet(0.0, 100, n) for n in range(3)])  # leave at 0.1, 0.2, 0.3
    end.set(0.15, delay_s=2.0)
    assert times(drain(end)) == pytest.approx([1.1, 2.2, 2.3])


def test_values_go_back_to_the_schedule(kind):
    end = make(kind, delay_s=1.0)
    end.set(0.0, delay_s=0.5, rate_bps=8000.0)
    end.offer([packet(0.0, 100, 1)])
    end.set(1.0, delay_s=None, rate_bps=None)
    end.offer([packet(2.0, 100, 2)])
    assert times(drain(end)) == pytest.approx([0.6, 3.0])


def test_a_packet_that_has_left_is_not_called_back(kind):
    end = make(kind, delay_s=1.0)
    end.offer([packet(0.0, name=1)])
    end.set(0.5, up=False)
    assert times(drain(end)) == [1.0]


def test_hold_keeps_packets_and_release_lets_them_go_in_order(kind):
    end = make(kind, rate_bps=8000.0, delay_s=0.01)
    end.offer([packet(0.0, 100, 1), packet(0.0, 100, 2)])
    end.hold(0.05, True)
    end.offer([packet(1.0, 100, 3)])
    assert end.due(5.0) == []
    end.hold(5.0, False)
    out = drain(end)
    assert names(out) == [1, 2, 3]
    assert times(out) == pytest.approx([5.06, 5.16, 5.26])


# --- outage ---


def test_an_outage_drops_what_waits_and_what_comes(kind):
    end = make(kind, table((0, 0, 8000.0, 0, 1), (0.15, 0, 8000.0, 0, 0), (1, 0, 8000.0, 0, 1)))
    end.offer([packet(0.0, 100, n) for n in range(3)])
    end.offer([packet(0.5, 100, 3)])
    end.offer([packet(1.5, 100, 4)])
    assert names(drain(end)) == [0, 4]
    assert end.stats()[EndStats.DROP_OUTAGE] == 3


def test_an_outage_holds_where_asked(kind):
    end = make(
        kind,
        table((0, 0, 8000.0, 0, 1), (0.15, 0, 8000.0, 0, 0), (1, 0, 8000.0, 0, 1)),
        Effects(hold_when_down=True, queue_packets=2),
    )
    end.offer([packet(0.0, 100, n) for n in range(3)])
    end.offer([packet(0.5, 100, n) for n in (3, 4)])
    out = drain(end)
    assert names(out) == [0, 1, 2, 3]
    assert times(out) == pytest.approx([0.1, 1.05, 1.15, 1.25])
    assert end.stats()[EndStats.DROP_QUEUE] == 1


def test_an_end_that_leads_nowhere_is_down(kind):
    end = make_end(kind, Setting(rows=({"peer": -1},), moving=True))
    end.offer([packet(0.0)])
    assert end.stats()[EndStats.DROP_OUTAGE] == 1
    assert end.next_s() == inf


def test_packets_go_to_the_node_that_was_the_far_end_when_they_left(kind):
    rows = {"peer": 1, "delay_s": 0.5}, {"peer": 2, "delay_s": 0.5}
    end = make_end(kind, Setting(rows=rows, moving=True, transit=True, nodes=3))
    for t in (0.9, 1.1):
        end.offer([(t, bytes(10) + b"\x45" + bytes(19), 20, 0, 60, -1)])
    assert [(item.at_s, item.node, item.hops) for item in drain(end)] == [(1.4, 1, 59), (1.6, 2, 59)]


# --- effects on an end ---


def lossy(kind, name, loss=0.2, **effects):
    return make_end(kind, Setting(PiecewiseSchedule.constant(loss=loss), Effects(**effects), name, seed=5))


def test_scheduled_loss_stays_within_binomial_bounds_and_repeats_with_its_seed(kind):
    survivors = []
    for _ in range(2):
        end = lossy(kind, "a:b")
        end.offer([packet(0.0, name=n) for n in range(20000)])
        survivors.append(names(drain(end)))
    lost = 20000 - len(survivors[0])
    assert abs(lost - 4000) < 4 * (20000 * 0.2 * 0.8) ** 0.5
    assert survivors[0] == survivors[1]
    other = lossy(kind, "a:c")
    other.offer([packet(0.0, name=n) for n in range(20000)])
    assert names(drain(other)) != survivors[0]


def test_one_packet_at_a_time_or_in_batches_meets_the_same_fate(kind):
    whole, single = lossy(kind, "x:y", duplicate=0.1), lossy(kind, "x:y", duplicate=0.1)
    items = [packet(0.001 * n, name=n) for n in range(2000)]
    whole.offer(items)
    for item in items:
        single.offer([item])
    assert drain(whole) == drain(single)
    assert whole.stats() == single.stats()


def test_jitter_keeps_order_unless_reordering_is_asked(kind):
    items = [packet(0.001 * n, name=n) for n in range(1000)]
    ordered = lossy(kind, "j:k", 0.0, jitter_s=0.01)
    reordered = lossy(kind, "j:k", 0.0, jitter_s=0.01, reorder=True)
    ordered.offer(items)
    reordered.offer(items)
    out = drain(ordered)
    assert names(out) == list(range(1000))
    mixed = drain(reordered)
    assert times(mixed) == sorted(times(mixed))
    assert names(mixed) != list(range(1000))
    added = [item[0] - 0.001 * name for item, name in zip(mixed, names(mixed), strict=True)]
    assert min(added) >= 0
    assert max(added) <= 0.02
    assert 0.009 < sum(added) / 1000 < 0.011


def test_a_packet_behind_a_lost_one_is_asked_for_in_time(kind):
    """The lost one would have been due at 0.4 s; the one behind it leaves when the delay has fallen."""
    knots = table((0.0, 0.3, 8e3, 1.0, True), (0.15, 0.3, 8e3, 1.0, True), (0.15, 0.001, 8e3, 0.0, True))
    end = make(kind, knots)
    end.offer([packet(0.0, 100, 1), packet(0.0, 100, 2)])  # 0.1 s each
    seen = []
    while (at := end.next_s()) < inf:
        seen += [(at, name) for name in names(end.due(at))]
    assert seen == [(pytest.approx(0.201), 2)]


def logged(end):
    """What the end's log has: time it left, name of the packet, cause."""
    return [(round(left_s, 6), int.from_bytes(data[10:14], "big"), cause) for left_s, data, cause in end.log]


def test_the_log_tells_what_left_and_what_was_dropped(kind):
    end = make(kind, rate_bps=8000.0, delay_s=1.0, effects=Effects(queue_packets=0))
    end.offer([packet(0.0, 100, 1), packet(0.0, 100, 2)])
    drain(end)
    assert logged(end) == [(0.0, 2, EndStats.DROP_QUEUE), (0.1, 1, 0)]


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, (0.0, 0.0, 0.0)),  # many at once, without a queue
        ({"rate_bps": 8e9}, (1e-7, 2e-7, 3e-7)),
        ({"rate_bps": 8000.0}, (0.1, 0.2, 0.3)),
        ({"effects": Effects(jitter_s=0.001)}, (0.0, 0.0, 0.0)),
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_every_way_through_an_end_is_logged(kind, settings, left, one_by_one):
    end = make(kind, delay_s=1.0, **settings)
    packets = [packet(0.0, 100, name) for name in (1, 2, 3)]
    for some in [[item] for item in packets] if one_by_one else [packets]:
        end.offer(some)
    assert names(drain(end)) == [1, 2, 3]
    assert logged(end) == [(pytest.approx(t, abs=1e-6), name, 0) for name, t in zip((1, 2, 3), left, strict=True)]


# --- overtaking ---


def falling(kind, **effects):
    """The delay falls from 100 ms to 10 ms at 0.05 s."""
    knots = table((0.0, 0.1, inf, 0.0, True), (0.05, 0.1, inf, 0.0, True), (0.05, 0.01, inf, 0.0, True))
    return make(kind, knots, Effects(**effects))


def test_a_later_packet_overtakes_where_it_may_and_else_waits_for_the_first(kind):
    for overtake, expected in ((False, [(0.14, 1), (0.14, 2)]), (True, [(0.07, 2), (0.14, 1)])):
        end = falling(kind, overtake=overtake)
        end.offer([packet(0.04, name=1)])
        end.offer([packet(0.06, name=2)])
        out = drain(end)
        assert list(zip(times(out), names(out), strict=True)) == [pytest.approx(pair) for pair in expected]


def test_an_overtaking_packet_that_waits_for_its_turn_is_asked_for_in_time(kind):
    knots = table((0.0, 1.0, 8e4, 0.0, True), (0.15, 1.0, 8e4, 0.0, True), (0.15, 0.01, 8e4, 0.0, True))
    end = make(kind, knots, Effects(overtake=True))
    end.offer([packet(0.0, name=1), packet(0.0, name=2)])  # 0.1 s each
    seen = []
    while (at := end.next_s()) < inf:
        seen += [(at, name) for name in names(end.due(at))]
    assert seen == [(pytest.approx(0.21), 2), (pytest.approx(1.1), 1)]


def test_packets_that_arrive_at_one_time_come_in_the_order_in_which_they_left(kind):
    knots = table((0.0, 0.2, inf, 0.0, True), (0.1, 0.1, inf, 0.0, True), (0.2, 0.0, inf, 0.0, True))
    end = make(kind, knots, Effects(overtake=True))
    for name, t in enumerate((0.0, 0.1, 0.15, 0.2)):
        end.offer([packet(t, name=name)])
    out = end.due(0.2)
    assert times(out) == [0.2] * 4
    assert names(out) == [0, 1, 2, 3]


def test_the_log_of_an_overtaking_end_is_by_departure(kind):
    end = falling(kind, overtake=True)
    end.offer([packet(0.04, name=1), packet(0.06, name=2)])
    assert names(drain(end)) == [2, 1]
    assert [row[:2] for row in logged(end)] == [(0.04, 1), (0.06, 2)]
    assert end.stats()[EndStats.ASKED_DELAY_SUM_S] == pytest.approx(0.11)
