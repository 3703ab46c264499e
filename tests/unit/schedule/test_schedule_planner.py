"""The planner: its pace without a clock, and a whole conversation over a socket."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from math import inf

import msgpack
import numpy as np
import pytest

from emulator.model.errors import DataError
from emulator.model.network import Handover, LinkSpec, Network, NodeSpec, ScheduleRow, SubstepSpec, SubstepTables
from emulator.schedule.fib import FibCompiler, RouteDelta
from emulator.schedule.planner import Pace, deltas, parts, run_planner
from emulator.schedule.ring import RowRing


def test_rows_are_computed_as_far_as_the_ring_reaches():
    pace = Pace(step_s=2.0, steps=10, capacity=5)
    for _ in range(4):  # rows 0 to 3 while nothing plays
        assert pace.wait_s(-inf) == 0
        pace.done(0.1, -inf)
    assert pace.wait_s(-inf) == inf
    assert pace.wait_s(-3.0) == 5.0  # play begins in 3 s, its second step 2 s later
    assert pace.wait_s(0.5) == 1.5
    assert pace.wait_s(2.0) == 0
    pace.done(0.1, 2.0)
    assert pace.wait_s(2.0) == 2.0
    assert pace.cpu_s == pytest.approx(0.5)
    assert pace.late == 0


def test_rows_after_their_start_are_late():
    pace = Pace(step_s=1.0, steps=3, capacity=4)
    assert pace.done(0.0, 0.25) == 0.25  # row 0 after play began
    assert pace.done(0.0, 0.9) == 0
    assert pace.done(0.0, 7.0) == 5.0
    assert pace.finished
    assert pace.wait_s(9.0) == inf
    assert pace.summary() == {"op": "summary", "cpu_s": 0.0, "rows": 3, "late": 2}


def test_a_playable_row_is_never_overwritten():
    pace = Pace(step_s=0.25, steps=500, capacity=4)
    for now in np.arange(0, 100, 0.1):
        while pace.wait_s(now) == 0:
            overwritten = pace.next_step - pace.capacity
            assert (overwritten + 2) * 0.25 <= now + 1e-9  # it and the row after it have played
            pace.done(0.0, now)
        wait = pace.wait_s(now)
        assert pace.finished or Pace.wait_s(pace, now + wait + 1e-9) == 0


ENDS, NODES = 2, 2
NETWORK = Network(
    tuple(NodeSpec(f"n{i}", "host", True, f"10.0.0.{i + 1}") for i in range(NODES)), (LinkSpec("l", 0, 1, "p", "q"),)
)


class Steps:
    """A timeline whose rows carry their number, whose route is there on even steps, and that may fail at one."""

    def __init__(self, step_s: float, fail_at: int = -1, failure: Exception | None = None) -> None:
        self.step_s, self.fail_at, self.failure = step_s, fail_at, failure

    def rows(self, first, count):
        for step in range(first, first + count):
            if step == self.fail_at and self.failure:
                raise self.failure
            number = np.full(ENDS, float(step))
            end = np.array([[-1, 1], [0, -1]], np.int32) if step % 2 == 0 else np.full((2, 2), -1, np.int32)
            change = (Handover(step * self.step_s, 0, 0, 1),) if step else ()
            up, peer = np.ones(ENDS, bool), np.array([1, 0], np.int32)
            yield ScheduleRow(step, number, number, number, number * 0, up, peer, end, change)


class Planned:
    """A planner in a thread and the supervisor's end of its socket."""

    def __init__(
        self, timeline: Steps, steps: int, capacity: int = 4, substep: SubstepSpec | None = None, **more
    ) -> None:
        self.ring = RowRing(ENDS, NODES, NODES, capacity, substep)
        self.control, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(20)
        self.raised: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(timeline, steps, more))
        self.thread.start()

    def _run(self, timeline, steps, more) -> None:
        try:
            run_planner(timeline, self.ring, self._far, steps, **more)
        except RuntimeError as error:
            self.raised = error
        self._far.close()

    def send(self, **message) -> None:
        self.control.send(msgpack.packb(message))

    def until(self, op: str) -> list[dict]:
        messages = []
        while not messages or messages[-1]["op"] != op:
            data = self.control.recv(65536)
            assert data, f"the planner ended before {op}: {messages}"
            messages.append(msgpack.unpackb(data))
        return messages

    def ended(self) -> bool:
        self.control.close()
        self.thread.join(20)
        return not self.thread.is_alive()


