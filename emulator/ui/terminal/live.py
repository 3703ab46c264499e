"""The loop of the live screen: it draws snapshots, reads keys, and sends requests to the run.

Invariant: at most four frames a second are drawn for snapshots, and one for each key. While the picture is frozen the
run's snapshots are still read, so that the screen never delays the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from emulator.model.errors import SkyloomError
from emulator.observe.snapshot import VERSION, Snapshot
from emulator.observe.source import Seekable, Source
from emulator.observe.view import View
from emulator.report import text
from emulator.ui.terminal.frame import frame, panel_rows
from emulator.ui.terminal.heartbeat import Heartbeat
from emulator.ui.terminal.keys import ESC_WAIT_S, Keys
from emulator.ui.terminal.state import Fault, Leave, Request, Seek, State, Stop, press
from emulator.ui.terminal.terminal import Terminal

FRAME_S = 0.25


class QuietConsole(text.Printing):
    """Standard error. After its reader has ended (`… 2>&1 | head`) the run continues without output."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class LiveScreen:
    """`LiveScreen().follow(source)` shows a run until it ends or is left.

    `enabled`: True draws, False writes lines, None draws if standard error is a terminal.
    All output goes to standard error, so that standard output is free for data. NO_COLOR is respected.
    `keys` is the descriptor of a terminal to read keys from; None: standard input.
    """

    def __init__(
        self,
        enabled: bool | None = None,
        scenario: str = "",
        console: Console | None = None,
        keys: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or QuietConsole(stderr=True, highlight=False)
        text.never_fail(self.console)
        drawable = self.console.is_terminal and not self.console.is_dumb_terminal
        self.draws = drawable if enabled is None else enabled and drawable
        self._scenario = scenario
        self._keys = keys
        self._clock = clock

    def follow(self, source: Source) -> bool:
        """Show the run until it ends (False) or the user detaches from it (True)."""
        if self.draws:
            with Terminal(self.console, self._keys) as terminal:
                return _Loop(source, terminal, self._scenario, text.signs(self.console), self._clock).run()
        lines = Heartbeat(self.console, self._scenario)
        while (snapshot := source.receive()) is not None:
            lines.update(snapshot)
        return False


class _Loop:
    """One source on one terminal."""

    def __init__(
        self, source: Source, terminal: Terminal, scenario: str, signs: text.Signs, clock: Callable[[], float]
    ) -> None:
        self._source = source
        self._terminal = terminal
        self._signs = signs
        self._clock = clock
        self._state = State(finished=isinstance(source, Seekable))
        self._newest: Snapshot = {"version": VERSION, "scenario": scenario}
        self._frozen: Snapshot = {}
        self._viewed: View | None = None
        self._drawn_s = float("-inf")
        self._drawn_size = (0, 0)
        self._keys = Keys()

    def run(self) -> bool:
        """Returns False after the run has ended, True after the user has detached."""
        dirty = True
        while True:
            self._tell_view()
            if dirty and self._clock() - self._drawn_s >= FRAME_S * 0.9:
                self._draw()
                dirty = False
            try:
                ready = self._terminal.wait([self._source.fd], self._patience_s(dirty))
                if self._source.fd in ready:
                    dirty = True
                    if not self._take():
                        return False
                if self._typed(ready):
                    return True
            except KeyboardInterrupt:  # Ctrl-C has its default meaning
                if self._leave():
                    return True
            if self._terminal.size != self._drawn_size:
                self._draw()

    def _patience_s(self, dirty: bool) -> float | None:
        if self._keys.pending:
            return ESC_WAIT_S
        return max(0.0, FRAME_S * 0.9 - (self._clock() - self._drawn_s)) if dirty else None

    def _take(self) -> bool:
        """Read the next snapshot; returns False after the last one."""
        snapshot = self._source.receive()
        if snapshot is None:
            return False
        if "scenario" not in snapshot:
            snapshot = {**snapshot, "scenario": self._newest.get("scenario", "")}
        if "folder" in snapshot:
            snapshot = {**snapshot, "folder": _from_here(snapshot["folder"])}
        before = self._state.phase
        self._newest = snapshot
        self._state = self._state.observe(snapshot)
        if self._state.phase != before:
            self._draw()
        return True

    def _typed(self, ready: set[int]) -> bool:
        """Process the typed keys; returns True to leave."""
        terminal = self._terminal
        if terminal.keys is not None and terminal.keys in ready:
            found = self._keys.feed(terminal.read_keys())
        elif not ready and self._keys.pending:
            found = self._keys.flush()
        else:
            return False
        left = False
        for key in found:
            was_frozen = self._state.frozen
            self._state, requests = press(self._state, key, self._shown)
            if self._state.frozen and not was_frozen:
                self._frozen = self._newest
            for request in requests:
                left = self._carry_out(request) or left
        if found and not left:
            self._draw()
        return left

    def _carry_out(self, request: Request) -> bool:
        match request:
            case Fault(action):
                self._source.fault(action)
            case Stop():
                self._source.stop()
            case Seek(delta_s) if isinstance(self._source, Seekable):
                self._source.seek(delta_s)
            case Leave():
                return self._leave()
        return False

    def _leave(self) -> bool:
        try:
            self._source.detach()
        except SkyloomError as error:
            self._state = replace(self._state, status=str(error))
            return False
        return True

    @property
    def _shown(self) -> Snapshot:
        return self._frozen if self._state.frozen else self._newest

    def _tell_view(self) -> None:
        rows = panel_rows(self._newest, self._terminal.size[1])
        self._state = replace(self._state, body_rows=rows)
        view = self._state.view()
        if view != self._viewed:
            self._viewed = view
            self._source.view(view)

    def _draw(self) -> None:
        self._drawn_s = self._clock()
        self._drawn_size = self._terminal.size
        self._terminal.paint(frame(self._shown, self._state, *self._drawn_size, self._signs))


def _from_here(folder: str) -> str:
    """A path as it would be typed here: relative where it lies below."""
    try:
        return str(Path(folder).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return folder
