"""A process forked from the supervisor: the relay, the planner, the capture writer.

Invariant: it dies with the supervisor and never returns into the supervisor's code; a pidfd tells of its end.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from pathlib import Path

from emulator.fabric.kernel.syscalls import die_with_parent
from emulator.runtime.programs.node_runner import set_process_name

_IGNORED = (signal.SIGINT, signal.SIGHUP)
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 2**20  # malloc.h


class Child:
    """A running fork of this process."""

    def __init__(self, name: str, main: Callable[[], object], close: Collection[int] = ()) -> None:
        """Fork and run `main` in the child, after closing the descriptors `close` there."""
        self.name = name
        self.status: int | None = None  # exit status, negative for a signal
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # later collections, here and there, would write on each page that the two share
        _libc("malloc_trim", 0)  # and both on what is free
        self.pid = os.fork()
        if self.pid == 0:
            _live(name, main, close)
        self.pidfd = os.pidfd_open(self.pid)

    def fileno(self) -> int:
        """Becomes readable when the process has ended."""
        return self.pidfd

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False where it is still running."""
        if self.status is None:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            if not poll.poll(timeout_s * 1e3):
                return False
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
            os.close(self.pidfd)
        return True

    def kill(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(5.0)

    def describe_end(self) -> str:
        if self.status is None:
            return f"the {self.name} is still running"
        how = f"status {self.status}" if self.status >= 0 else f"signal {signal.Signals(-self.status).name}"
        return f"the {self.name} process ended with {how}"


def return_freed_memory() -> None:
    """Have the kernel get large blocks back as soon as they are freed, for the rest of this process.

    Left to itself, glibc takes ever larger blocks from the heap, where what lies above them keeps them.
    """
    _libc("mallopt", _M_MMAP_THRESHOLD, _LARGE_BYTES)


def _libc(name: str, *numbers: int) -> None:
    """Call a function of glibc; another C library may not have it, nor need it."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*numbers)


def _live(name: str, main: Callable[[], object], close: Collection[int]) -> None:
    status = 70
    try:
        set_process_name(name)
        die_with_parent(signal.SIGKILL)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for fd in close:
            os.close(fd)
        main()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def redirect_stdio(log: Path) -> None:
    """Give this process an empty standard input, and a file for what it says (nobody, where it cannot be opened)."""
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        said = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    for target, fd in ((0, null), (1, said), (2, said)):
        os.dup2(fd, target)
    os.close(null)
    os.close(said)
