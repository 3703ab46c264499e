"""The clock: scenario time on the run's monotonic clock, and a wait that is not a millisecond late.

The run's clock is CLOCK_MONOTONIC of its machine; of a run on several hosts that of host 0, which hosts with other
clocks read by the lines of a page that all their processes share (clock_page.py). Invariant: every process of a run
reads this one clock and shares one origin T0 on it, so a time in an event, a packet or a log means the same thing
everywhere, and T0 is one number for all.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time

from emulator.model.clock_page import OWN, ClockPage

_libc = ctypes.CDLL(None, use_errno=True)
CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000
PR_SET_TIMERSLACK = 29

READINGS = 5
CLOSE_NS = 5_000  # between two readings that nothing came between
LOOK_AGAIN_NS = 1_000_000_000  # before the end of a long sleep, in which the lines of a page have changed

_page: ClockPage | None = None  # of this host; None: the run's clock is the own one


def share(page: ClockPage | None) -> None:
    """Read the run's clock by the lines of this page from now on, in this process and in those that it forks."""
    global _page
    _page = page


def shared() -> ClockPage | None:
    """The page by which this process reads the run's clock."""
    return _page


def monotonic_ns() -> int:
    """The run's monotonic clock."""
    own_ns = time.monotonic_ns()
    return own_ns if _page is None else _page.line().run_at_ns(own_ns)


class Timespec(ctypes.Structure):
    """`struct timespec` of a 64-bit machine."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", Timespec), ("it_value", Timespec))


class MonotonicClock:
    """Scenario time read from the run's monotonic clock, with its origin at `t0_ns`."""

    __slots__ = ("t0_ns",)

    def __init__(self, t0_ns: int) -> None:
        self.t0_ns = t0_ns

    def now(self) -> float:
        return (monotonic_ns() - self.t0_ns) * 1e-9

    def monotonic_ns(self, t_s: float) -> int:
        """Reading of the run's clock at scenario time `t_s`."""
        return self.t0_ns + round(t_s * 1e9)


class TimerFd:
    """A timerfd on this machine's CLOCK_MONOTONIC. Loop timers of asyncio are 0.5-1 ms late, this one some 60 µs."""

    def __init__(self) -> None:
        self.fd: int = _libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()

    def arm(self, at_monotonic_ns: int) -> None:
        """Fire at the given CLOCK_MONOTONIC reading, at once where that is past."""
        at = max(1, at_monotonic_ns)
        self._spec.it_value.tv_sec, self._spec.it_value.tv_nsec = divmod(at, 1_000_000_000)
        if _libc.timerfd_settime(self.fd, TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def set_timer_slack(slack_ns: int = 1) -> None:
    """Let the kernel wake this thread exactly when asked instead of up to 50 µs later."""
    _libc.prctl(PR_SET_TIMERSLACK, slack_ns, 0, 0, 0)


def _settle(fired: asyncio.Future[None]) -> None:
    if not fired.done():
        fired.set_result(None)


def both_clocks_ns() -> tuple[int, int]:
    """The run's monotonic clock and the time of day at one instant.

    A process that loses its core between two readings sees them milliseconds apart. So the time of day is read between
    two readings of the monotonic clock, and of up to READINGS tries the closest counts.
    """
    closest_ns, found = -1, (0, 0)
    for _ in range(READINGS):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if closest_ns < 0 or after - before < closest_ns:
            closest_ns, found = after - before, ((before + after) // 2, real)
        if closest_ns <= CLOSE_NS:
            break
    line = OWN if _page is None else _page.line()
    return line.run_at_ns(found[0]), found[1]


def _own_at_ns(at_ns: int, left_ns: int) -> int:
    """The own clock's reading at which to wake up for that of the run's clock, or to look again."""
    if _page is None:
        return at_ns
    return _page.line().own_at_ns(at_ns if left_ns <= 2 * LOOK_AGAIN_NS else at_ns - LOOK_AGAIN_NS)


async def sleep_until_ns(at_ns: int) -> None:
    """Return when the run's monotonic clock has reached `at_ns`, within some 60 µs on an idle machine."""
    if at_ns <= monotonic_ns():
        await asyncio.sleep(0)
        return
    loop = asyncio.get_running_loop()
    timer = TimerFd()
    try:
        while (left_ns := at_ns - monotonic_ns()) > 0:
            fired = loop.create_future()
            timer.arm(_own_at_ns(at_ns, left_ns))
            loop.add_reader(timer.fd, _settle, fired)
            await fired
    finally:
        loop.remove_reader(timer.fd)
        timer.close()
