"""How far a run has come: its phases, a bar, counts, rate and remaining time.

Invariant: a remaining time is said only where both a total and a rate are known.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment

from emulator.observe.snapshot import PHASES, Phase, Snapshot
from emulator.report import text
from emulator.report.text import DIM, GOOD, HEAD, Signs
from emulator.ui.terminal.lines import Line, crop, length, line, style_of

PULSE_COLUMNS_PER_S = 12


def building(snapshot: Snapshot) -> bool:
    """Whether there is no network yet."""
    return snapshot.get("phase", "schedule") in PHASES[: PHASES.index("play")]


def all_phases(snapshot: Snapshot, width: int, signs: Signs, took_s: Mapping[Phase, float]) -> list[Line]:
    """A line a phase, while the network is being built."""
    current = snapshot.get("phase", "schedule")
    size = max(8, width // 3)
    lines = []
    for phase in PHASES:
        if phase == current:
            words = counts(snapshot, took_s.get(phase))
            lines.append([*line((f"{signs.now} {phase:9}", HEAD)), *bar(snapshot, size), Segment("  "), *words])
        elif phase in took_s or PHASES.index(phase) < PHASES.index(current):
            full = f"{'━' * size}  {text.duration(took_s.get(phase))}"
            lines.append(line((signs.good, GOOD), f" {phase:9}", (full, DIM)))
        else:
            lines.append(line((f"{signs.later} {phase}", DIM)))
    return lines


def one_line(snapshot: Snapshot, width: int, spent_s: float | None) -> Line:
    """A bar with its counts, at most `width` columns; the phase is named where it is not play."""
    phase = snapshot.get("phase", "schedule")
    name = line((f"{phase} ", HEAD)) if phase not in ("play", "done") else []
    words = counts(snapshot, spent_s)
    return crop([*name, *bar(snapshot, max(8, width - length(name) - length(words) - 2)), Segment("  "), *words], width)


def chips(snapshot: Snapshot, signs: Signs, took_s: Mapping[Phase, float]) -> Line:
    """The phases by their signs, with how long they took."""
    current = snapshot.get("phase", "schedule")
    pieces: Line = []
    for phase in PHASES:
        if phase == current:
            pieces += line((f"{signs.now} {phase}   ", HEAD))
        elif current == "done" or PHASES.index(phase) < PHASES.index(current):
            took = f" {text.duration(took_s[phase])}" if phase in took_s else ""
            pieces += line((f"{signs.good} ", GOOD), (f"{phase}{took}   ", DIM))
        else:
            pieces += line((f"{signs.later} {phase}   ", DIM))
    return pieces


def share(snapshot: Snapshot) -> tuple[float, float]:
    """How much is done, of how much."""
    if snapshot.get("phase") in ("play", "done") and "t_s" in snapshot:
        return max(0.0, snapshot["t_s"]), snapshot.get("duration_s", 0.0)
    return snapshot.get("done", 0.0), snapshot.get("total", 0.0)


def bar(snapshot: Snapshot, width: int) -> Line:
    """Full up to what is done; where no total is known, a piece that moves."""
    done, total = share(snapshot)
    if total <= 0:
        at = int(snapshot.get("elapsed_s", 0.0) * PULSE_COLUMNS_PER_S) % max(1, width - 2)
        return line(("─" * at, DIM), "━━━", ("─" * (width - 3 - at), DIM))
    full = min(width, int(width * min(1.0, done / total)))
    return [Segment("━" * full, style_of(GOOD)), Segment("─" * (width - full), style_of(DIM))]


def counts(snapshot: Snapshot, spent_s: float | None) -> Line:
    """ "412/1,584  1,210/s  0.97 s left  ports", as far as it is known."""
    done, total = share(snapshot)
    if snapshot.get("phase") == "done":
        return line("of a run that is over")
    if snapshot.get("phase") == "play":
        return line(f"{text.duration(max(0.0, total - done))} left") if total > done else []
    pieces: Line = line(f"{done:,.0f}/{total:,.0f}  ") if total else []
    rate = snapshot.get("rate") or (done / spent_s if spent_s and done else 0.0)
    if rate > 0 and total:
        pieces += line((f"{text.number(rate)}/s  ", DIM))
        if total > done:
            pieces += line(f"{text.duration((total - done) / rate)} left  ")
    return pieces + line((snapshot.get("label", ""), DIM))
