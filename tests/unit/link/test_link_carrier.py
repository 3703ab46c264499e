"""When interfaces show carrier: by schedule, by order, and what is told of it. Plugs are lists here."""

import threading
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.link.carrier import CHANGES_PER_MESSAGE, LATE_ROW_S, Carriers
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.piecewise import outages, segment, validate


def table(*rows, period_s=inf):
    """Knots from rows of (t, up)."""
    t = np.array([row[0] for row in rows], float)
    return PiecewiseSchedule(t, t * 0, t + inf, t * 0, np.array([row[1] for row in rows], bool), period_s)


ALWAYS = table((0.0, True))


class Bench:
    """Carriers of links whose two directions follow pairs of tables; `log` holds (port, up) as plugs are set."""

    def __init__(self, *pairs, carrier=True, broken=()):
        nodes = (NodeSpec("a", "host", True), NodeSpec("b", "host", True))
        links = tuple(
            LinkSpec(f"a:p{n}", 0, 1, f"p{n}", f"q{n}", *(EndSpec(schedule=knots) for knots in pair), carrier=carrier)
            for n, pair in enumerate(pairs)
        )
        self.log, self.told, self.overrides = [], [], {}
        self.broken = broken
        ports = {end: SimpleNamespace(fileno=lambda end=end: end) for end in range(2 * len(links))}
        self.carriers = Carriers(
            Network(nodes, links),
            ports,
            lambda end: self.overrides.get(end, {}),
            self.told.append,
            self.clock,
            self.plug,
        )
        self.now = -0.5
        self.carriers.begin()

    def clock(self):
        return self.now + 0.001

    def plug(self, fd):
        def put(up):
            if fd in self.broken:
                raise OSError(22, "no such thing")
            self.log.append((fd, up))

        return SimpleNamespace(set=put, close=lambda: None)

    def play(self, now):
        self.now = now
        if now >= self.carriers.next_s:
            self.carriers.play(now)
        self.settle()

    def order(self, end, up, now):
        self.overrides[end] = {} if up is None else {"up": up}
        self.now = now
        self.carriers.look_again([end], now)
        self.settle()

    def settle(self):
        """Until the thread has done what it was given."""
        done = threading.Event()
        self.carriers.afterwards(done.set)
        assert done.wait(10.0)


def test_a_link_without_carrier_is_left_alone():
    bench = Bench((table((0.0, False), (1.0, True)), ALWAYS), carrier=False)
    bench.carriers.tell_initial()
    assert (bench.carriers.next_s, bench.log, bench.told) == (inf, [], [])


def test_both_directions_must_be_up():
    bench = Bench((table((0.0, True), (1.0, False), (3.0, True)), table((0.0, True), (2.0, False), (4.0, True))))
    bench.carriers.tell_initial()
    assert bench.log == bench.told == []
    assert bench.carriers.next_s == 1.0
    bench.play(2.5)
    assert bench.log == [(0, False), (1, False)]
    assert bench.carriers.next_s == 3.0
    bench.play(3.5)
    assert len(bench.log) == 2
    bench.play(4.0)
    assert bench.log[2:] == [(0, True), (1, True)]
    assert bench.told == [
        {"op": "carrier", "t_s": 1.0, "at_s": 2.501, "changes": [(0, False)]},
        {"op": "carrier", "t_s": 4.0, "at_s": 4.001, "changes": [(0, True)]},
    ]
    assert bench.carriers.next_s == inf


def test_what_begins_down_is_down_before_play_and_told_at_the_start():
    bench = Bench((ALWAYS, ALWAYS), (ALWAYS, table((0.0, False), (1.0, True))))
    assert bench.log == [(2, False), (3, False)]
    assert bench.told == []
    bench.carriers.tell_initial()
    assert bench.told == [{"op": "carrier", "t_s": 0.0, "at_s": -0.499, "changes": [(1, False)]}]


def test_orders_come_before_the_schedule_and_go_back_to_it():
    bench = Bench((table((0.0, True), (1.0, False), (2.0, True), (3.0, False)), ALWAYS))
    bench.order(1, False, 0.5)
    bench.play(2.5)
    assert bench.log == [(0, False), (1, False)]
    bench.order(1, None, 2.6)
    assert bench.log[2:] == [(0, True), (1, True)]
    bench.order(0, True, 2.7)
    bench.play(5.0)
    assert len(bench.log) == 4
    bench.order(0, None, 5.0)
    assert bench.log[4:] == [(0, False), (1, False)]
    assert [message["t_s"] for message in bench.told] == [0.5, 2.6, 5.0]


def test_links_that_change_together_are_told_together_in_parts():
    pair = (table((0.0, True), (1.0, False)), ALWAYS)
    bench = Bench(*[pair] * (CHANGES_PER_MESSAGE + 5))
    bench.play(1.0)
    assert [len(message["changes"]) for message in bench.told] == [CHANGES_PER_MESSAGE, 5]


def test_a_plug_that_cannot_be_set_is_told_and_the_others_go_on():
    bench = Bench((table((0.0, True), (1.0, False)), ALWAYS), broken=(0,))
    bench.play(1.0)
    assert bench.log == [(1, False)]
    assert [message["op"] for message in bench.told] == ["error", "carrier"]
    assert "link a:p0" in bench.told[0]["message"]


@st.composite
def tables(draw):
    gaps = draw(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0]), min_size=1, max_size=7))
    t = [sum(gaps[1 : n + 1]) for n in range(len(gaps))]
    period = draw(st.sampled_from([inf, t[-1] + 0.5]))
    return validate(table(*[(at, draw(st.booleans())) for at in t], period_s=period))


