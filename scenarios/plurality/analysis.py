"""What a run of plurality consensus did, and what it cost: headline figures, beside what theory says of them.

Invariant: the summary comes from what the agents recorded. Expected samples are worked out from the opinion counts that
were observed at the start of each round, so chance in the course of a run does not blur the comparison.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing
    from nodes.plurality.core import Rule

PROGRAM = "nodes.plurality.process:Agents"


@dataclass(frozen=True, slots=True)
class Observed:
    """The run as its processes told it."""

    config: dict[str, Any]  # of the program, as in scenario.toml
    looks: list[dict[str, Any]]  # of the observer: round, time, tally, t_s; the first before anything was asked
    totals: list[dict[str, Any]]  # one a process

    @property
    def counts(self) -> list[int]:
        return list(self.config["counts"])

    @property
    def synchronous(self) -> bool:
        return bool(self.config.get("mode", "synchronous") == "synchronous")

    def rule(self) -> Rule:
        from nodes.plurality.core import rule_of

        config = self.config
        return rule_of(config["protocol"], len(self.counts), config.get("h", 0), config.get("own", False))

    def total(self, name: str) -> int:
        return sum(each[name] or 0 for each in self.totals)

    def wall_s(self) -> float | None:
        """From the first query to the last update's end; of an asynchronous run, to the look that saw consensus."""
        began = [each["began_s"] for each in self.totals if each["began_s"] is not None]
        ended = [each["ended_s"] for each in self.totals if each["ended_s"] is not None]
        if not began or not ended:
            return None
        return float((max(ended) if self.synchronous else self.looks[-1]["t_s"]) - min(began))

    def rounds(self) -> list[list[tuple[int, float, float]]]:
        """Of each synchronous round, what each process says of it: trips, first query, end of the last update."""
        most = max((len(each["rounds"]) for each in self.totals), default=0)
        return [[each["rounds"][at] for each in self.totals if at < len(each["rounds"])] for at in range(most)]

    def critical_trips(self) -> int:
        """Round trips that somebody waited for, one after another: of each round, those of the unluckiest agent."""
        return sum(max(trips for trips, _, _ in told) for told in self.rounds())

    def asking_s(self) -> float:
        """Time of the rounds, without the barriers between them: of each, that of the process that took longest."""
        return sum(max(ended - began for _, began, ended in told) for told in self.rounds())


def observe(run: Run) -> Observed:
    """Read the events of a run."""
    config = next(program["config"] for program in run.document["program"] if program.get("run") == PROGRAM)
    looks, totals = [], []
    for t_s, kind, data in run.events.select("t_s", "kind", "data").iter_rows():
        if kind == "round":
            looks.append({**json.loads(data), "t_s": t_s})
        elif kind == "agents":
            totals.append(json.loads(data))
    looks.sort(key=lambda look: look["round"])
    return Observed(config, looks, totals)


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
    return sum(expected_samples(rule, _of_rule(tally, rule)) for tally in starts) / len(starts)


def _of_rule(tally: list[int], rule: Rule) -> list[int]:
    """The tally as `exact` wants it: with the undecided only where the rule knows them."""
    from nodes.plurality.core import Undecided

    return tally if isinstance(rule, Undecided) else tally[:-1]


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
