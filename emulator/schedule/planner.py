"""The planner: computes the rows of a timeline ahead of play and puts them into the ring.

Invariant: a row that is playing, or played in the step before, is never overwritten: the newest row is at most
`capacity - 2` steps after the playing one.

Control is a SOCK_SEQPACKET socket with msgpack maps. The planner sends

    {"op": "ready", "steps": n}                              the first n rows stand; once
    {"op": "routes", "step": n, "deltas": […]}               kernel routes from the start of step n on; before its row
    {"op": "row", "step": n, "cpu_s", "late_s", "handovers", "digest"}
                                                             for each row; late_s > 0: finished after its start
    {"op": "failed", "step": n, "message"}                   the timeline raised; nothing follows
    {"op": "summary", "cpu_s", "rows", "late"}               last

and takes {"op": "start", "t0_ns"} and {"op": "stop"}. It ends after the last row, when told, or when the socket closes.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor, inf
from typing import Any

from emulator.model.clock import monotonic_ns
from emulator.model.errors import SkyloomError
from emulator.model.network import Timeline
from emulator.schedule.fib import FibCompiler, RouteDelta
from emulator.schedule.ring import RowRing
from emulator.schedule.row_digest import RowDigest, joined
from emulator.schedule.substep import validate

_ROUTES_PER_MESSAGE = 1500  # some 40 kB, far below the socket's buffer
_MESSAGE_BYTES = 65536


class Pace:
    """When the next row may be computed, and whether it came in time. No clock: `now_s` is scenario time."""

    def __init__(self, step_s: float, steps: int, capacity: int) -> None:
        self.step_s, self.steps, self.capacity = step_s, steps, capacity
        self.next_step = 0
        self.cpu_s = 0.0
        self.late = 0

    @property
    def finished(self) -> bool:
        return self.next_step >= self.steps

    def wait_s(self, now_s: float) -> float:
        """Time until the next row may be computed: 0 now, inf never (all rows are there)."""
        if self.finished:
            return inf
        playing = max(0, floor(now_s / self.step_s)) if now_s > 0 else 0
        ahead = self.next_step - playing - (self.capacity - 2)
        return 0.0 if ahead <= 0 else (playing + ahead) * self.step_s - now_s

    def done(self, cpu_s: float, now_s: float) -> float:
        """Note the next row as computed; returns how many seconds after the start of its step."""
        late_s = max(0.0, now_s - self.next_step * self.step_s)
        self.next_step += 1
        self.cpu_s += cpu_s
        self.late += late_s > 0
        return late_s

    def summary(self) -> dict[str, Any]:
        return {"op": "summary", "cpu_s": self.cpu_s, "rows": self.next_step, "late": self.late}


def run_planner(
    timeline: Timeline,
    ring: RowRing,
    control: socket.socket,
    steps: int,
    ready_rows: int = 2,
    fibs: Sequence[FibCompiler] = (),
    compared: bool = False,
) -> None:
    """Compute rows 0 … steps - 1 until all stand, a stop, or the end of `control`; a process of its own.

    `fibs` are the compilers of the kernel routes that the run wants (none with routing "none"). `compared`: other hosts
    compute the same rows, and "row" tells what they must agree on. A SkyloomError of the
    timeline is reported as "failed"; another exception too, and raised.
    """
    ready_rows = min(ready_rows, steps, ring.capacity - 1)
    pace = Pace(timeline.step_s, steps, ring.capacity)
    chain = RowDigest()
    rows = timeline.rows(0, steps)
    t0_ns: int | None = None

    def now_s() -> float:
        return -inf if t0_ns is None else (monotonic_ns() - t0_ns) * 1e-9

    try:
        if ready_rows <= 0:
            _send(control, {"op": "ready", "steps": 0})
        while not pace.finished:
            wait_s = pace.wait_s(now_s())
            message = _receive(control, wait_s if t0_ns is not None or wait_s == 0 else inf)
            if message is not None:
                if message.get("op") == "start":
                    t0_ns = int(message["t0_ns"])
                elif message.get("op") in ("stop", "closed"):
                    break
                continue
            if pace.wait_s(now_s()) > 0:
                continue
            start_s = time.process_time()
            step = pace.next_step
            row = next(rows)
            if row.substep is not None:
                validate(row.substep, step * timeline.step_s, (step + 1) * timeline.step_s)
            ring.put(row)
            digest = chain.add(row)
            for part in parts(change for fib in fibs for change in fib.changes(row.next_end)):
                _send(control, {"op": "routes", "step": step, "deltas": part})
            cpu_s = time.process_time() - start_s
            late_s = pace.done(cpu_s, now_s())
            done: dict[str, Any] = {
                "step": step,
                "cpu_s": cpu_s,
                "late_s": late_s,
                "handovers": len(row.handovers),
                "digest": digest,
            }
            if compared:
                done["joined"] = joined(row)
            _send(control, {"op": "row", **done})
            if pace.next_step == ready_rows:
                _send(control, {"op": "ready", "steps": ready_rows})
        _send(control, pace.summary())
    except OSError:
        return  # nobody is there any more
    except Exception as error:
        text = str(error) if isinstance(error, SkyloomError) else repr(error)
        _send(control, {"op": "failed", "step": pace.next_step, "message": text})
        if not isinstance(error, SkyloomError):
            raise


def parts(changes: Iterable[RouteDelta]) -> Iterator[list[list[Any]]]:
    """Route changes as plain lists, [node, version, [address, length, end, …], [address, length, …]] each, in parts
    that fit a message. Addresses are bytes in network order."""
    part: list[list[Any]] = []
    room = _ROUTES_PER_MESSAGE
    for change in changes:
        size = 4 if change.version == 4 else 16
        add = [(address.to_bytes(size, "big"), length, end) for address, length, end in change.add]
        delete = [(address.to_bytes(size, "big"), length) for address, length in change.delete]
        while add or delete:
            gone, delete = delete[:room], delete[room:]
            set_now, add = add[: room - len(gone)], add[room - len(gone) :]
            part.append([change.node, change.version, [x for r in set_now for x in r], [x for r in gone for x in r]])
            room -= len(gone) + len(set_now) + 1
            if room <= 0:
                yield part
                part, room = [], _ROUTES_PER_MESSAGE
    if part:
        yield part


def deltas(part: Sequence[Sequence[Any]]) -> list[RouteDelta]:
    """The changes that a "routes" message carries."""
    return [
        RouteDelta(
            node,
            [
                (int.from_bytes(a, "big"), length, end)
                for a, length, end in zip(add[::3], add[1::3], add[2::3], strict=True)
            ],
            [(int.from_bytes(a, "big"), length) for a, length in zip(delete[::2], delete[1::2], strict=True)],
            version,
        )
        for node, version, add, delete in part
    ]


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    import msgpack

    control.send(msgpack.packb(message))


def _receive(control: socket.socket, wait_s: float) -> dict[str, Any] | None:
    """The next message within `wait_s`, {"op": "closed"} at the end of the connection, None where none came."""
    import msgpack

    poller = select.poll()  # select() refuses descriptors above 1023
    poller.register(control, select.POLLIN)
    if not poller.poll(None if wait_s == inf else ceil(wait_s * 1e3)):
        return None
    data = control.recv(_MESSAGE_BYTES)
    message = msgpack.unpackb(data) if data else {"op": "closed"}
    return message if isinstance(message, dict) else {}
