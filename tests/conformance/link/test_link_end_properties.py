"""Properties of a link end over random schedules, effects, packets and changes: nothing vanishes, nothing overtakes."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_ends import KINDS, Setting, inside, make, make_end

from emulator.link.stats import DROPS, EndStats
from emulator.model.network import Effects, GilbertElliott, PiecewiseSchedule
from emulator.schedule.piecewise import evaluate

pytestmark = pytest.mark.parametrize("kind", KINDS)

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
    return PiecewiseSchedule(t, column(delays), column(rates), column(losses), column(ups).astype(bool), period)


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


def named(item):
    """Number of a packet: in its IP header, so that no effect changes it."""
    return int.from_bytes(item.data[26:30], "big")


def times(items):
    return [item.at_s for item in items]


def play(kind, knots, chosen, script, look=True):
    """Run a script; returns the end, the packets that came out, and when each was offered, by its number."""
    end = make_end(kind, Setting(knots, chosen, seed=3))
    out, number, offered, t = [], 0, [], 0.0
    for step, t, what in script:
        if step == "offer":
            items = []
            for at, size in what:
                items.append(
                    (at, bytes(10) + b"\x45" + bytes(15) + number.to_bytes(4, "big") + bytes(9), size, -1, 0, -1)
                )
                offered.append(at)
                number += 1
            end.offer(items)
        elif step == "set":
            end.set(t, **what)
        elif step == "hold":
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
    """Conservation of packets."""
    stats = end.stats()
    sent = stats[EndStats.SENT_PACKETS] + stats[EndStats.DUPLICATED]
    assert sent == stats[EndStats.DELIVERED_PACKETS] + sum(stats[drop] for drop in DROPS) + inside(end)


@settings(max_examples=60)
@given(schedules(), effects, traffic())
def test_every_packet_is_delivered_dropped_with_a_cause_or_inside(kind, knots, chosen, script):
    end, out, offered = play(kind, knots, chosen, script)
    assert len(out) == end.stats()[EndStats.DELIVERED_PACKETS]
    assert end.stats()[EndStats.SENT_PACKETS] == len(offered)


@settings(max_examples=60)
@given(schedules(), effects, traffic())
def test_packets_come_out_in_the_order_of_their_times_and_never_before_they_came(kind, knots, chosen, script):
    _, out, offered = play(kind, knots, chosen, script)
    assert times(out) == sorted(times(out))
    assert all(item.at_s >= offered[named(item)] for item in out)
    if not chosen.overtaking:
        numbers = [named(item) for item in out]
        assert numbers == sorted(numbers)


@settings(max_examples=60)
@given(schedules(no_loss, always_up), traffic())
def test_no_packet_is_earlier_than_its_transmission_and_delay(kind, knots, script):
    script = [step for step in script if step[0] in ("offer", "due")]
    _, out, offered = play(kind, knots, Effects(), script)
    sizes = [size for kind, _, what in script if kind == "offer" for _, size in what]
    best = float(np.max(knots.rate_bps))
    least = float(min(np.min(knots.delay_s), np.min(evaluate(knots, np.linspace(0, 5, 50)).delay_s)))
    for item in out:
        sending = sizes[named(item)] * 8 / best if best < inf else 0.0
        assert item.at_s >= offered[named(item)] + sending + least - 1e-9


@settings(max_examples=60)
@given(
    schedules(no_loss, always_up),
    traffic(),
    st.sampled_from([Effects(), Effects(queue_bytes=2000)]),
)
def test_how_often_the_relay_looks_changes_nothing(kind, knots, script, chosen):
    """Asked times do not depend on when the end is asked: an engine that is late delays no packet further."""
    offers = [step for step in script if step[0] == "offer"]
    often = play(kind, knots, chosen, offers)[1]
    seldom = play(kind, knots, chosen, offers, look=False)[1]
    assert [named(item) for item in often] == [named(item) for item in seldom]
    assert times(often) == times(seldom)


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
    both = np.sort(np.concatenate([t, t[1:], [count * SLOT_S - 1e-9]]))  # each value holds to the end of its slot
    column = np.repeat(np.arange(count), 2)
    period = draw(st.sampled_from([inf, count * SLOT_S]))
    return PiecewiseSchedule(
        both, delay_s[column], np.full(len(both), rate), np.floor(loss)[column], up[column], period
    )


@settings(max_examples=80)
@given(slotted(st.sampled_from([inf, inf, 1.1e5])), st.data())
def test_an_overtaking_end_is_departure_and_delay_and_nothing_else(kind, knots, data):
    chosen = Effects(overtake=True)
    rate = float(knots.rate_bps[0])
    end = make(kind, knots, chosen)
    expected, out, number, t, free_s = [], [], 0, 0.0031415926, 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):  # as the relay does: at each wake-up something may come, and nothing comes late
            until = t + data.draw(st.sampled_from([0.0, 0.001, SLOT_S, 0.1]))
            while (at := end.next_s()) <= until:
                items = end.due(at)
                assert all(item.at_s >= at - 1e-12 for item in items)
                out += items
            t = until
        else:  # a late relay
            t += data.draw(st.sampled_from([0.0, 0.0017, SLOT_S, 0.13]))
            out += end.due(t)
        items = []
        for _ in range(data.draw(st.integers(0, 4))):
            t += data.draw(st.sampled_from([0.0, 0.0013, SLOT_S]))
            items.append((t, bytes(26) + number.to_bytes(4, "big"), 77, -1, 0, -1))
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
    assert inside(end) == 0
    expected.sort(key=lambda pair: pair[0])  # stable: ties in the order in which they left
    assert times(out) == pytest.approx([arrival for arrival, _ in expected], abs=1e-9)
    if rate == inf:
        assert [named(item) for item in out] == [name for _, name in expected]
