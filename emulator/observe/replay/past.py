"""Snapshots of a finished run at any instant, from its records.

Invariant: a snapshot depends on its instant and the view alone, not on earlier positions of the cursor.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

from emulator.observe.expected_rtt import ExpectedRtt
from emulator.observe.live_metrics import HISTORY, LIVE_ROWS
from emulator.observe.panels import Panels
from emulator.observe.replay.altered import Altered
from emulator.observe.replay.feed import Feed, ReplayMetrics
from emulator.observe.replay.intervals import Histories, Intervals
from emulator.observe.replay.programs import PastJobs, PastProcesses
from emulator.observe.replay.schedule_view import ReplayRows, ReplayScheduleView, served_by
from emulator.observe.snapshot import HandoverRow, Snapshot
from emulator.observe.snapshot_builder import HANDOVER_TAIL, About, Moment, SnapshotBuilder, at_stage, opening
from emulator.observe.view import View
from emulator.record.events import EVENT_COLUMNS, SAMPLE_COLUMNS
from emulator.record.links import LINK_COLUMNS
from emulator.record.load import OWN
from emulator.record.spool import Columns, empty
from emulator.record.verdict.schema import LATE_CAUSES, LatenessBudget, Quantiles
from emulator.scenario import load
from emulator.scenario.build import build_network

if TYPE_CHECKING:
    import polars as pl

    from emulator.model.network import Network
    from emulator.record.load import Run


class Figures:
    """The `Measurements` of a finished run, from its tables."""

    def __init__(
        self, network: Network, feed: Feed, intervals: Intervals, lateness_ms: Quantiles, budget: LatenessBudget
    ) -> None:
        self.end_names = [network.end_name(end) for end in range(2 * len(network.links))]
        self.numbers = {name: end for end, name in enumerate(self.end_names)}
        self.history_bps = Histories(intervals, HISTORY)
        self.intervals = intervals.latest
        self.drops_so_far = intervals.drops
        self.drops_of = intervals.drops_of
        self._feed = feed
        self._lateness_ms: Quantiles | None = None
        if any(value is not None for value in lateness_ms.values()):
            self._lateness_ms = {
                "p50": lateness_ms.get("p50") or 0.0,
                "p99": lateness_ms.get("p99") or 0.0,
                "max": lateness_ms.get("max") or 0.0,
            }
        self.at_end = False  # whether the instant is the run's last
        self._budget = budget

    @property
    def metrics(self) -> ReplayMetrics:
        return self._feed.metrics

    def lateness_ms(self) -> Quantiles | None:
        """The lateness of the whole run; None before its end."""
        return self._lateness_ms if self.at_end else None

    def late_by(self) -> str:
        """The main cause of the lateness, from the verdict."""
        shares = {cause: self._budget.get(cause) or 0.0 for cause in LATE_CAUSES}
        return max((cause for cause in LATE_CAUSES if shares[cause]), key=lambda cause: shares[cause], default="")


class Past:
    """A run's tables, and its scenario, built again."""

    def __init__(self, run: Run) -> None:
        import polars as pl

        self.run = run
        self.scenario = load(run.path / "scenario.toml")
        self.network = build_network(self.scenario)
        events = _table(run, "events", EVENT_COLUMNS)
        self._intervals = Intervals(_table(run, "links", LINK_COLUMNS))
        self._feed = Feed(
            events, _table(run, "samples", SAMPLE_COLUMNS), lambda: Panels.of(self.scenario, self.network)
        )  # fmt: skip
        verdict = run.verdict
        played_s = verdict.duration_s if verdict is not None else 0.0
        self.until_s = max(played_s or 0.0, self._intervals.until_s, self._feed.until_s, 0.0)
        own = events.filter(pl.col("program").is_in(OWN))
        self._handovers = _handovers(own)
        self._handed_s = [handover["t_s"] for handover in self._handovers]
        step_s = self.network.timeline.step_s if self.network.timeline is not None else 1.0
        self._step_s = step_s
        self._rows = ReplayRows(self.network, ceil(max(self.until_s, step_s) / step_s))
        handovers = ((it["t_s"], it["link"], it["before"], it["after"]) for it in self._handovers)
        self._schedule_view = ReplayScheduleView(
            self.network, self._rows, served_by(handovers), max(self.until_s, self.scenario.duration_s)
        )
        self._expected_rtt = ExpectedRtt(self.network, self._rows) if self.network.timeline is not None else None
        self._altered = Altered(self.network, own)
        self._compared: dict[
            tuple[str, str], tuple[float | None, float | None]
        ] = {}  # time of sending, expected round trip
        self._jobs = PastJobs(self.scenario, self.network, events)
        lateness_ms = verdict.lateness_ms if verdict else Quantiles()
        budget = verdict.lateness_budget if verdict else LatenessBudget()
        self._figures = Figures(self.network, self._feed, self._intervals, lateness_ms, budget)
        self._snapshot_builder = SnapshotBuilder(
            self.network, self._schedule_view, self._jobs, PastProcesses(self._jobs), self._figures
        )
        about = About(
            self.scenario.name, self.scenario.seed, run.path.resolve().name.rpartition("-")[2], str(run.path),
            self.until_s, self.scenario.fidelity.lateness_p99_s * 1e3,
        )  # fmt: skip
        self._opening = opening(about, self.network)
        self._t0_utc_s = _t0_utc_s(own)

    def clamp(self, t_s: float) -> float:
        """The nearest instant of the run."""
        return min(self.until_s, max(0.0, t_s))

    def snapshot(self, t_s: float, view: View, more_time: Callable[[], bool]) -> tuple[Snapshot, bool]:
        """The snapshot of the live run at `t_s`, and whether it is complete."""
        t_s = self.clamp(t_s)
        fed = self._feed.bring_to(t_s, more_time)
        reached = self._rows.reach(self._schedule_view.schedule.step_at(t_s), more_time) if fed else False
        self._intervals.t_s = t_s
        self._jobs.at(t_s)
        self._snapshot_builder.metrics = self._feed.metrics
        self._snapshot_builder.overrides = lambda: self._altered.at(t_s)
        reached = reached and self._compare_probes(more_time)
        self._figures.at_end = t_s >= self.until_s
        self._handed(t_s)
        verdict = self.run.verdict
        warnings = verdict.warnings if verdict else ["the run has no verdict: it was killed, or failed before its end"]
        found = self._snapshot_builder.snapshot(self._opening, view, Moment(t_s, self._t0_utc_s, warnings))
        if reached:
            return {**found, "phase": "done"}, fed
        if fed:
            done, total = self._rows.reached, int(t_s / self._step_s)
            return at_stage(found, "analysis", done, total, "steps of the schedule"), False
        return at_stage(found, "analysis", self._feed.fed, self._feed.position(t_s), "records read"), False

    def _handed(self, t_s: float) -> None:
        """Set the handovers so far, if there are moving links."""
        if not any(link.moving for link in self.network.links):
            return
        happened = bisect_right(self._handed_s, t_s)
        self._snapshot_builder.handovers = happened
        self._snapshot_builder.handover_tail = self._handovers[max(0, happened - HANDOVER_TAIL) : happened]

    def _compare_probes(self, more_time: Callable[[], bool]) -> bool:
        """Compare the last probe of each shown pair with the schedule; returns False if there was no more time."""
        metrics = self._feed.metrics
        if self._expected_rtt is None:
            return True
        for key, pair in list(metrics.probes.items())[:LIVE_ROWS]:
            sent_s = metrics.probed_s.get(key)
            if sent_s is None:
                continue
            if self._compared.get(key, (None, None))[0] != sent_s:
                if not more_time():
                    return False
                arrived_s = sent_s + pair.seen_s
                self._expected_rtt.altered(set(self._altered.at(arrived_s - arrived_s % self._step_s)))
                expected = self._expected_rtt.round_trip(*key, sent_s)
                self._compared[key] = sent_s, expected.rtt_s if expected is not None else None
            rtt_s = self._compared[key][1]
            pair.expected_s, pair.error_s = rtt_s, None if rtt_s is None else pair.seen_s - rtt_s
        return True


def _table(run: Run, name: str, columns: Columns) -> pl.DataFrame:
    """A table of the run; empty where the run failed before there was one."""
    import polars as pl

    if not any((run.path / f"{name}.{kind}").exists() for kind in ("parquet", "spool")):
        return empty(columns)
    table: pl.DataFrame = getattr(run, name)
    return table.filter(pl.col("t_s").is_finite())


def _handovers(events: pl.DataFrame) -> list[HandoverRow]:
    import polars as pl

    found: list[HandoverRow] = []
    for t_s, data in events.filter(pl.col("kind") == "handover").select("t_s", "data").iter_rows():
        fields = json.loads(data)
        found.append({"t_s": t_s, "link": fields["link"], "before": fields["before"], "after": fields["after"]})
    return found


def _t0_utc_s(events: pl.DataFrame) -> float | None:
    """Time of day of scenario time 0."""
    import polars as pl

    for (data,) in events.filter(pl.col("kind") == "play").select("data").head(1).iter_rows():
        t0_utc_ns = json.loads(data).get("t0_utc_ns")
        return t0_utc_ns * 1e-9 if isinstance(t0_utc_ns, int | float) else None
    return None
