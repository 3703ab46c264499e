"""Waiting for descriptors with a deadline in nanoseconds.

Python's `select.epoll` rounds a timeout up to a millisecond; `epoll_pwait2` (Linux 5.11) takes a timespec. Without it,
a timerfd in the same epoll set is used. Invariant: `wait` returns when a descriptor is readable or the time is up,
whichever is first.
"""

from __future__ import annotations

import ctypes
import os
import select
import time

from emulator.model.clock import TimerFd, Timespec, set_timer_slack

SYS_EPOLL_PWAIT2 = 441  # the same number on every architecture
FOREVER_S = 3600.0


class Waiter:
    """An epoll set. `poll()` returns the descriptors readable now, `wait(timeout_s)` sleeps until one is."""

    def __init__(self) -> None:
        set_timer_slack(1)
        self._epoll = select.epoll()
        self._timespec = Timespec()
        self._events = ctypes.create_string_buffer(16)
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        pointer = ctypes.c_void_p
        self._syscall.argtypes = [ctypes.c_long, ctypes.c_int, pointer, ctypes.c_int, pointer, pointer, pointer]
        self._syscall.restype = ctypes.c_long
        self._arguments = (
            SYS_EPOLL_PWAIT2,
            self._epoll.fileno(),
            ctypes.addressof(self._events),
            1,
            ctypes.addressof(self._timespec),
            None,
            None,
        )
        self._timer: TimerFd | None = None
        if self._syscall(*self._arguments) < 0:
            self._timer = TimerFd()
            self.add(self._timer.fd)

    def add(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def poll(self) -> list[tuple[int, int]]:
        """Descriptors that are readable now."""
        events = self._epoll.poll(0)
        if self._timer is not None and events:
            for place, (fd, _) in enumerate(events):
                if fd == self._timer.fd:
                    os.read(fd, 8)
                    del events[place]
                    break
        return events

    def wait(self, timeout_s: float) -> None:
        """Sleep until a descriptor is readable or `timeout_s` has passed; a signal may end the sleep early."""
        timeout_s = min(timeout_s, FOREVER_S)
        if timeout_s <= 0.0:
            return
        if self._timer is not None:
            self._timer.arm(time.monotonic_ns() + int(timeout_s * 1e9))
            self._epoll.poll(-1, 1)
            return
        self._timespec.tv_sec = seconds = int(timeout_s)
        self._timespec.tv_nsec = int((timeout_s - seconds) * 1e9)
        self._syscall(*self._arguments)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.close()
        self._epoll.close()
