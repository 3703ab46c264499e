"""Progress of many runs, one after another: one line that changes on a terminal, a line a run where there is none.

Invariant: everything goes to standard error, and a reader who has gone away never disturbs the runs.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from emulator.record.snapshot import Snapshot
from emulator.show import text
from emulator.show.screen import Source


class RunProgress:
    """`begin(label)`, `update(snapshot)` as often as there is one, `end(outcome)`; for each of `total` runs."""

    def __init__(self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._stream = stream or sys.stderr
        self._draws = self._stream.isatty()
        self._clock = clock
        self._began_s = clock()
        self._done = 0
        self._label = ""

    def begin(self, label: str) -> None:
        """The next run begins; `label` says which one it is."""
        self._label = label
        self._draw("begins")

    def update(self, snapshot: Snapshot) -> None:
        """Show where the run is."""
        phase = snapshot.get("phase", "schedule")
        played = f" {text.clock(snapshot.get('t_s'))}/{text.clock(snapshot.get('duration_s'))}"
        self._draw(phase + (played if phase == "play" else ""))

    def follow(self, source: Source) -> bool:
        """Show the run until it has ended; nobody can leave it."""
        while (snapshot := source.receive()) is not None:
            self.update(snapshot)
        return False

    def end(self, outcome: str, lasting: bool = False) -> None:
        """The run has ended. `lasting` outcomes keep their line on a terminal too."""
        self._done += 1
        if self._draws and not lasting:
            self._draw(outcome)
        else:
            self._write(f"{self._clear()}{self._line(outcome, self._done)}\n")

    def note(self, words: str) -> None:
        """Write a line of its own."""
        self._write(f"{self._clear()}{words}\n")

    def close(self) -> None:
        """Take the changing line away."""
        self._write(self._clear())

    def _line(self, words: str, number: int) -> str:
        parts = [f"[{number}/{self._total}] {self._label}".rstrip(), words]
        if self._done:
            each_s = (self._clock() - self._began_s) / self._done
            parts.append(f"{text.number(60 / max(each_s, 1e-3), 2)} runs/min")
            if self._done < self._total:
                parts.append(f"{text.duration(each_s * (self._total - self._done))} left")
        return "  ".join(parts)

    def _draw(self, words: str) -> None:
        if self._draws:
            width = shutil.get_terminal_size().columns - 1
            self._write(self._clear() + self._line(words, min(self._done + 1, self._total))[:width])

    def _clear(self) -> str:
        return "\r\x1b[K" if self._draws else ""

    def _write(self, words: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(words)
            self._stream.flush()