@settings(max_examples=200)
@given(tables())
def test_outages_say_up_exactly_as_the_table_does(knots):
    short = outages(knots)
    for t in np.arange(-1.0, 12.0, 0.25):
        assert segment(short, t).up == segment(knots, t).up
    assert len(short.t_s) <= len(knots.t_s)


@settings(max_examples=100)
@given(st.lists(st.tuples(tables(), tables()), min_size=1, max_size=3), st.data())
def test_interfaces_always_show_what_holds(pairs, data):
    bench = Bench(*pairs)
    shown = dict.fromkeys(range(2 * len(pairs)), True)
    now = 0.0
    for _ in range(12):
        now += data.draw(st.sampled_from([0.0, 0.2, 0.5, 1.3]))
        bench.play(now)
        if data.draw(st.booleans()):
            bench.order(
                data.draw(st.integers(0, 2 * len(pairs) - 1)), data.draw(st.sampled_from([None, True, False])), now
            )
        shown.update(bench.log)
        for end in shown:
            ways = (2 * (end // 2), 2 * (end // 2) + 1)
            scheduled = [segment(pairs[end // 2][side], now).up for side in (0, 1)]
            up = [bench.overrides.get(way, {}).get("up", way_up) for way, way_up in zip(ways, scheduled, strict=True)]
            assert shown[end] == all(up)
        assert bench.carriers.next_s > now
    times = [message["t_s"] for message in bench.told]
    assert times == sorted(times)


def test_times_are_those_of_the_table():
    bench = Bench((table((0.0, True), (0.1, False), (0.2, True), period_s=0.3), ALWAYS))
    for n in range(1, 400):
        bench.play(n * 0.01)
    asked = [message["t_s"] for message in bench.told]
    assert asked[:4] == pytest.approx([0.1, 0.2, 0.4, 0.5])
    assert len(asked) == 26


class Rows:
    """Rows by step, as far as they have been put there."""

    bytes_per_row = 0.0

    def __init__(self):
        self.by_step = {}

    def put(self, step, up, peer):
        ends = np.zeros(len(up))
        self.by_step[step] = ScheduleRow(
            step, ends, ends, ends + inf, ends, np.array(up), np.array(peer, np.int32), np.zeros((0, 0), np.int32)
        )

    @property
    def latest(self):
        return max(self.by_step, default=-1)

    def row(self, step):
        if step not in self.by_step:
            raise LookupError(step)
        return self.by_step[step]

    copied = row

    def holds(self, step):
        return step in self.by_step


class Sky(Bench):
    """A station's moving link, and a fixed link between its two satellites; both follow rows of a second."""

    def __init__(self, *rows):
        nodes = tuple(NodeSpec(name, "node", True, shared_downlink=name != "gs") for name in ("gs", "sat-1", "sat-2"))
        links = (
            LinkSpec("gs:up", 0, 1, "up", "down", moving=True, carrier=True),
            LinkSpec("sat-1:isl0", 1, 2, "isl0", "isl1", carrier=True),
        )
        self.log, self.told, self.overrides, self.broken = [], [], {}, ()
        self.rows, self.now = Rows(), -0.5
        for step, (serving, isl) in enumerate(rows):
            self.plan(step, serving, isl)
        ports = {end: SimpleNamespace(fileno=lambda end=end: end) for end in (0, 2, 3)}  # `down` is shared
        network = Network(nodes, links, SimpleNamespace(step_s=1.0, rates=None, substep=None))
        self.carriers = Carriers(
            network, ports, lambda end: self.overrides.get(end, {}), self.told.append, self.clock, self.plug, self.rows
        )
        self.carriers.begin()

    def plan(self, step, serving, isl):
        self.rows.put(step, [serving >= 0] * 2 + [isl] * 2, [serving, 0 if serving >= 0 else -1, 2, 1])


def test_links_without_knots_follow_rows():
    sky = Sky((1, True), (1, False), (-1, False), (2, True))
    assert (sky.log, sky.carriers.next_s) == ([], 1.0)
    sky.play(1.0)
    assert sky.log == [(2, False), (3, False)]
    sky.play(2.0)
    assert sky.log[2:] == [(0, False)]
    sky.play(3.0)
    assert sky.log[3:] == [(0, True), (2, True), (3, True)]
    assert [message["t_s"] for message in sky.told] == [1.0, 2.0, 3.0]


def test_a_handover_takes_carrier_away_and_gives_it_back():
    sky = Sky((1, True), (2, True), (2, True))
    sky.play(1.0)
    sky.play(2.0)
    assert sky.log == [(0, False), (0, True)]
    assert sky.told == [{"op": "carrier", "t_s": 1.0, "at_s": 1.001, "changes": [(0, False), (0, True)]}]


def test_a_handover_of_a_link_that_an_order_holds_down_shows_nothing():
    sky = Sky((1, True), (2, True), (2, True))
    sky.order(0, False, 0.5)
    sky.play(1.0)
    assert sky.log == [(0, False)]
    sky.order(0, None, 1.5)
    assert sky.log == [(0, False), (0, True)]


def test_a_row_that_comes_late_counts_from_its_own_time():
    sky = Sky((1, True))
    sky.play(1.0)
    assert (sky.log, sky.carriers.next_s) == ([], 1.0 + LATE_ROW_S)
    sky.plan(1, 1, False)
    sky.play(1.2)
    assert sky.log == [(2, False), (3, False)]
    assert sky.told[0]["t_s"] == 1.0
    assert sky.carriers.next_s == 2.0


def test_rows_that_play_has_passed_over_are_passed_over():
    sky = Sky((1, True), (1, False), (2, True))
    sky.play(2.5)
    assert sky.log == [(0, False), (0, True)]
