"""The supervisor's link to the command that started the run: it sends progress and snapshots, and receives stop, view,
fault and detach.

Invariant: a slow or absent reader never delays the run (snapshots are dropped, only the end is waited for), and "stop"
is received in every stage: while building at each step of progress, later by the event loop (`on_stop`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from emulator.observe.snapshot import Phase, Snapshot, encode
from emulator.observe.snapshot_builder import at_stage
from emulator.observe.view import View
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import (
    FROM_LAUNCHER,
    SNAPSHOT_BYTES,
    Act,
    Detach,
    RunEnded,
    SetView,
    ShowSnapshot,
    Stop,
    ToLauncher,
)
from emulator.runtime.control.transport import Transport, hear, say

SNAPSHOT_S = 0.25
END_TIMEOUT_S = 5.0


class Interrupted(Exception):
    """The run was asked to stop."""


class LauncherLink:
    """The supervisor's end of the link."""

    def __init__(self, channel: Transport, opening: Snapshot) -> None:
        self.channel = channel
        self.channel.set_timeout(0.0)
        self.stops = 0  # stop requests: the first ends the run gracefully, the second at once
        self.latest = opening  # the last snapshot, shown or not
        self.view: View = {}  # the view of the command's screen
        self.detached = False  # the command may end, and the run continues
        self.gone = False
        self.rejected = 0  # malformed messages of the command
        self.on_stop: Callable[[], object] = lambda: None
        self.on_fault: Callable[[dict[str, Any]], None] = lambda action: None
        self._shown_at = -1.0
        self._begun = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Time since the supervisor began."""
        return time.monotonic() - self._begun

    def stop(self) -> None:
        """Ask the run to end, as Ctrl-C does."""
        self.stops += 1
        self.on_stop()

    def hear(self) -> None:
        """Process the messages of the command."""
        while True:
            try:
                message = hear(self.channel, FROM_LAUNCHER)
            except BlockingIOError:
                return
            except BadMessage:
                self.rejected += 1
                continue
            except OSError:
                message = None
            if message is None:
                self.gone = True
                if not self.detached:  # the command has ended, and the kernel is about to end this process too
                    self.stops = max(self.stops, 2)
                    self.on_stop()
                return
            match message:
                case Stop():
                    self.stop()
                case Detach():
                    self.detached = True
                case SetView(view):
                    self.view = view
                case Act(action):
                    self.on_fault(action)

    def check(self) -> None:
        """Raise Interrupted if a stop was requested."""
        self.hear()
        if self.stops:
            raise Interrupted

    def progress(self, phase: Phase, done: float, total: float, label: str = "") -> None:
        """Report the progress of a stage, at most four times a second. Raises Interrupted."""
        self.check()
        self.tell(phase, done, total, label)

    def tell(self, phase: Phase, done: float, total: float, label: str = "") -> None:
        """As `progress`, in a stage that cannot be stopped."""
        changed = self.latest.get("phase") != phase
        self.latest = at_stage(self.latest, phase, done, total, label, self.elapsed_s)
        if changed or done >= total or time.monotonic() - self._shown_at >= SNAPSHOT_S:
            self.show(self.latest)

    def show(self, snapshot: Snapshot) -> None:
        """Send a snapshot; it is dropped if the command does not read."""
        self.latest = snapshot
        self._shown_at = time.monotonic()
        self._send(ShowSnapshot(encode(snapshot, SNAPSHOT_BYTES)))

    def end(self, exit_code: int, error: str) -> None:
        """Send the exit code and the error, the last message."""
        self.channel.set_timeout(END_TIMEOUT_S)
        self._send(RunEnded(exit_code, error[:8000]))

    def _send(self, message: ToLauncher) -> None:
        try:
            say(self.channel, message)
        except OSError:
            pass
