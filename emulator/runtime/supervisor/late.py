"""The lateness budget of a run: what made packets late, and what would help.

Invariant: engine, scheduler and capture share the whole lateness of the packets that left more than 1 ms late; the
shares add up to 1 where there were such packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.record.verdict.judge import packets_late, rounds_late
from emulator.record.verdict.schema import LATE_CAUSES, LatenessBudget

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.verdict import Verdict
    from emulator.runtime.supervisor.collector import Collector
    from emulator.scenario import Scenario

OVERLOADED_SHARE = 0.01  # of the time without reading ports, from which on a late run is told about it


def budget(collector: Collector) -> LatenessBudget:
    """`lateness_budget` of the verdict; empty where the engine has reported nothing of this kind."""
    report, late = collector.relay, collector.relay.get("late")
    if not late:
        return {}
    parts = {cause: float(late[f"{cause}_s"]) for cause in LATE_CAUSES}
    whole_s, packets, played_s = sum(parts.values()), collector.lateness.total, float(report["t_s"])
    found: LatenessBudget = {"late_packets": int(late["packets"])}
    if packets:
        found["late_share"] = late["packets"] / packets
    if whole_s > 0:
        for cause, part_s in parts.items():
            found[cause] = part_s / whole_s
    if played_s > 0:
        found["engine_cpu_share"] = report["engine_cpu_s"] / played_s
    during = collector.reports - 1  # the last report comes when the engine has stopped
    if during > 0:
        found["realtime_share"] = min(1.0, collector.realtime / during)
    found["overloaded_s"], found["late_handovers"] = report["overloaded_s"], report["late_handovers"]
    return found


def why_late(verdict: Verdict, collector: Collector, network: Network, scenario: Scenario) -> list[str]:
    """Warnings that say what made a run too late to trust, where, and what helps."""
    found = []
    if packets_late(verdict):
        worst = ", ".join(f"{network.end_name(end)} {late_s * 1e3:.1f} ms" for end, late_s in collector.worst_links(3))
        if cause := collector.late_by():
            share = verdict.lateness_budget.get(cause, 0.0)
            found.append(f"packets left late, {share:.0%} of that by {_advice(cause, scenario)}; latest on: {worst}")
        else:
            found.append(f"packets left late; latest on: {worst}")
        overloaded_s = verdict.lateness_budget.get("overloaded_s", 0.0)
        if overloaded_s > OVERLOADED_SHARE * verdict.duration_s:
            found.append(
                f"for {overloaded_s:.1f} s packets were due faster than the engine passes them on; it read no port "
                f"then: {_less_work(scenario)}"
            )
    if rounds_late(verdict):
        missed = verdict.rounds["received"] - verdict.rounds["in_slot"]
        found.append(f"{missed} of {verdict.rounds['received']} messages came in another round than planned")
    if scenario.fidelity.realtime and (share := verdict.lateness_budget.get("realtime_share")) is not None:
        if share == 0:
            found.append(
                "fidelity.realtime: the kernel gave the packet engine no real-time class; it needs root or CAP_SYS_NICE"
            )
        elif share < 1:
            found.append(
                f"fidelity.realtime held for {share:.0%} of the run: a thread leaves that class when it takes more "
                "than 80 % of a core"
            )
    return found


def _advice(cause: str, scenario: Scenario) -> str:
    match cause:
        case "scheduler":
            more = "" if scenario.fidelity.realtime else ", or set fidelity.realtime = true"
            return f"other processes on the cores: run fewer busy programs beside it{more}"
        case "capture":
            return "captures: capture fewer link ends, or set a smaller capture.snaplen"
    return f"the engine's own work: {_less_work(scenario)}"


def _less_work(scenario: Scenario) -> str:
    return (
        f"send fewer or larger packets, or where cores are free raise engine.threads (it is {scenario.engine.threads})"
    )
