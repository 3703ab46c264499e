"""The engine reads rows while the planner writes them, in every order of the two: what it takes is of one whole row.

The engine is compiled with a call in the middle of its reads, in which the writer goes on by some rows or stops in the
middle of one.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from ctypes import CDLL, CFUNCTYPE, c_double, c_int32, c_void_p, cast
from pathlib import Path

import numpy as np
import pytest
from mutants import Mutant, compile_mutant

from emulator.link.engine import binding
from emulator.link.engine.engine import Engine, Holds, new_order
from emulator.link.engine.structures import OrderKind
from emulator.link.engine.tables import memory_ports
from emulator.model.network import LinkSpec, Network, NodeSpec, ScheduleRow
from emulator.schedule.ring import RowRing

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) is installed")
CAPACITY = 3
STEP_S = 1.0
END = 2  # from the transit node t to b
FIELDS = ("delay_start_s", "delay_end_s", "rate_bps", "loss", "up", "peer", "next_end")  # in the order of writing
MIDDLE = [
    Mutant("a row is read in two halves", "schedule.c",
           "        out->rate_bps = row_rate_bps(c, row, number);\n",
           "        between();\n        out->rate_bps = row_rate_bps(c, row, number);\n"),
    Mutant("a route is read after a while", "forward.c",
           "        int32_t end = r->routes ? r->routes[place] : -1;\n",
           "        between();\n        int32_t end = r->routes ? r->routes[place] : -1;\n"),
    Mutant("batching is worked out over a while", "schedule.c",
           "    for (int32_t n = 0; n < e->leaves_transit_count; n++) {\n",
           "    between();\n    for (int32_t n = 0; n < e->leaves_transit_count; n++) {\n"),
    Mutant("routes are kept after a while", "schedule.c",
           "    int32_t *routes = malloc(bytes ? bytes : 1);\n",
           "    between();\n    int32_t *routes = malloc(bytes ? bytes : 1);\n"),
    Mutant("there is a middle", "core.h",
           "#include <stdatomic.h>\n", "#include <stdatomic.h>\nextern void (*between)(void);\n"),
]  # fmt: skip
PROBES = """
#include "core.h"
static void nothing(void) {}
ENGINE_API extern void (*between)(void);
void (*between)(void) = nothing;
ENGINE_API int32_t probe_route(engine *e, int32_t dest, int32_t node, double t_s);
ENGINE_API double probe_batching(engine *e);
ENGINE_API double probe_new_batching(engine *e);
int32_t probe_route(engine *e, int32_t dest, int32_t node, double t_s)
{
    lane *l = &e->lanes[0];
    if (t_s >= l->rows.stop_s) routes_move(l, t_s);
    return route(l, dest, node);
}
double probe_batching(engine *e) { return e->lanes[0].rows.batching_s; }
double probe_new_batching(engine *e) { batching_update(&e->lanes[0]); return probe_batching(e); }
"""
BETWEEN = CFUNCTYPE(None)


class Timeline:
    rates = substep = None
    step_s = STEP_S


def network(routing: str = "least-delay") -> Network:
    nodes = tuple(NodeSpec(name, "host", name != "t", f"10.0.0.{number + 1}") for number, name in enumerate("atbc"))
    links = LinkSpec("a:t", 0, 1, "t", "a"), LinkSpec("t:b", 1, 2, "b", "t"), LinkSpec("t:c", 1, 3, "c", "t")
    return Network(nodes, links, Timeline(), routing)


def row(step: int) -> ScheduleRow:
    """A row that says its step in every column."""
    ends, ones = 2 * len(network().links), np.ones(6)
    return ScheduleRow(
        step, ones * (step + 1), ones * (step + 1), ones * (step + 1) * 1e6, ones * (step + 1) / 100,
        np.ones(ends, bool), np.array([1, 0, 2, 1, 3, 1], np.int32), np.full((3, 4), step, np.int32),
    )  # fmt: skip


class Stopped(Exception):
    """The writer, in the middle of a row."""


class Half:
    """A row whose writer stops before the column `at`: every column before it is written."""

    def __init__(self, whole: ScheduleRow, at: str) -> None:
        self._whole, self._at, self._asked = whole, at, 0

    def __getattr__(self, name: str) -> object:
        if name == self._at:
            self._asked += 1
            if self._asked == 2:  # `put` looks at all shapes, then at the values
                raise Stopped
        return getattr(self._whole, name)


def step_told(holds: Holds) -> int:
    """The one step that all values tell of."""
    steps = {
        round(holds.delay_start_s - 1), round(holds.delay_end_s - 1), round(holds.rate_bps / 1e6 - 1),
        round(holds.loss * 100 - 1),
    }  # fmt: skip
    assert len(steps) == 1, f"torn: {holds}"
    return steps.pop()


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> CDLL:
    folder: Path = tmp_path_factory.mktemp("engine")
    (folder / "probes_of_rows.c").write_text(PROBES)
    found = binding.load(compile_mutant(folder, *MIDDLE))
    found.probe_route.argtypes, found.probe_route.restype = (c_void_p, c_int32, c_int32, c_double), c_int32
    found.probe_batching.argtypes, found.probe_batching.restype = (c_void_p,), c_double
    found.probe_new_batching.argtypes, found.probe_new_batching.restype = (c_void_p,), c_double
    return found


class Both:
    """A ring with its writer, and the engine that reads it."""

    def __init__(self, library: CDLL, rows: int = CAPACITY, routing: str = "least-delay") -> None:
        self.ring = RowRing(6, 4, 3, CAPACITY)
        self.write(rows)
        net = network(routing)
        self.engine = Engine(net, memory_ports(net), self.ring, 1, small_slots=64, large_slots=4)
        self.library = library
        self._middle = c_void_p.in_dll(library, "between")
        self._before, self._kept = self._middle.value, None

    def write(self, rows: int) -> None:
        for _ in range(rows):
            self.ring.put(row(self.ring.latest + 1))

    def stop_writing(self, at: str) -> None:
        """Write the next row up to the column `at`, and stop there."""
        with pytest.raises(Stopped):
            self.ring.put(Half(row(self.ring.latest + 1), at))

    def meanwhile(self, act: Callable[[], None]) -> None:
        """Do this, once, in the middle of the next read."""

        def once() -> None:
            self._middle.value = self._before
            act()

        self._kept = BETWEEN(once)
        self._middle.value = cast(self._kept, c_void_p).value

    def route(self, t_s: float) -> int:
        return int(self.library.probe_route(self.engine._engine, 0, 1, t_s))

    def close(self) -> None:
        self._middle.value = self._before
        self.engine.close()


@pytest.fixture
def both(library, monkeypatch):
    monkeypatch.setattr("emulator.link.engine.engine.library", lambda: library)
    made: list[Both] = []

    def make(*args, **options) -> Both:
        made.append(Both(library, *args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("by", range(7))
def test_the_writer_overtakes_a_reader_in_the_middle_of_a_row(both, by) -> None:
    it = both()
    it.meanwhile(lambda: it.write(by))
    holds = it.engine.holds(END, 0.5)
    assert step_told(holds) == (0 if by == 0 else it.ring.latest)
    assert holds.start_s <= 0.5 < holds.stop_s


@pytest.mark.parametrize("at", FIELDS)
def test_a_reader_comes_while_the_writer_stands_in_the_middle_of_a_row(both, at) -> None:
    it = both()
    it.stop_writing(at)  # the row of step 3, where that of step 0 was
    for t_s in (0.5, 3.5):
        assert step_told(it.engine.holds(END, t_s)) == 2
    it.write(1)
    assert step_told(it.engine.holds(END, 3.5)) == 3


@pytest.mark.parametrize("at", FIELDS)
def test_the_writer_stops_in_the_middle_of_a_row_that_is_being_read(both, at) -> None:
    it = both()
    it.meanwhile(lambda: it.stop_writing(at))
    assert step_told(it.engine.holds(END, 0.5)) == 2
    it.write(1)
    assert step_told(it.engine.holds(END, 3.5)) == 3


def test_a_ring_whose_only_row_is_being_written_says_that_an_end_is_down(both) -> None:
    it = both(0)
    it.stop_writing("up")
    holds = it.engine.holds(END, 0.5)
    assert (holds.up, holds.peer) == (False, -1)


def test_a_route_is_of_a_row_that_stands(both) -> None:
    it = both()
    assert it.route(0.5) == 0
    it.stop_writing("handovers")  # the routes of step 3 lie where those of step 0 were, but the row does not stand
    assert it.route(0.5) == 2
    it.write(1)
    assert it.route(3.5) == 3


@pytest.mark.parametrize("by", range(1, 4))
def test_rows_go_while_a_route_is_read(both, by) -> None:
    it = both()
    assert it.route(0.5) == 0
    it.meanwhile(lambda: it.write(by))
    assert it.route(0.5) == it.ring.latest == 2 + by


def test_the_row_stops_being_while_a_route_is_read(both) -> None:
    it = both()
    assert it.route(0.5) == 0
    it.meanwhile(lambda: it.stop_writing("handovers"))
    assert it.route(0.5) == 2


def test_routes_that_hold_for_the_whole_run_are_of_one_row(both) -> None:
    it = both(routing="static")
    it.meanwhile(lambda: it.stop_writing("handovers"))  # while the routes of step 0 are copied
    assert it.route(0.5) == -1, "no routes yet"
    it.write(1)
    assert it.route(3.5) == 3
    it.write(2)
    assert it.route(5.5) == 3


def test_batching_comes_from_a_row_that_stands_or_there_is_none(both) -> None:
    it = both()
    it.route(1.5)
    engine, batching_s = it.engine._engine, it.library.probe_new_batching
    assert batching_s(engine) > 0.0
    it.meanwhile(lambda: it.write(2))
    assert batching_s(engine) == 0.0


def test_a_set_delay_counts_while_it_holds_and_no_longer(both) -> None:
    """How far transit hops may wait for each other follows from the delays that hold: an action leaves no trace."""
    it = both()
    it.route(0.5)
    engine, batching_s = it.engine._engine, it.library.probe_batching
    thread = threading.Thread(target=it.engine.run, args=(0, 0, -1, False))
    before = it.library.probe_new_batching(engine)
    thread.start()
    try:
        seen = [before]
        for delay_s in (0.0, 1e-4, None):
            number = it.engine.send(new_order(OrderKind.SET, END, values={"delay_s": delay_s}))
            while it.engine.obeyed() < number:
                pass
            seen.append(batching_s(engine))
    finally:
        it.engine.send(new_order(OrderKind.STOP))
        thread.join()
    assert before > 5e-5
    assert seen == [before, 0.0, 5e-5, before]
