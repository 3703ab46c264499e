"""What a run of plurality consensus did, and what it cost: headline figures, beside what theory says of them.

Invariant: the summary comes from what the agents recorded. Expected samples are worked out from the opinion counts that
were observed at the start of each round, so chance in the course of a run does not blur the comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

from scenarios.plurality.observed import Observed, observe, opinions_of


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict; those that the run did not come to are left out."""
    from nodes.plurality.core import consensus

    seen = observe(run)
    if not seen.looks or not seen.totals:
        return {"consensus": False}
    counts, last = seen.counts, seen.looks[-1]
    agents = sum(counts)
    winner = consensus(last["tally"], len(counts))
    updates, samples, received = seen.total("updates"), seen.total("samples"), seen.total("received")
    summary: dict[str, Any] = {
        "win": winner is not None and counts[winner] == max(counts),
        "rounds": last["round"] if seen.synchronous else last["time"],
        "samples_per_agent": samples / agents,
    }
    if updates:
        summary["samples_per_update"] = samples / updates
    expected = expected_samples_per_update(seen)
    if expected is not None:
        summary["expected_samples_per_update"] = expected
    wall_s = seen.wall_s()
    if wall_s is not None:
        summary["wall_s"] = wall_s
    if seen.synchronous:
        summary["asking_s"] = seen.asking_s()
        summary["critical_trips"] = seen.critical_trips()
    summary |= {
        "messages_per_agent": seen.total("messages") / agents,
        "round_fidelity": seen.total("in_time") / received if received else 1.0,
        "consensus": winner is not None,
        "samples": samples,
        "updates": updates,
        "messages": seen.total("messages"),
        "link_messages": seen.total("sent"),
        "bytes": seen.total("sent_bytes"),
        "lost": seen.total("lost"),
        "late": seen.total("late"),
        "refused": seen.total("refused"),
        "missed_ticks": seen.total("missed"),
    }
    if winner is not None:
        summary["winner"] = winner
    return summary


def expected_samples_per_update(seen: Observed) -> float | None:
    """Mean over the observed rounds; None where neighbours only are asked, whose shares nobody observes."""
    from nodes.plurality.exact import expected_samples

    starts = [look["tally"] for look in seen.looks[:-1]]
    if seen.config.get("neighbours") or not starts:
        return None
    rule = seen.rule()
    return sum(expected_samples(rule, opinions_of(tally, rule)) for tally in starts) / len(starts)


def figures(run: Run) -> list[Drawing]:
    """Opinion shares over the rounds of the run."""
    from scenarios.plurality.drawings import shares

    seen = observe(run)
    return [shares(seen)] if len(seen.looks) > 1 else []


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Samples and win rate against the number of opinions, wall time against latency: those that were swept."""
    from scenarios.plurality.drawings import answers, waiting

    drawings = []
    if "opinions" in table.columns and "samples_per_update" in table.columns:
        drawings.append(answers(table))
    if "latency" in table.columns and "asking_s" in table.columns:
        drawings.append(waiting(table))
    return drawings
