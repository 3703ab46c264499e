"""Actions of a scenario whose time did not come: what the verdict says of them.

Invariant: an action with `expect` that did not take place fails the verdict, and one that waited for programs which
never were ready is a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.model.units import show
from emulator.record.verdict import Outcome
from emulator.runtime.programs.executions import words

if TYPE_CHECKING:
    from emulator.runtime.programs.jobs import Job
    from emulator.scenario import Action


def outcomes(missed: Sequence[Action], jobs: Sequence[Job]) -> list[Outcome]:
    """One expectation that does not hold for each action that has one."""
    return [
        Outcome(f"exec {words(action.command or ())}", action.expect, "not run", False, reason(action, jobs))
        for action in missed
        if action.expect
    ]


def warnings(missed: Sequence[Action], jobs: Sequence[Job]) -> list[str]:
    """Actions that waited for programs in vain."""
    waited = [action for action in missed if action.after_ready_s is not None and not action.expect]
    return [f"{action.do} did not take place: {reason(action, jobs)}" for action in waited[:3]]


def reason(action: Action, jobs: Sequence[Job]) -> str:
    """Why the time of an action did not come."""
    unready = [job for job in jobs if job.program.ready is not None and job.ready_s is None]
    if action.after_ready_s is None:
        return "the run ended before its time"
    if not unready:
        return f"the run ended within {show(action.after_ready_s, 'duration')} of all programs being ready"
    more = f" (and {len(unready) - 1} more)" if len(unready) > 1 else ""
    return f"{unready[0].program.name} on {unready[0].node} was not ready{more}"
