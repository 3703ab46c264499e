"""What a run of amnesiac flooding did, beside what was predicted: headline figures and drawings.

Invariant: the summary comes from what the nodes recorded, and the prediction is read, never computed again, here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.amnesiac.engine import trace_hash

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

from scenarios.amnesiac.observed import Observed, observe


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict; `round` only where flooding ended, `cycle` only where it did not."""
    seen, prediction = observe(run), run.document.get("prediction", {})
    heard = seen.rounds_heard()
    twice = sum(len(rounds) > 1 for rounds in heard.values())
    trace = trace_hash(seen.sends)
    summary: dict[str, Any] = {"terminates": seen.terminates}
    if seen.terminates:
        summary["round"] = seen.last_active
    else:
        summary["cycle"] = seen.cycle(int(prediction.get("cycle", 0)))
    summary |= {
        "messages": seen.messages,
        "predicted": _predicted(prediction),
        "observed": _in_words(seen, summary.get("cycle", 0)),
        "round_fidelity": seen.in_slot / seen.received if seen.received else 1.0,
        "trace": trace,
        "trace_equal": trace == prediction.get("trace"),
        "receptions_max": max(map(len, heard.values()), default=0),
        "nodes_heard_twice": twice,
    }
    if len(seen.sources) == 1 and run.parameters.get("adversary") == "none":
        summary["odd_cycle_found"] = twice > 0  # heard twice by any node: the graph is not bipartite (Hussak, Trehan)
    return summary


def _predicted(prediction: dict[str, Any]) -> str:
    if "terminates" not in prediction:
        return "more rounds than are played"
    if prediction["terminates"]:
        return f"terminates at round {prediction['round']}, {prediction['messages']} messages"
    return f"never terminates: cycle of length {prediction['cycle']}"


def _in_words(seen: Observed, cycle: int) -> str:
    if seen.terminates:
        return f"terminates at round {seen.last_active}, {seen.messages} messages"
    if cycle:
        return f"still flooding after {seen.rounds} rounds: the last {2 * cycle} are one cycle of length {cycle}, twice"
    return f"still flooding after {seen.rounds} rounds"


def figures(run: Run) -> list[Drawing]:
    """Drawings of one run."""
    import scenarios.amnesiac.drawings as drawings

    parameters = run.parameters
    seen = observe(run)
    made = [drawings.space_time(seen)]
    if drawings.is_cycle(seen.graph):
        made.append(drawings.verdict_map(seen.graph.nodes))
    if str(parameters.get("adversary", "")).startswith("program"):
        made.append(drawings.program_line({}))
    return made


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Drawings of a sweep: over graphs without an adversary, or over programs that halt."""
    from scenarios.amnesiac import drawings

    return drawings.of_sweep(table)