def test_a_run_from_ready_to_summary():
    planned = Planned(Steps(0.01), steps=20, ready_rows=2, fibs=[FibCompiler(NETWORK)])
    before = planned.until("ready")
    assert before[-1] == {"op": "ready", "steps": 2}
    assert planned.ring.latest >= 1
    planned.send(op="start", t0_ns=time.monotonic_ns())
    messages = before + planned.until("summary")
    rows = [message for message in messages if message["op"] == "row"]
    assert [row["step"] for row in rows] == list(range(20))
    assert [row["handovers"] for row in rows] == [0] + [1] * 19
    assert all(row["cpu_s"] >= 0 and row["late_s"] >= 0 for row in rows)
    summary = messages[-1]
    assert summary["rows"] == 20
    assert summary["late"] == sum(row["late_s"] > 0 for row in rows)
    assert summary["cpu_s"] == pytest.approx(sum(row["cpu_s"] for row in rows))
    changes = {message["step"]: deltas(message["deltas"]) for message in messages if message["op"] == "routes"}
    assert list(changes) == list(range(20))
    assert changes[0] == [RouteDelta(0, [(0x0A000000, 30, 0)]), RouteDelta(1, [(0x0A000000, 30, 1)])]
    assert changes[1] == [RouteDelta(0, delete=[(0x0A000000, 30)]), RouteDelta(1, delete=[(0x0A000000, 30)])]
    for op in ("routes", "row"):  # changes are announced in the order of steps, before their row
        found = [message["step"] for message in messages if message["op"] == op]
        assert found == sorted(found)
    assert planned.ended()


def test_nothing_is_computed_beyond_the_ring_before_play():
    planned = Planned(Steps(1.0), steps=86_400, capacity=6)
    planned.until("ready")
    for step in (2, 3, 4):
        assert planned.until("row")[-1]["step"] == step
    planned.send(op="stop")
    assert planned.until("summary")[-1]["rows"] == 5
    assert planned.ended()


def test_the_planner_ends_with_its_supervisor():
    planned = Planned(Steps(1.0), steps=1000)
    planned.until("ready")
    assert planned.ended()
    assert planned.raised is None


def test_a_run_shorter_than_the_rows_asked_for():
    planned = Planned(Steps(1.0), steps=1, ready_rows=5)
    assert [message["op"] for message in planned.until("summary")] == ["row", "ready", "summary"]
    empty = Planned(Steps(1.0), steps=0)
    assert [message["op"] for message in empty.until("summary")] == ["ready", "summary"]
    assert planned.ended()
    assert empty.ended()


def test_failures_of_the_timeline_are_told():
    planned = Planned(Steps(1.0, 1, DataError("stations.csv:3: no latitude")), steps=5)
    assert planned.until("failed")[-1] == {"op": "failed", "step": 1, "message": "stations.csv:3: no latitude"}
    assert planned.ended()
    assert planned.raised is None
    planned = Planned(Steps(1.0, 0, RuntimeError("a bug")), steps=5)
    assert "a bug" in planned.until("failed")[-1]["message"]
    assert planned.ended()
    assert str(planned.raised) == "a bug"


def test_finer_tables_that_miss_their_step_are_a_failure():
    class Off(Steps):
        def rows(self, first, count):
            for row in super().rows(first, count):
                t_s, column = np.array([[0.0, 1.0]]), np.zeros((1, 2))
                yield replace(
                    row, substep=SubstepTables(np.array([2], np.int32), t_s, column, column, column, column == 0)
                )

    planned = Planned(Off(1.0), steps=5, substep=SubstepSpec(np.array([0], np.int32), 4))
    assert planned.until("failed")[-1] == {
        "op": "failed", "step": 1, "message": "substep table 0: knots from 0 s to 1 s; expected 1 s to 2 s",
    }  # fmt: skip
    assert planned.ended()


@pytest.mark.parametrize("version", [4, 6])
def test_many_routes_travel_in_parts(version):
    changes = [
        RouteDelta(
            node,
            [(address, 32, address % 7) for address in range(2500)],
            [(address, 24) for address in range(900)],
            version,
        )
        for node in range(3)
    ]
    changes += [RouteDelta(node + 3, [(1, 8, -1)], [], version) for node in range(2000)]
    found: dict[int, RouteDelta] = {}
    for part in parts(changes):
        assert len(msgpack.packb({"op": "routes", "step": 10**6, "deltas": part})) < 65536
        for change in deltas(part):
            whole = found.setdefault(change.node, RouteDelta(change.node, [], [], version))
            whole.add.extend(change.add)
            whole.delete.extend(change.delete)
    assert list(found.values()) == changes
    assert list(parts([])) == []
