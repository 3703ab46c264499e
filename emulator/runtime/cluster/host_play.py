"""What a host does by itself at instants of the run's clock: it must not wait for a message.

Kernel routes and moved links of each step, the scenario's actions on links, and what the lead orders for an instant.

Invariant: orders are carried out in the order in which they came, none before its instant.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

from emulator.link.overrides import Faults
from emulator.model.clock import sleep_until_ns
from emulator.model.errors import SkyloomError
from emulator.runtime.actions.runner import due
from emulator.runtime.control.encoding import UNREADABLE, BadMessage
from emulator.schedule.reader import ScheduleReader

if TYPE_CHECKING:
    from emulator.model.clock import MonotonicClock
    from emulator.model.network import Network
    from emulator.runtime.data_plane import DataPlane
    from emulator.scenario import Scenario

MOST_ORDERS = 10_000  # that wait for their instants


class HostPlay:
    """The timed part of one host."""

    def __init__(self, scenario: Scenario, network: Network, data_plane: DataPlane) -> None:
        self._scenario = scenario
        self._data_plane = data_plane
        self._schedule = schedule = ScheduleReader(network, data_plane.ring)
        self._faults = Faults(network, data_plane.tell_relay, lambda end: schedule.far_node(end, self._now_s()))
        self._orders: deque[tuple[float, Callable[[], None]]] = deque()  # from when they may be carried out; in order
        self._ordered = asyncio.Event()
        self._clock: MonotonicClock | None = None

    def begin(self, clock: MonotonicClock) -> tuple[Coroutine[Any, Any, None], ...]:
        """Play from this clock's time 0 on; returns what the caller runs until the end."""
        self._clock = clock
        return self._steps(clock), self._planned(clock)

    async def carry_out_orders(self) -> None:
        """What the lead has ordered, in its order: an order that comes after an action for later waits with it."""
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            while self._orders:
                at_s, order = self._orders[0]
                if self._clock is not None and at_s > self._clock.now():
                    await sleep_until_ns(self._clock.monotonic_ns(at_s))
                self._orders.popleft()
                order()

    def order(self, at_s: float, order: Callable[[], None]) -> None:
        """Have it called at a scenario time. BadMessage where that never comes, or too much waits already."""
        if not at_s < inf or len(self._orders) >= MOST_ORDERS:
            raise BadMessage(f"an order for {at_s} s, behind {len(self._orders)} others; at most {MOST_ORDERS} wait")
        self._orders.append((at_s, order))
        self._ordered.set()

    def act(self, at_s: float, action: Mapping[str, Any]) -> None:
        """Have an action on links performed at a scenario time. BadMessage as for `order`; one that cannot be ends
        `carry_out_orders` with it."""
        self.order(at_s, lambda: self._perform(action))

    def _perform(self, action: Mapping[str, Any]) -> None:
        try:
            self._faults.perform(action)
        except UNREADABLE as error:
            raise BadMessage(f"an action that cannot be: {type(error).__name__}: {error}") from None

    def _now_s(self) -> float:
        return self._clock.now() if self._clock is not None else -1.0

    async def _steps(self, clock: MonotonicClock) -> None:
        """Kernel routes of each step, and links that moved."""
        data_plane = self._data_plane
        for step in range(data_plane.steps if data_plane.ring is not None else 0):
            await sleep_until_ns(clock.monotonic_ns(step * data_plane.step_s))
            for _ in data_plane.switch_routes(step):
                await asyncio.sleep(0)
            if self._schedule.handovers(step):
                self._faults.moved()

    async def _planned(self, clock: MonotonicClock) -> None:
        """The scenario's actions on links at their times; those on programs are the lead's."""
        for t_s, _, given in due(self._scenario):
            await sleep_until_ns(clock.monotonic_ns(t_s))
            with suppress(SkyloomError):  # the lead finds the same, and tells it
                self._faults.perform(given)
