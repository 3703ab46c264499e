"""A run without a terminal: one plain line per phase and every few seconds.

Invariant: it takes time from the snapshots, so a fixed series of them always gives the same lines.
"""

from __future__ import annotations

import re

from rich.console import Console

from emulator.observe.snapshot import PHASES, Snapshot
from emulator.report import text

HEARTBEAT_S = 5.0
COUNTS = re.compile(r"(?<![\w-])\d[\d.,]*")  # numbers that are no part of a name


class Heartbeat:
    """Writes lines to a console, as snapshots come."""

    def __init__(self, console: Console, scenario: str = "") -> None:
        self._console = console
        self._scenario = scenario
        self._signs = text.signs(console)
        self._phase: str | None = None
        self._beat_s = float("-inf")
        self._warned: set[str] = set()  # without their counts, which grow

    def update(self, snapshot: Snapshot) -> None:
        """Take the next snapshot; writes where it is time to."""
        if self._scenario and "scenario" not in snapshot:
            snapshot = {**snapshot, "scenario": self._scenario}
        now_s = max(0.0, snapshot.get("elapsed_s", self._beat_s + HEARTBEAT_S))
        for warning in snapshot.get("warnings", []):
            if (words := COUNTS.sub("", warning)) not in self._warned:
                self._warned.add(words)
                self._console.print(f"{self._signs.warn} warning: {warning}", soft_wrap=True, markup=False)
        changed = snapshot.get("phase", "schedule") != self._phase
        self._phase = snapshot.get("phase", "schedule")
        if changed or now_s - self._beat_s >= HEARTBEAT_S:
            self._beat_s = now_s
            self._console.print(heartbeat(snapshot), soft_wrap=True, markup=False)


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
