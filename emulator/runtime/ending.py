"""The end of a run: tables closed, the scenario's analysis asked, the verdict written.

Invariant: nothing here can keep a verdict from being written; what goes wrong becomes a warning or an error in it.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from emulator.record.verdict import Outcome, Verdict
from emulator.runtime.collector import Collector

if TYPE_CHECKING:
    from emulator.record.folder import RunFolder
    from emulator.scenario import Scenario


def quantiles_ms(values_s: list[float]) -> dict[str, float]:
    """p50, p99 and the largest, in milliseconds; empty where there are no values."""
    if not values_s:
        return {}
    import numpy as np

    p50, p99 = np.quantile(np.array(values_s), [0.5, 0.99])
    return {"p50": float(p50) * 1e3, "p99": float(p99) * 1e3, "max": max(values_s) * 1e3}


def probe_table(collector: Collector) -> list[dict[str, Any]]:
    """What verdict.json says of each probed pair: mean asked and seen round trip, error, counts."""
    rows = []
    for (node, peer), pair in sorted(collector.probes.items()):
        rows.append(
            {
                "pair": f"{node} → {peer}",
                "asked_ms": pair.asked_sum_s / pair.asked_count * 1e3 if pair.asked_count else None,
                "seen_ms": pair.sum_s / pair.received * 1e3 if pair.received else None,
                "error_ms": quantiles_ms(pair.errors_s),
                "sent": pair.received + pair.lost,
                "lost": pair.lost,
            }
        )
    return rows


def flow_table(collector: Collector) -> list[dict[str, Any]]:
    """What verdict.json says of each flow between two nodes."""
    rows = []
    for (sender, receiver, program), flow in sorted(collector.flows.items()):
        span_s = flow.last_s - flow.first_s
        rows.append(
            {
                "pair": f"{sender} → {receiver}",
                "program": program,
                "bytes": flow.bytes,
                "duration_s": span_s,
                "mean_bps": flow.bytes * 8 / span_s if span_s > 0 else 0.0,
            }
        )
    return rows


def figures_of(scenario: Scenario, folder: RunFolder, collector: Collector, skip: bool) -> tuple[dict[str, Any], str]:
    """Close the tables and ask the scenario's analysis; returns its figures and what went wrong.

    `skip`: only close the tables, for a run that shall end now.
    """
    for spool in (collector.events, collector.samples, collector.links):
        if skip:
            spool.close()
        else:
            converted = spool.finish()
            if converted.lost_bytes:
                folder.warn(f"{spool.name}: {converted.lost_bytes} bytes could not be read back")
    if skip or not scenario.analysis:
        return {}, ""
    try:
        from emulator.record.load import load_run

        if scenario.directory not in sys.path:
            sys.path.append(scenario.directory)
        run = load_run(folder.path)
        tables = {"events": run.events, "samples": run.samples, "links": run.links}
        figures = importlib.import_module(scenario.analysis).summarise(tables)
        if not isinstance(figures, dict):
            raise TypeError(f"summarise gave {type(figures).__name__}, wanted a dict")
    except Exception as error:
        traceback.print_exc()
        return {}, f"analysis {scenario.analysis} failed: {type(error).__name__}: {error}"
    return figures, ""


def conclude(verdict: Verdict, scenario: Scenario, outcomes: list[Outcome], error_code: int | None) -> Verdict:
    """Evaluate what the scenario expects, unless the run broke before it could tell."""
    verdict.expectations += outcomes
    asked = [] if verdict.error else [expect.model_dump() for expect in scenario.expects]
    verdict.conclude(asked)
    if verdict.error and error_code is not None:
        verdict.exit_code = error_code
    return verdict
