"""What a run of plurality consensus did, and what it cost: headline figures, beside what theory says of them.

Invariant: the summary comes from what the agents recorded. Expected samples are worked out from the opinion counts that
were observed at the start of each round, so chance in the course of a run does not blur the comparison.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.record.load import Run
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


def opinions_of(tally: list[int], rule: Rule) -> list[int]:
    """The tally as `exact` wants it: with the undecided only where the rule knows them."""
    from nodes.plurality.core import Undecided

    return tally if isinstance(rule, Undecided) else tally[:-1]
