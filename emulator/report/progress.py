"""Progress on one line of standard error: of work within a command, and of many runs one after another.

Invariant: only a terminal has a line that changes; a reader who has gone away never disturbs the work.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from emulator.model.printable import one_line
from emulator.report import text

if TYPE_CHECKING:
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.source import Source

Tell = Callable[[str, int, int], None]  # what is being done, how many of it are done, of how many (0: not known)
REDRAW_S = 0.1


def silent(words: str, done: int = 0, total: int = 0) -> None:
    """A `Tell` that shows nothing."""


class _Line:
    """The last line of a stream, where it is a terminal."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]) -> None:
        self._stream = stream or sys.stderr
        self._draws = self._stream.isatty()
        self._clock = clock
        self._began_s = clock()

    def close(self) -> None:
        """Take the changing line away."""
        self._write(self._clear())

    def _show(self, words: str) -> None:
        if self._draws:
            self._write(self._clear() + one_line(words)[: shutil.get_terminal_size().columns - 1])

    def _clear(self) -> str:
        return "\r\x1b[K" if self._draws else ""

    def _write(self, words: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(words)
            self._stream.flush()


class StepProgress(_Line):
    """`with StepProgress() as tell: tell("drawing rates", 3, 9)`: phase, count, rate, time left; nothing in a pipe.

    A phase is another where `done` is not more than it was; its rate counts from there.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._done = self._first = 0
        self._shown_s = float("-inf")

    def __enter__(self) -> Tell:
        return self.tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, words: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done now."""
        now_s = self._clock()
        begins = done <= self._done
        if begins:
            self._began_s, self._first = now_s, done
        self._done = done
        if not begins and done < total and now_s - self._shown_s < REDRAW_S:
            return
        self._shown_s = now_s
        parts = [words]
        if total:
            parts.append(f"{done:,}/{total:,}")
            rate = (done - self._first) / (now_s - self._began_s) if now_s > self._began_s else 0.0
            if rate > 0:
                parts += [f"{text.number(rate, 2)}/s", f"{text.duration((total - done) / rate)} left"]
        self._show("  ".join(parts))


class RunProgress(_Line):
    """`begin(label)`, `update(snapshot)` as often as there is one, `end(outcome)`; for each of `total` runs."""

    def __init__(self, total: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._total = total
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
        """Show the run until it has ended; it cannot be detached."""
        while (snapshot := source.receive()) is not None:
            self.update(snapshot)
        return False

    def end(self, outcome: str, lasting: bool = False) -> None:
        """The run has ended. `lasting` outcomes keep their line on a terminal too."""
        self._done += 1
        if self._draws and not lasting:
            self._draw(outcome)
        else:
            self._write(f"{self._clear()}{one_line(self._line(outcome, self._done))}\n")

    def note(self, words: str) -> None:
        """Write a line of its own."""
        self._write(f"{self._clear()}{one_line(words)}\n")

    def _line(self, words: str, number: int) -> str:
        parts = [f"[{number}/{self._total}] {self._label}".rstrip(), words]
        if self._done:
            each_s = (self._clock() - self._began_s) / self._done
            parts.append(f"{text.number(60 / max(each_s, 1e-3), 2)} runs/min")
            if self._done < self._total:
                parts.append(f"{text.duration(each_s * (self._total - self._done))} left")
        return "  ".join(parts)

    def _draw(self, words: str) -> None:
        self._show(self._line(words, min(self._done + 1, self._total)))
