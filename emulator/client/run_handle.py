"""The caller's side of a run: it receives snapshots, passes Ctrl-C on, and returns the exit code.

Invariant: every end of a run, for any reason, ends `snapshots()`, and `wait()` returns or raises within seconds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from emulator.client.watch import decoded
from emulator.model.errors import EXIT_INTERRUPTED, EmulationError
from emulator.runtime.control.messages import (
    TO_LAUNCHER,
    Act,
    Detach,
    FromLauncher,
    RunEnded,
    SetView,
    ShowSnapshot,
    Stop,
)  # fmt: skip
from emulator.runtime.control.transport import Transport, hear, say

if TYPE_CHECKING:
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View
    from emulator.record.folder import RunFolder

KILLING_STOP = 3  # request to stop that kills the run


class RunHandle:
    """A run in its sandbox."""

    def __init__(self, pid: int, channel: Transport, folder: RunFolder) -> None:
        self.pid = pid
        self.folder = folder
        self.stops = 0
        self.error = ""  # of a failed run
        self.channel = channel
        self._end: RunEnded | None = None
        self.detached = False

    @property
    def fd(self) -> int:
        """Descriptor that becomes readable when there is a snapshot."""
        return self.channel.fileno()

    def snapshots(self) -> Iterator[Snapshot]:
        """Snapshots, some four a second, until the run has ended."""
        while (snapshot := self.receive()) is not None:
            yield snapshot

    def receive(self) -> Snapshot | None:
        """The next snapshot; None: the run has ended."""
        if self._end is not None:
            return None
        try:
            message = hear(self.channel, TO_LAUNCHER)
        except OSError:
            return None
        if isinstance(message, ShowSnapshot):
            return decoded(message.snapshot)
        self._end = message
        return None

    def view(self, view: View) -> None:
        """Set the view: further snapshots have its rows."""
        self._say(SetView(view))

    def fault(self, action: Mapping[str, Any]) -> None:
        """Perform an action, as an `[[action]]` does. An event reports the result."""
        self._say(Act(dict(action)))

    def detach(self) -> None:
        """Let the run continue without this process, which may then end. EmulationError if that fails."""
        from emulator.fabric import sandbox

        self._say(Detach())
        if not sandbox.detach(self.pid):
            raise EmulationError(f"run {self.folder.run_id} cannot be detached: its sandbox does not answer")
        self.detached = True

    def _say(self, message: FromLauncher) -> None:
        try:
            say(self.channel, message)
        except OSError:  # it has ended by itself
            pass

    def stop(self) -> None:
        """Ask the run to end: the first time gracefully, with a verdict; a second time at once; a third kills it."""
        self.stops += 1
        self._say(Stop())
        if self.stops >= KILLING_STOP:
            self.kill()

    def kill(self) -> None:
        """Kill every process of the run; the kernel removes its network."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @contextmanager
    def forwarding_interrupts(self) -> Iterator[None]:
        """In this block, SIGINT and SIGTERM to this process stop the run instead of this process."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, lambda *_: self.stop())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self) -> int:
        """The exit code of the run. EmulationError if it has an error and no verdict, or if its sandbox ended without a
        message, and not by `stop`."""
        for _ in self.snapshots():
            pass
        if self._end is None:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        self.channel.close()
        if self._end is None and self.stops >= KILLING_STOP:
            return EXIT_INTERRUPTED
        if self._end is None:
            code = os.waitstatus_to_exitcode(status)
            raise EmulationError(
                f"the run's supervisor ended without a verdict (status {code}); what it had recorded is in "
                f"{self.folder.path}"
            )
        self.error = self._end.error
        if self.error and not self.folder.has_verdict():
            error = EmulationError(self.error)
            error.exit_code = self._end.exit_code
            raise error
        return self._end.exit_code
