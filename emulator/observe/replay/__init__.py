"""A finished (or crashed) run as a source of snapshots for the live screen, at any instant of its time.

Invariant: the rows are made by the code that makes the snapshots of a live run (`SnapshotBuilder`, `LiveMetrics`,
`ScheduleView`), from the run's tables; values that the tables lack (processor use, lateness before the end) are left
out. The run folder is not changed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import UsageError
from emulator.observe.snapshot import VERSION, Snapshot
from emulator.observe.view import View
from emulator.record.load import load_run

if TYPE_CHECKING:
    from emulator.observe.replay.past import Past

ANSWER_S = 0.2  # after which a snapshot is returned even if a part of it is not at the cursor yet


class Replay:
    """A source for the screen with a time cursor. `at_s`: the first position; None: the end of the run.

    The first `receive` opens the run. DataError if there is no run or its tables cannot be read, ScenarioError if its
    scenario cannot be built any more.
    """

    def __init__(
        self, folder: str | Path, at_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.run = load_run(folder)
        self._clock = clock
        self._at_s = math.inf if at_s is None else at_s
        self._view: View = {}
        self._past: Past | None = None
        self._said_hello = False
        self._left = False
        self._event = os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # not 0: a snapshot is due

    @property
    def fd(self) -> int:
        """Descriptor that is readable when a snapshot is due: the cursor or view has changed, or work is left."""
        return self._event

    @property
    def t_s(self) -> float:
        """The time of the cursor."""
        return self._at_s if self._past is None else self._past.clamp(self._at_s)

    def receive(self) -> Snapshot | None:
        """The snapshot at the cursor, within about ANSWER_S (its label names missing parts); None after `detach`."""
        if self._left:
            return None
        if not self._said_hello:
            self._said_hello = True
            name = str(self.run.document.get("name", ""))
            return {"version": VERSION, "scenario": name, "phase": "analysis", "label": "opening the run"}
        began_s = self._clock()
        with _silence():
            snapshot, whole = self._opened().snapshot(
                self._at_s, self._view, lambda: self._clock() - began_s < ANSWER_S
            )  # fmt: skip
        if whole:
            self._clear()
        return snapshot

    def snapshot(self) -> Snapshot:
        """The complete snapshot at the cursor, however long that takes."""
        with _silence():
            return self._opened().snapshot(self._at_s, self._view, lambda: True)[0]

    def seek(self, delta_s: float) -> None:
        """Move the cursor, within the run."""
        if delta_s == delta_s:
            self._at_s = self._opened().clamp(self.t_s + delta_s)
            self._due()

    def view(self, view: View) -> None:
        """Set the view of further snapshots."""
        self._view = view
        self._due()

    def fault(self, action: Mapping[str, Any]) -> None:
        """Raises UsageError: a finished run cannot be changed."""
        raise UsageError("this run has ended: nothing can be done to it")

    def stop(self) -> None:
        """The same as `detach`, as the run has ended."""
        self.detach()

    def detach(self) -> None:
        """Leave; `receive` returns None from now on."""
        self._left = True
        self._due()

    def _opened(self) -> Past:
        if self._past is None:
            from emulator.observe.replay.past import Past

            self._past = Past(self.run)
        return self._past

    def _due(self) -> None:
        os.eventfd_write(self._event, 1)

    def _clear(self) -> None:
        try:
            os.eventfd_read(self._event)
        except BlockingIOError:
            pass

    def __del__(self) -> None:
        event = getattr(self, "_event", -1)
        if event >= 0:
            os.close(event)


@contextmanager
def _silence() -> Iterator[None]:
    """Hide the traceback of a failing panel, which a live run writes to its log; here it would spoil the screen."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield
