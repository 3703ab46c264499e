"""The terminal of the screen: the alternate buffer, single keys, and output of changed lines only.

Invariant: every end of the block (an exception, SIGTERM, SIGHUP, Ctrl-Z) restores the terminal; a terminal that was
closed gets no more output, and does not end the run.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from emulator.report import text
from emulator.ui.terminal.lines import Frame, Line

ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"  # the alternate buffer, without cursor, cleared
LEAVE = "\x1b[H\x1b[2J\x1b[?25h\x1b[?1049l"  # cleared, as tmux moves lines of a resized screen into the main buffer
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # synchronized update: a frame appears at once, if the terminal supports it
COLOURS = {
    "standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR,
}  # fmt: skip
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminal:
    """`with Terminal(console) as terminal: terminal.paint(frame)`. `keys`: descriptor of a terminal to read keys from.

    Without `keys`, standard input is used if it is a terminal and this process is in its foreground.
    """

    def __init__(self, console: Console, keys: int | None = None) -> None:
        self.keys = _foreground_input() if keys is None else keys
        self.gone = False
        self._console = console
        self._ascii = not console.encoding.lower().startswith("utf")
        self._painted: list[str] = []
        self._size = (0, 0)
        self._modes: list[Any] | None = None  # of the terminal before `__enter__`
        self._handlers: dict[int, Any] = {}
        self._wake: tuple[int, int] | None = None
        self._old_wakeup = -1
        self._suspending = False

    def __enter__(self) -> Terminal:
        self._catch_signals()
        try:
            self._enter()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if self._wake is not None:
            signal.set_wakeup_fd(self._old_wakeup)
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()
            for fd in self._wake:
                os.close(fd)
            self._wake = None

    @property
    def size(self) -> tuple[int, int]:
        """Present columns and rows of the terminal itself; COLUMNS and LINES may be out of date."""
        try:
            width, height = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):
            width, height = 0, 0
        if not (width and height):
            width, height = self._console.size
        return max(1, width), max(1, height)

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> set[int]:
        """Wait until some of `fds` or the keys are readable, and return these; empty after a timeout or a signal."""
        waited = [*fds, *([self._wake[0]] if self._wake else ()), *([self.keys] if self.keys is not None else ())]
        ready = set(select.select(waited, [], [], timeout_s)[0])
        if self._wake and self._wake[0] in ready:
            with suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        if self._suspending:
            self._suspend()
        return ready

    def read_keys(self) -> bytes:
        """The typed bytes; empty once the terminal was closed."""
        assert self.keys is not None
        try:
            data = os.read(self.keys, 4096)
        except OSError:
            data = b""
        if not data:
            self.keys = None
        return data

    def paint(self, frame: Frame) -> None:
        """Write the changed lines of the frame to the terminal."""
        if self.gone:
            return
        width, height = self.size
        lines = [self._sequence(pieces) for pieces in frame.lines[:height]]
        if (width, height) != self._size:
            self._size, self._painted = (width, height), []
        changed = [
            f"\x1b[{row + 1};1H{words}\x1b[K"
            for row, words in enumerate(lines)
            if row >= len(self._painted) or self._painted[row] != words
        ]
        if not self._painted:
            changed.insert(0, "\x1b[2J")
        elif len(lines) < len(self._painted):
            changed.append(f"\x1b[{len(lines) + 1};1H\x1b[J")
        if changed:
            self._write(BEGIN + "".join(changed) + END)
        self._painted = lines

    def _sequence(self, pieces: Line) -> str:
        """A line as control sequences. The erase at its end needs plain attributes, which each piece restores."""
        colours, without = COLOURS.get(self._console.color_system or ""), self._console.no_color
        made = []
        for words, style, _ in pieces:
            if self._ascii:
                words = text.plain(words)
            before = _before(style, colours, without) if style is not None else ""
            made.append(f"{before}{words}\x1b[0m" if before else words)
        return "".join(made)

    def _enter(self) -> None:
        if self.keys is not None:
            try:
                self._modes = termios.tcgetattr(self.keys)
                tty.setcbreak(self.keys, termios.TCSANOW)
            except termios.error:
                self.keys = None
        self._painted = []
        self._write(ENTER)

    def _leave(self) -> None:
        self._write(LEAVE)
        if self._modes is not None and self.keys is not None:
            with suppress(termios.error):
                termios.tcsetattr(self.keys, termios.TCSADRAIN, self._modes)
        self._modes = None

    def _write(self, words: str) -> None:
        if self.gone:
            return
        try:
            self._console.file.write(words)
            self._console.file.flush()
        except (OSError, ValueError):
            self.gone = True

    def _catch_signals(self) -> None:
        """A change of size wakes `wait`; Ctrl-Z restores the terminal while this process is stopped."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._old_wakeup = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        self._handle(signal.SIGWINCH, lambda *_: None)
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            self._handle(signal.SIGTSTP, self._ask_to_suspend)
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._handle(number, _end)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], object]) -> None:
        self._handlers[number] = signal.signal(number, handler)

    def _ask_to_suspend(self, *_: object) -> None:
        self._suspending = True  # done in `wait`, as a frame may be partly written here

    def _suspend(self) -> None:
        self._suspending = False
        self._leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here until SIGCONT
        signal.signal(signal.SIGTSTP, self._ask_to_suspend)
        self._enter()


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _foreground_input() -> int | None:
    """Standard input, if it is a terminal with this process in its foreground: others would be stopped."""
    try:
        fd = sys.stdin.fileno()
        return fd if os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):
        return None


@lru_cache(maxsize=1024)
def _before(style: Style, colours: ColorSystem | None, without_colours: bool) -> str:
    """The control sequence that switches a style on; "" if the terminal cannot show it."""
    if without_colours:
        style = style.without_color
    mark = "\0"
    return style.render(mark, color_system=colours).partition(mark)[0]
