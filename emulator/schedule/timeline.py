"""The timeline of a network without orbits: every link end has knots, routes are least delay over their values.

Invariant: a row depends on its step number alone. Ends are read for many steps at once, and routes are computed again
only where a delay or an outage differs from the step before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

import numpy as np

from emulator.model.errors import Unfit
from emulator.model.network import (
    Bools,
    Floats,
    Ints,
    LinkSpec,
    NodeSpec,
    PiecewiseSchedule,
    Rates,
    ScheduleRow,
    SubstepSpec,
)
from emulator.schedule.piecewise import evaluate
from emulator.schedule.routes import least_delay_ends, neighbours

MANY_LIVE = 200  # live nodes above which routes are by default MANY_LIVE_STEP_S apart instead of a step
MANY_LIVE_STEP_S = 15.0
ROUTINGS = ("least-delay", "static", "neighbours", "none")
_WINDOW = 64  # steps read at once: bounds memory, whatever the duration


def routing_steps(step_s: float, routing_step_s: float | None, live: int) -> int:
    """Schedule steps between least-delay routes, the most that fit into `routing_step_s`, 1 or more.

    None means the default: one step, or 15 s where more than 200 nodes are `live`.
    """
    if routing_step_s is None:
        routing_step_s = MANY_LIVE_STEP_S if live > MANY_LIVE else step_s
    return max(1, floor(routing_step_s / step_s + 1e-9))


class KnotTimeline:
    """Rows of links that do not move; a `Timeline`.

    `routing` is "least-delay", "static" (the routes of step 0), "neighbours" (over one link to the nodes that it joins,
    whether it is up or down; by the first where there are several) or "none". Least-delay routes are those of the
    values at the start of the last step that begins a routing step (see `routing_steps`) or at which an end went up or
    down.
    Nodes marked in `no_transit` (N bools) never lie inside a path. ValueError where an end has no knots.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSpec],
        links: Sequence[LinkSpec],
        step_s: float = 1.0,
        routing: str = "least-delay",
        no_transit: Bools | None = None,
        routing_step_s: float | None = None,
    ) -> None:
        if routing not in ROUTINGS:
            raise Unfit(f"routing is {routing!r}", f"any of {', '.join(ROUTINGS)}")
        self.step_s = step_s
        self.rates: Rates | None = None  # knots may change them
        self.substep: SubstepSpec | None = None  # and play by themselves
        self.routing = routing
        self._nodes = len(nodes)
        self._live = np.array([number for number, node in enumerate(nodes) if node.live], dtype=np.int32)
        self._routing_steps = routing_steps(step_s, routing_step_s, len(self._live))
        self._no_transit = no_transit
        self._tail = np.array([node for link in links for node in (link.a, link.b)], dtype=np.int32)
        self._peer = np.array([node for link in links for node in (link.b, link.a)], dtype=np.int32)
        self._knots: list[PiecewiseSchedule] = []
        for link in links:
            for spec in (link.forward, link.backward):
                if spec.schedule is None:
                    raise ValueError(f"link {link.name} has an end without knots, and the network no other timeline")
                self._knots.append(spec.schedule)
        self._varying = [end for end, knots in enumerate(self._knots) if len(knots.t_s) > 1]

    def rows(self, first: int, count: int, with_routes: bool = True) -> Iterator[ScheduleRow]:
        """Rows first … first + count - 1, a window of steps at a time."""
        routed: tuple[Floats, Bools, Ints] | None = None
        begin = first
        if not with_routes:
            routed = np.empty(0), np.empty(0, np.bool_), np.empty((0, self._nodes), np.int32)
        elif self.routing == "static" and count:
            start = self._read(0, 1)
            routed = start[0][0], start[4][0], self._routes(start[0][0], start[4][0])
        elif self.routing == "least-delay":
            begin -= first % self._routing_steps
        for base in range(begin, first + count, _WINDOW):
            steps = min(_WINDOW, first + count - base)
            delay_start_s, delay_end_s, rate_bps, loss, up = self._read(base, steps)
            for place in range(steps):
                start_s, alive = delay_start_s[place], up[place]
                if routed is None or (with_routes and self._outdated(base + place, start_s, alive, *routed[:2])):
                    routed = start_s, alive, self._routes(start_s, alive)
                if base + place < first:
                    continue
                yield ScheduleRow(
                    step=base + place,
                    delay_start_s=start_s,
                    delay_end_s=delay_end_s[place],
                    rate_bps=rate_bps[place],
                    loss=loss[place],
                    up=alive,
                    peer=self._peer,
                    next_end=routed[2],
                )

    def _read(self, first: int, steps: int) -> tuple[Floats, Floats, Floats, Floats, Bools]:
        """Steps × E: delay at the start and just before the end of each step; rate, loss and up at its start."""
        t_s: Floats = np.arange(first, first + steps + 1, dtype=np.float64) * self.step_s
        shape = (steps, len(self._knots))
        first_values = [(k.delay_s[0], k.rate_bps[0], k.loss[0], k.up[0]) for k in self._knots]
        delay, rate, loss, up = np.array(first_values, dtype=np.float64).reshape(-1, 4).T
        start_s, end_s, rate_bps, losses = (
            np.broadcast_to(column, shape).copy() for column in (delay, delay, rate, loss)
        )
        alive = np.broadcast_to(up > 0, shape).copy()
        for end in self._varying:
            values = evaluate(self._knots[end], t_s[:-1])
            start_s[:, end], rate_bps[:, end], losses[:, end], alive[:, end] = values
            end_s[:, end] = evaluate(self._knots[end], t_s[1:], left=True).delay_s
        return start_s, end_s, rate_bps, losses, alive

    def _outdated(self, step: int, delay_s: Floats, up: Bools, routed_delay_s: Floats, routed_up: Bools) -> bool:
        """Whether routes that were computed from earlier values must be computed again at this step."""
        if self.routing != "least-delay":
            return False
        due = step % self._routing_steps == 0 and not np.array_equal(delay_s, routed_delay_s)
        return due or not np.array_equal(up, routed_up)

    def _routes(self, delay_s: Floats, up: Bools) -> Ints:
        if self.routing == "none":
            return np.full((len(self._live), self._nodes), -1, dtype=np.int32)
        if self.routing == "neighbours":
            return neighbours(self._tail, self._peer, self._nodes, self._live)
        end = np.flatnonzero(up).astype(np.int32)
        return least_delay_ends(
            self._tail[end], self._peer[end], delay_s[end], end, self._nodes, self._live, self._no_transit
        )
