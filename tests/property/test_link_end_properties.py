"""Properties of a link end over random schedules, effects, packets and changes: nothing vanishes, nothing overtakes."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.link.effects import Impairments
from emulator.link.overtaking import end_for
from emulator.link.stats import DROPS, EndStats
from emulator.network import Effects, GilbertElliott, Knots
from emulator.schedule.knots import evaluate, segment

rates = st.sampled_from([0.0, 8e3, 1e5, 1e6, inf])
delays = st.sampled_from([0.0, 0.001, 0.05, 0.3])
queues = st.sampled_from([0.0, 1.0, 3.0, 20.0, inf])


some_loss = st.sampled_from([0.0, 0.0, 0.3, 1.0])
up_or_down = st.booleans()
no_loss, always_up = st.just(0.0), st.just(True)


@st.composite
def schedules(draw, losses=some_loss, ups=up_or_down):
    count = draw(st.integers(1, 6))
    steps = draw(st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.5]), min_size=count - 1, max_size=count - 1))
    t = np.concatenate([[0.0], np.cumsum(steps)])
    column = lambda values: np.array([draw(values) for _ in range(count)])  # noqa: E731
    period = draw(st.sampled_from([inf, float(t[-1]) + 0.25]))
    return Knots(t, column(delays), column(rates), column(losses), column(ups).astype(bool), period)


@st.composite
def traffic(draw):
    """Batches of packets in time order, with changes of configuration between them."""
    t, out = 0.0, []
    for _ in range(draw(st.integers(1, 12))):
        t += draw(st.sampled_from([0.0, 0.0001, 0.01, 0.2]))
        kind = draw(st.sampled_from(["offer"] * 5 + ["due", "set", "hold"]))
        if kind == "offer":
            gaps = draw(st.lists(st.sampled_from([0.0, 0.001, 0.05]), min_size=1, max_size=5))
            moments = [t := t + gap for gap in gaps]
            sizes = draw(st.lists(st.sampled_from([20, 100, 1500]), min_size=len(gaps), max_size=len(gaps)))
            out.append(("offer", t, list(zip(moments, sizes, strict=True))))
        elif kind == "set":
            value = {"rate_bps": draw(st.one_of(st.none(), rates)), "up": draw(st.sampled_from([None, True, False]))}
            out.append(("set", t, value))
        else:
            out.append((kind, t, draw(st.booleans())))
    return out


effects = st.builds(
    Effects,
    queue_bytes=st.sampled_from([0.0, 200.0, 3000.0, inf]),
    queue_packets=queues,
    queue_s=st.sampled_from([0.0, 0.01, 0.2, inf]),
    head_drop=st.booleans(),
    burst_loss=st.sampled_from([None, GilbertElliott(0.2, 0.3)]),
    jitter_s=st.sampled_from([0.0, 0.02]),
    reorder=st.booleans(),
    overtake=st.booleans(),
    duplicate=st.sampled_from([0.0, 0.3]),
    corrupt=st.sampled_from([0.0, 0.3]),
    hold_when_down=st.booleans(),
)


def play(knots, chosen, script, look=True):
    """Run a script; returns the end, the items that came out, and when each packet was offered, by its number."""

    def source(t):
        stretch = segment(knots, t)
        return stretch, 1, stretch.stop_s, 0

    end = end_for(chosen)(source, chosen, lambda: Impairments(chosen, 3, "end"))
    out, number, offered, t = [], 0, [], 0.0
    for kind, t, what in script:
        if kind == "offer":
            items = []
            for at, size in what:
                items.append((at, bytes(10) + b"\x45" + bytes(19) + number.to_bytes(4, "big"), size, number, 9, -1))
                offered.append(at)
                number += 1
            end.offer(items)
        elif kind == "set":
            end.set(t, **what)
        elif kind == "hold":
            end.hold(t, what)
        if look:
            out += end.due(t)
            check(end)
    for _ in range(400):
        at = end.next_s()
        if at > t + 60:
            break
        out += end.due(at)
        check(end)
        assert end.next_s() > at
    return end, out, offered


def check(end):
    """Conservation, and the queue's own accounts."""
    stats = end.stats()
    sent = stats[EndStats.SENT_PACKETS] + stats[EndStats.DUPLICATED]
    assert sent == stats[EndStats.DELIVERED_PACKETS] + sum(stats[drop] for drop in DROPS) + end.inside
    inside = sum(item[2] for item in end.waiting) + sum(item[2] for item in end.flying)
    assert end.sent_bytes - end.delivered_bytes - end.dropped_bytes == inside
    assert end.waiting_bytes == sum(item[2] for item in list(end.waiting)[1:])


@settings(max_examples=100, deadline=None)
@given(schedules(), effects, traffic())
def test_every_packet_is_delivered_dropped_with_a_cause_or_inside(knots, chosen, script):
    end, out, offered = play(knots, chosen, script)
    assert len(out) == end.stats()[EndStats.DELIVERED_PACKETS]
    assert end.sent_packets == len(offered)


