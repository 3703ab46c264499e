"""Numbers as people read them: three significant digits, a unit, a fixed width; and the signs that stand beside colour.

Invariant: what is absent shows as "-", never as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from emulator.model.printable import printable


class Printing(Console):
    """A console for words that are not our own: their control characters do not reach the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class Signs(NamedTuple):
    """Marks of a state, so that nothing is shown by colour alone."""

    good: str
    bad: str
    warn: str
    now: str
    later: str


GOOD, BAD, WARN, DIM, HEAD = "green", "red", "yellow", "dim", "bold"  # styles of what is said

UNICODE = Signs("✓", "✗", "▲", "▶", "·")
ASCII = Signs("+", "x", "!", ">", ".")


def signs(console: Console) -> Signs:
    """The signs that this console can write."""
    return UNICODE if console.encoding.lower().startswith("utf") else ASCII


_PLAIN = str.maketrans(
    {"…": "~", "→": ">", "←": "<", "↑": "^", "↓": "v", "·": ".", "›": ">", "━": "=", "╸": "-", "─": "-", "│": "|",
     "▶": ">", "▲": "!", "✓": "+", "✗": "x", "×": "x", **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True))}
)  # fmt: skip


def plain(words: str) -> str:
    """Our own signs in ASCII, for terminals that can write nothing else; what is still foreign becomes "?"."""
    return words.translate(_PLAIN).encode("ascii", "replace").decode()


def never_fail(console: Console) -> None:
    """Let a console that cannot write a character write "?" instead of ending in an error."""
    reconfigure = getattr(console.file, "reconfigure", None)
    if reconfigure is not None and not console.encoding.lower().startswith("utf"):
        reconfigure(errors="replace")


def value(figure: Any) -> str:
    """Any figure of a verdict as a person reads it."""
    if figure is None:
        return "-"
    if isinstance(figure, bool):
        return "true" if figure else "false"
    if isinstance(figure, float):
        return share(figure) if 0.99 <= figure <= 1 else number(figure)
    if isinstance(figure, int):
        return f"{figure:,}"
    if isinstance(figure, Mapping):
        return "(" + ", ".join(f"{name} {value(item)}" for name, item in figure.items()) + ")"
    if isinstance(figure, list):
        return f"{len(figure)} values"
    return str(figure)


def share(part: float) -> str:
    """A share, cut to four digits: 1.0 stands for all and nothing less."""
    return str(math.floor(part * 1e4) / 1e4)


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits without an exponent: 0.123, 1.23, 45.6, 789, 12,300."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    value = rounded if math.isfinite(rounded) else value  # the largest floats round up to infinity
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, digits)}f}"


def milliseconds(value: float | None) -> str:
    """A delay in milliseconds, always to the microsecond where it is small and to 0.1 ms where it is not."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


def signed(value: float | None) -> str:
    """An error in milliseconds with its sign."""
    return "-" if value is None or not math.isfinite(value) else f"{value:+.2f}"


def _scaled(value: float | None, base: float, units: tuple[str, ...]) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) < 999.5 and float(value).is_integer():
        return f"{value:.0f} {units[0]}"
    for unit in units[:-1]:
        if abs(value) < 999.5 * (base / 1000):
            return f"{number(value)} {unit}"
        value /= base
    return f"{number(value)} {units[-1]}"


def rate(bps: float | None) -> str:
    """A rate: "45.6 Mbit/s"."""
    return _scaled(bps, 1000, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"))


def size(count: float | None) -> str:
    """An amount of data: "12.3 MB"."""
    return _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB"))


def microseconds(value: float | None) -> str:
    """How far clocks are apart: "2.40 us", "1.20 ms", "5.00 s"."""
    return _scaled(value, 1000, ("us", "ms", "s"))


def clock(t_s: float | None) -> str:
    """A time of the scenario: "00:41", "1:02:03", "-00:02"."""
    if t_s is None or not math.isfinite(t_s):
        return "--:--"
    sign, seconds = ("-", math.ceil(-t_s)) if t_s < 0 else ("", int(t_s))
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{sign}{hours}:{minutes:02}:{rest:02}" if hours else f"{sign}{minutes:02}:{rest:02}"


def duration(seconds: float | None) -> str:
    """A length of time: "0.42 s", "12 s", "3 min 20 s", "2 h 05 min"."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 59.95:
        return f"{number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
