"""The live screen: draws snapshots on a terminal, or writes a plain heartbeat line where there is none.

Invariant: it draws only when told to and takes time from the snapshots, so a fixed series of snapshots always gives
the same frames; at most four a second are drawn.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console

from emulator.record.snapshot import PHASES, Phase, Snapshot
from emulator.show import panels, text

if TYPE_CHECKING:
    from rich.live import Live

FRAME_S = 0.25
HEARTBEAT_S = 5.0


class _Talk(Console):
    """Standard error. When its reader has gone (`… 2>&1 | head`) the run goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class LiveScreen:
    """`with LiveScreen() as screen: screen.update(snapshot)`, as often as there is a snapshot.

    `enabled`: True draws, False writes lines, None decides by whether standard error is a terminal.
    Everything goes to standard error, so that standard output stays free for data. NO_COLOR is respected.
    """

    def __init__(self, enabled: bool | None = None, scenario: str = "", console: Console | None = None) -> None:
        self.console = console or _Talk(stderr=True, highlight=False)
        text.never_fail(self.console)
        drawable = self.console.is_terminal and not self.console.is_dumb_terminal
        self._draws = drawable if enabled is None else enabled and drawable
        self._scenario = scenario
        self._signs = text.signs(self.console)
        self._live: Live | None = None
        self._phase: Phase | None = None
        self._phase_began_s = 0.0
        self._took_s: dict[Phase, float] = {}
        self._drawn_s = float("-inf")
        self._beat_s = float("-inf")
        self._warned = 0

    def __enter__(self) -> LiveScreen:
        if self._draws:
            from rich.live import Live

            self._live = Live(console=self.console, auto_refresh=False, screen=True, vertical_overflow="crop")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, snapshot: Snapshot) -> None:
        """Take the next snapshot; draws or writes where it is time to."""
        if self._scenario and "scenario" not in snapshot:
            snapshot = snapshot.copy()
            snapshot["scenario"] = self._scenario
        now_s = snapshot.get("elapsed_s", self._drawn_s + FRAME_S if self._draws else self._beat_s + HEARTBEAT_S)
        now_s = max(now_s, 0.0)
        changed = self._follow_phase(snapshot, now_s)
        if self._live is not None:
            if changed or now_s - self._drawn_s >= FRAME_S * 0.95:
                self._drawn_s = now_s
                width, height = self.console.size
                spent_s = self._took_s | {snapshot.get("phase", "schedule"): now_s - self._phase_began_s}
                self._live.update(panels.screen(snapshot, width, height, self._signs, spent_s), refresh=True)
            return
        for warning in snapshot.get("warnings", [])[self._warned :]:
            self.console.print(f"{self._signs.warn} warning: {warning}", soft_wrap=True, markup=False)
        self._warned = max(self._warned, len(snapshot.get("warnings", [])))
        if changed or now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            self.console.print(heartbeat(snapshot), soft_wrap=True, markup=False)

    def _follow_phase(self, snapshot: Snapshot, now_s: float) -> bool:
        phase = snapshot.get("phase", "schedule")
        if phase == self._phase:
            return False
        if self._phase is not None:
            self._took_s[self._phase] = now_s - self._phase_began_s
        self._phase, self._phase_began_s = phase, now_s
        return True


def heartbeat(snapshot: Snapshot) -> str:
    """One line of a run without a terminal: "12.5 s  play 00:08/01:00  late p99 0.81 ms  probes 12 …"."""
    phase = snapshot.get("phase", "schedule")
    parts = [f"{snapshot.get('elapsed_s', 0.0):6.1f} s  {snapshot.get('scenario', '')} {phase}".rstrip()]
    if phase in PHASES and phase != "play" and snapshot.get("total"):
        parts[0] += f" {snapshot.get('done', 0):,.0f}/{snapshot['total']:,.0f}"
    if phase == "play":
        parts[0] += f" {text.clock(snapshot.get('t_s'))}/{text.clock(snapshot.get('duration_s'))}"
    if snapshot.get("label"):
        parts.append(snapshot["label"])
    if "lateness_ms" in snapshot:
        parts.append(f"late p99 {text.milliseconds(snapshot['lateness_ms']['p99'])} ms")
    if snapshot.get("probes"):
        errors = sorted(abs(row["error_ms"]) for row in snapshot["probes"] if "error_ms" in row)
        lost = sum(row.get("lost", 0) for row in snapshot["probes"])
        said = f", error median {text.milliseconds(errors[len(errors) // 2])} ms" if errors else ""
        parts.append(f"probes {len(snapshot['probes'])} pairs{said}, lost {lost}")
    if snapshot.get("flows"):
        now_bps = sum(row.get("now_bps", 0.0) for row in snapshot["flows"])
        parts.append(f"flows {len(snapshot['flows'])}, {text.rate(now_bps)}")
    if "handovers" in snapshot:
        parts.append(f"handovers {snapshot['handovers']:,}")
    drops = sum(snapshot.get("drops", {}).values())
    if drops:
        parts.append(f"drops {drops:,}")
    return "  ".join(parts)