@settings(max_examples=100, deadline=None)
@given(schedules(), effects, traffic())
def test_packets_come_out_in_the_order_of_their_times_and_never_before_they_came(knots, chosen, script):
    _, out, offered = play(knots, chosen, script)
    assert [item[0] for item in out] == sorted(item[0] for item in out)
    assert all(item[0] >= offered[item[3]] for item in out)
    if not chosen.overtaking:
        numbers = [item[3] for item in out]
        assert numbers == sorted(numbers)


@settings(max_examples=60, deadline=None)
@given(schedules(no_loss, always_up), traffic())
def test_no_packet_is_earlier_than_its_transmission_and_delay(knots, script):
    script = [step for step in script if step[0] in ("offer", "due")]
    _, out, offered = play(knots, Effects(), script)
    sizes = [size for kind, _, what in script if kind == "offer" for _, size in what]
    best = float(np.max(knots.rate_bps))
    least = float(min(np.min(knots.delay_s), np.min(evaluate(knots, np.linspace(0, 5, 50)).delay_s)))
    for item in out:
        sending = sizes[item[3]] * 8 / best if best < inf else 0.0
        assert item[0] >= offered[item[3]] + sending + least - 1e-9


@settings(max_examples=100, deadline=None)
@given(
    schedules(no_loss, always_up),
    traffic(),
    st.sampled_from([Effects(), Effects(queue_bytes=2000)]),
)
def test_how_often_the_relay_looks_changes_nothing(knots, script, chosen):
    """Asked times do not depend on when the end is asked: a late relay delays nobody further."""
    offers = [step for step in script if step[0] == "offer"]
    often = play(knots, chosen, offers)[1]
    seldom = play(knots, chosen, offers, look=False)[1]
    assert [item[3] for item in often] == [item[3] for item in seldom]
    assert [item[0] for item in often] == pytest.approx([item[0] for item in seldom], abs=1e-9)


SLOT_S = 0.04


@st.composite
def slotted(draw, rates):
    """A table whose delay jumps by whole slots, at the slots' beginnings; loss is none or all, the rate is constant."""
    count = draw(st.integers(1, 8))
    delay_s = np.array([draw(st.integers(0, 5)) for _ in range(count)]) * SLOT_S + 0.007
    rate = draw(rates)
    loss = np.array([draw(some_loss if rate == inf else no_loss) for _ in range(count)])
    up = np.array([draw(up_or_down if rate == inf else always_up) for _ in range(count)], bool)
    t = np.arange(count) * SLOT_S
    both = np.sort(np.concatenate([t, t[1:]]))  # each value holds to the end of its slot
    column = np.repeat(np.arange(count), 2)[: len(both)]
    period = draw(st.sampled_from([inf, count * SLOT_S]))
    return Knots(both, delay_s[column], np.full(len(both), rate), np.floor(loss)[column], up[column], period)


@settings(max_examples=150, deadline=None)
@given(slotted(st.sampled_from([inf, inf, 1.1e5])), st.data())
def test_an_overtaking_end_is_departure_and_delay_and_nothing_else(knots, data):
    chosen = Effects(overtake=True)
    rate = float(knots.rate_bps[0])

    def source(t):
        stretch = segment(knots, t)
        return stretch, 1, stretch.stop_s, 0

    end = end_for(chosen)(source, chosen)
    expected, out, number, t, free_s = [], [], 0, 0.0031415926, 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):  # as the relay does: at each wake-up something may come, and nothing comes late
            until = t + data.draw(st.sampled_from([0.0, 0.001, SLOT_S, 0.1]))
            while (at := end.next_s()) <= until:
                items = end.due(at)
                assert all(item[0] >= at - 1e-12 for item in items)
                out += items
            t = until
        else:  # a late relay
            t += data.draw(st.sampled_from([0.0, 0.0017, SLOT_S, 0.13]))
            out += end.due(t)
        items = []
        for _ in range(data.draw(st.integers(0, 4))):
            t += data.draw(st.sampled_from([0.0, 0.0013, SLOT_S]))
            items.append((t, bytes(30), 77, number, 9, -1))
            free_s = max(t, free_s) + 77 * 8 / rate
            values = evaluate(knots, np.array([free_s]))
            if values.up[0] and not values.loss[0]:
                expected.append((free_s + float(values.delay_s[0]), number))
            number += 1
        if items:
            end.offer(items)
    while (at := end.next_s()) < inf and at < t + 60:
        out += end.due(at)
    check(end)
    assert end.inside == 0
    expected.sort(key=lambda pair: pair[0])  # stable: ties in the order in which they left
    assert [item[0] for item in out] == pytest.approx([arrival for arrival, _ in expected], abs=1e-9)
    if rate == inf:
        assert [item[3] for item in out] == [name for _, name in expected]
