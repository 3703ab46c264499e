"""The end of a run: closes its tables, asks the scenario's analysis for figures, and fills in the verdict.

Invariant: an error in the scenario's analysis, or in reading tables back, becomes an error or a warning of the verdict;
the verdict is written all the same.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from emulator.observe.live_metrics import LiveMetrics
from emulator.record import qlog
from emulator.record.verdict import judge
from emulator.record.verdict.schema import FlowRow, Outcome, ProbeLoss, ProbeRow, Quantiles, RoundFigures, Verdict
from emulator.runtime.supervisor import late
from emulator.runtime.supervisor.collector import Collector

if TYPE_CHECKING:
    from emulator.record.folder import RunFolder
    from emulator.record.spool import Spool
    from emulator.runtime.control.rounds import RoundCount
    from emulator.runtime.plane import Plane
    from emulator.runtime.programs.jobs import Jobs
    from emulator.scenario import Scenario


STEPS = 6  # of a run's end: capture, three tables or more, figures, verdict
TABLES = 3


def quantiles_ms(values_s: list[float]) -> Quantiles:
    """p50, p99 and the largest, in milliseconds; empty where there are no values."""
    if not values_s:
        return {}
    import numpy as np

    p50, p99 = np.quantile(np.array(values_s), [0.5, 0.99])
    return {"p50": float(p50) * 1e3, "p99": float(p99) * 1e3, "max": max(values_s) * 1e3}


def probe_loss(metrics: LiveMetrics) -> ProbeLoss:
    """Losses of probes that met no busy link; empty where no probe can be told to be of that kind."""
    judged = metrics.unqueued + metrics.unqueued_lost
    if not judged:
        return {}
    lost = metrics.unqueued_lost
    return {"share": lost / judged, "lost": lost, "judged": judged, "queued": metrics.queued}


def probe_table(collector: Collector) -> list[ProbeRow]:
    """`probes` of the verdict: mean scheduled and measured round trip, error and counts of each pair."""
    rows: list[ProbeRow] = []
    for (node, peer), pair in sorted(collector.metrics.probes.items()):
        seen_s = pair.sum_s / max(pair.received, 1)
        if pair.expected_count:  # of the same probes as the mean that was asked
            seen_s = pair.expected_seen_s / pair.expected_count
        rows.append(
            {
                "pair": f"{node} → {peer}",
                "asked_ms": pair.expected_sum_s / pair.expected_count * 1e3 if pair.expected_count else None,
                "seen_ms": seen_s * 1e3 if pair.received else None,
                "error_ms": quantiles_ms(pair.errors_s),
                "sent": pair.received + pair.lost,
                "lost": pair.lost,
            }
        )
    return rows


def flow_table(collector: Collector) -> list[FlowRow]:
    """`flows` of the verdict: one row for each flow between two nodes."""
    rows: list[FlowRow] = []
    for (sender, receiver, program), flow in sorted(collector.metrics.flows.items()):
        rows.append(
            {
                "pair": f"{sender} → {receiver}",
                "program": program,
                "bytes": flow.bytes,
                "duration_s": flow.duration_s,
                "mean_bps": flow.mean_bps(),
            }
        )
    return rows


def observed(
    scenario: Scenario, run_id: str, played_s: float, collector: Collector, figures: dict[str, Any]
) -> Verdict:
    """A verdict with the observed figures; nothing is judged yet."""
    verdict = Verdict(scenario.name, scenario.seed, run_id, played_s)
    verdict.lateness_ms = collector.lateness_ms() if collector.reports else Quantiles()
    verdict.lateness_limit_ms = scenario.fidelity.lateness_p99_s * 1e3
    verdict.lateness_budget = late.budget(collector)
    collector.metrics.settle(inf)
    verdict.probe_error_ms = quantiles_ms(collector.metrics.errors_s)
    verdict.probe_loss = probe_loss(collector.metrics)
    verdict.drops = collector.drops()
    verdict.probes, verdict.flows = probe_table(collector), flow_table(collector)
    verdict.summary, verdict.prediction = figures, dict(scenario.prediction)
    return verdict


def round_table(rounds: RoundCount, scenario: Scenario, data_plane: Plane, jobs: Jobs) -> RoundFigures:
    """`rounds` of the verdict: what programs counted, beside what the interfaces of their nodes did."""
    if not rounds.rounds:
        return {}
    nodes = {job.node for job in jobs.all if job.program.name in rounds.by_program}
    packets = sum(count for node, count in data_plane.packets_sent().items() if node in nodes)
    return {**rounds.figures(packets), "fidelity_at_least": scenario.rounds.fidelity}


def kill_switch(rounds: RoundCount) -> list[Outcome]:
    """The bound of the rounds that ended the run, as an expectation that does not hold."""
    if not rounds.stopped:
        return []
    figure, _, why = rounds.stopped.partition(": ")
    observed = rounds.rounds if figure == "rounds.max_rounds" else rounds.messages
    bound = rounds.max_rounds if figure == "rounds.max_rounds" else rounds.max_messages
    return [Outcome(figure, f"at most {bound}", observed, False, why)]


def settle_qlogs(folder: RunFolder, t0_utc_ns: int) -> None:
    """Put the qlog files that commands have left in their working folders on scenario time; warn of those that stay."""
    for problem in qlog.put_on_scenario_time(folder.path / "nodes", t0_utc_ns):
        folder.warn(problem)


def figures_of(
    scenario: Scenario, folder: RunFolder, spools: Sequence[Spool], skip: bool, tell: Callable[[int, str], None]
) -> tuple[dict[str, Any], str]:
    """Close the tables `spools` and ask the scenario's analysis; returns its figures and what went wrong.

    `skip`: only close the tables, for a run that shall end now. `tell` is called before each of the STEPS steps, with
    its number and its name.
    """
    for number, spool in enumerate(spools, 1):
        tell(min(number, TABLES), f"table of {spool.name}")
        if skip:
            spool.close()
        else:
            converted = spool.finish()
            if converted.lost_bytes:
                folder.warn(f"{spool.name}: {converted.lost_bytes} bytes could not be read back")
    if skip or not scenario.analysis:
        return {}, ""
    tell(TABLES + 1, f"figures of {scenario.analysis}")
    try:
        from emulator.record.load import load_run

        if scenario.directory not in sys.path:
            sys.path.append(scenario.directory)
        figures = importlib.import_module(scenario.analysis).summarise(load_run(folder.path))
        if not isinstance(figures, dict):
            raise TypeError(f"summarise gave {type(figures).__name__}; expected a dict")
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return {}, f"analysis {scenario.analysis} failed: {type(error).__name__}: {error}"
    return figures, ""


def conclude(verdict: Verdict, scenario: Scenario, outcomes: list[Outcome], error_code: int | None) -> Verdict:
    """Judge the run by the scenario's expectations and `outcomes`; a run that an error broke only by the latter."""
    verdict.expectations += outcomes
    asked = [] if verdict.error else [expect.model_dump() for expect in scenario.expects]
    return judge.conclude(verdict, asked, error_code)
