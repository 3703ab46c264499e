"""The run's clock on a host that has another one: lines in shared memory, and waits by them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest

from emulator.model import clock
from emulator.model.clock_page import LINES, OWN, ClockPage, Line

DAY_NS = 86_400 * 10**9


@pytest.fixture
def page() -> Iterator[ClockPage]:
    page = ClockPage()
    clock.share(page)
    yield page
    clock.share(None)


def test_the_newest_line_holds_in_every_process(page: ClockPage) -> None:
    other = ClockPage(os.dup(page.fd))
    assert other.line() == OWN
    for number in range(3 * LINES):
        line = Line(number, -number, number * 1e-6)
        page.write(line)
        assert other.line() == page.line() == line


def test_both_clocks_are_the_run_s_and_the_time_of_day(page: ClockPage) -> None:
    own = clock.both_clocks_ns()
    page.write(Line(0, DAY_NS, 0.0))
    ahead = clock.both_clocks_ns()
    assert (ahead[0] - own[0]) - (ahead[1] - own[1]) == pytest.approx(DAY_NS, abs=10**9)


@pytest.mark.parametrize("offset_ns", [0, DAY_NS, -DAY_NS])
def test_a_wait_ends_when_the_run_s_clock_has_come_so_far(page: ClockPage, offset_ns: int) -> None:
    page.write(Line(time.monotonic_ns(), time.monotonic_ns() + offset_ns, 1e-3))
    at_ns = clock.monotonic_ns() + 20_000_000
    asyncio.run(clock.sleep_until_ns(at_ns))
    assert 0 <= clock.monotonic_ns() - at_ns < 500_000_000


def test_a_wait_follows_lines_that_come_meanwhile(page: ClockPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "LOOK_AGAIN_NS", 100_000_000)
    begun_ns = time.monotonic_ns()
    page.write(Line(begun_ns, begun_ns, 0.0))

    async def main() -> None:
        waiting = asyncio.ensure_future(clock.sleep_until_ns(begun_ns + 300_000_000))
        await asyncio.sleep(0)
        page.write(Line(begun_ns, begun_ns - 100_000_000, 0.0))  # the run's clock turns out to be behind
        await waiting

    asyncio.run(main())
    assert clock.monotonic_ns() >= begun_ns + 300_000_000
    assert time.monotonic_ns() >= begun_ns + 400_000_000
