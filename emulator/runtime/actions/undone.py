"""Actions of a scenario that were not done: their time did not come, or they failed. What the verdict says of them.

Invariant: such an action fails the verdict where it has `expect`, and else is a warning where it failed or waited for
programs in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.model.units import show
from emulator.record.verdict import Outcome
from emulator.runtime.programs.executions import words

if TYPE_CHECKING:
    from emulator.runtime.programs.jobs import Job
    from emulator.scenario import Action

SHOWN = 3


def outcomes(
    missed: Sequence[Action], failed: Sequence[tuple[dict[str, Any], str]], jobs: Sequence[Job]
) -> list[Outcome]:
    """One expectation that does not hold for each action that has one. `failed`: arguments and why."""
    rows = [
        Outcome(f"exec {words(action.command or ())}", action.expect, "not run", False, reason(action, jobs))
        for action in missed
        if action.expect
    ]
    return rows + [
        Outcome(f"exec {words(given['command'])}", given["expect"], "not run", False, why)
        for given, why in failed
        if given.get("expect")
    ]


def warnings(missed: Sequence[Action], failed: Sequence[tuple[dict[str, Any], str]], jobs: Sequence[Job]) -> list[str]:
    """The first few of the actions that waited for programs in vain, and of those that failed."""
    waited = [action for action in missed if action.after_ready_s is not None and not action.expect]
    told = [f"{action.do} did not take place: {reason(action, jobs)}" for action in waited[:SHOWN]]
    broken = [(given["do"], why) for given, why in failed if not given.get("expect")]
    return told + [f"{verb} failed: {why}" for verb, why in broken[:SHOWN]]


def reason(action: Action, jobs: Sequence[Job]) -> str:
    """Why the time of an action did not come."""
    unready = [job for job in jobs if job.program.ready is not None and job.ready_s is None]
    if action.after_ready_s is None:
        return "the run ended before its time"
    if not unready:
        return f"the run ended within {show(action.after_ready_s, 'duration')} of all programs being ready"
    more = f" (and {len(unready) - 1} more)" if len(unready) > 1 else ""
    return f"{unready[0].program.name} on {unready[0].node} was not ready{more}"
