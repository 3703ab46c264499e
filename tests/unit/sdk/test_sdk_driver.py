"""Driving a core: once a turn of the loop, ticked when it is due by a clock that jumps, and stopped by an error."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from oracle.jumping_clock import JumpingClock

from emulator.model.errors import EmulationError
from emulator.sdk.driver import Driver


class Core:
    """Asks to be ticked once."""

    def __init__(self) -> None:
        self.due_s, self.ticks = inf, 0

    def tick(self, now_s: float) -> None:
        self.ticks += 1
        self.due_s = inf

    def next_deadline_s(self) -> float:
        return self.due_s


def test_what_a_core_wants_is_carried_out_once_a_turn_and_after_its_tick() -> None:
    async def body() -> None:
        core, carried, done = Core(), [], asyncio.Event()

        def carry_out() -> None:
            carried.append(core.ticks)
            if core.ticks:
                done.set()

        driver = Driver(core, lambda: 0.0, carry_out)
        core.due_s = 0.0
        driver.changed()
        driver.changed()
        async with asyncio.timeout(5):
            await done.wait()
        assert carried == [0, 1]
        driver.close()

    asyncio.run(body())


def test_an_error_fails_the_driver_and_nothing_is_carried_out_after_it() -> None:
    async def body() -> None:
        calls = []

        def carry_out() -> None:
            calls.append(1)
            raise EmulationError("broken")

        driver = Driver(Core(), lambda: 0.0, carry_out)
        driver.changed()
        with pytest.raises(EmulationError, match="broken"):
            await driver.failed
        driver.changed()
        await asyncio.sleep(0)
        assert calls == [1]

    asyncio.run(body())


def test_a_core_that_takes_the_place_of_another_is_driven_by_the_clock() -> None:
    async def body() -> None:
        clock, first, second, done = JumpingClock(5.0), Core(), Core(), asyncio.Event()

        def carry_out() -> None:
            if second.ticks:
                done.set()

        driver = Driver(first, clock.now, carry_out)
        second.due_s = 100.0
        driver.drive(second)
        await asyncio.sleep(0)
        assert (first.ticks, second.ticks) == (0, 0)  # not due for 95 s
        clock.jump_to(101.0)
        driver.changed()  # anything that happens has the timer looked at anew
        async with asyncio.timeout(5):
            await done.wait()
        assert (first.ticks, second.ticks) == (0, 1)
        driver.close()

    asyncio.run(body())
