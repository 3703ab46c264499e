"""Actions of a scenario, and of people in other terminals: when they are due, and what each verb does.

Invariant: every action, planned or live, passes through `perform` and leaves an event, so that the run folder tells
what was done to the network and when.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import count
from typing import TYPE_CHECKING, Any

from emulator.link.overrides import VALUES, Faults
from emulator.model.clock import MonotonicClock, sleep_until_ns
from emulator.model.errors import SkyloomError, UsageError
from emulator.runtime.programs.jobs import Jobs

if TYPE_CHECKING:
    from emulator.scenario import Action, Scenario

UNDONE_BY = {"crash": "restart", "hold": "release", "partition": "heal", "link-down": "link-up", "set": "set"}
Emit = Callable[[str, dict[str, Any]], None]
Execute = Callable[[str, list[str]], None]


def due(scenario: Scenario) -> Iterator[tuple[float, dict[str, Any]]]:
    """What the scenario's actions ask for, in the order of time: scenario seconds, and the arguments of `perform`."""
    streams = []
    order = count()  # of actions at the same time: as they stand in the file
    for action in scenario.actions:
        number = next(order)
        for t_s, given in _occurrences(action, scenario.duration_s):
            streams.append((t_s, number, given))
    heapq.heapify(streams)
    while streams:
        t_s, _, given = heapq.heappop(streams)
        yield t_s, given


def _occurrences(action: Action, duration_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    keys = ("nodes", "links", "groups", "program", "command", *VALUES)
    given = {key: getattr(action, key) for key in keys if getattr(action, key) is not None}
    undoing = {key: None if key in VALUES else value for key, value in given.items()}
    times = [action.at_s] if action.at_s is not None else _multiples(action.every_s or duration_s, duration_s)
    for t_s in times:
        assert t_s is not None
        yield t_s, {"do": action.do, **given}
        if action.undo_after_s is not None and t_s + action.undo_after_s < duration_s:
            yield t_s + action.undo_after_s, {"do": UNDONE_BY[action.do], **undoing}


def _multiples(period_s: float, end_s: float) -> list[float | None]:
    times: list[float | None] = []
    number = 1
    while number * period_s < end_s:
        times.append(number * period_s)
        number += 1
    return times


class Director:
    """Performs actions on the links and programs of one run."""

    def __init__(self, faults: Faults, jobs: Jobs, live: list[str], emit: Emit, execute: Execute) -> None:
        self.faults = faults
        self._jobs = jobs
        self._live = live
        self._emit = emit
        self._execute = execute
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self, scenario: Scenario, clock: MonotonicClock) -> None:
        """Perform the scenario's actions at their times."""
        restarts: set[asyncio.Task[None]] = set()
        for t_s, given in due(scenario):
            await sleep_until_ns(clock.monotonic_ns(t_s))
            task = asyncio.ensure_future(self.perform_or_tell(given))
            restarts.add(task)
            task.add_done_callback(restarts.discard)
            await asyncio.sleep(0)
        if restarts:
            await asyncio.wait(restarts)

    def perform_soon(self, given: dict[str, Any]) -> None:
        """Perform an action that nobody waits for; what fails becomes an event."""
        task = asyncio.ensure_future(self.perform_or_tell(given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def perform_or_tell(self, given: dict[str, Any]) -> None:
        """An action that fails does not end the run: it becomes an event, and the figures will show it."""
        try:
            await self.perform(given)
        except SkyloomError as error:
            self._emit("action-failed", {"do": given["do"], "text": str(error)})
        except (KeyError, TypeError, ValueError) as error:  # of another terminal; those of scenarios are checked
            self._emit("action-failed", {"do": str(given.get("do")), "text": f"malformed action: {error!r}"})

    async def perform(self, given: Mapping[str, Any]) -> None:
        """Do it now. UsageError where it names nothing that exists."""
        do, nodes, links = str(given.get("do")), given.get("nodes"), given.get("links")
        self._check(given)
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
        self._emit("action", plain)
        match do:
            case "crash":
                self._jobs.crash(self._jobs.matching(nodes, given.get("program")))
            case "restart":
                await self._jobs.restart(self._jobs.matching(nodes, given.get("program")))
            case "hold" | "release":
                ends = self.faults.ends(links or ()) + (self.faults.ends_of(nodes) if nodes else [])
                self.faults.hold(ends, do == "hold")
            case "partition":
                self.faults.partition(given["groups"])
            case "heal":
                self.faults.partition(())
            case "link-down" | "link-up":
                self.faults.switch(self.faults.ends(links or ()), do == "link-up")
            case "set":
                self.faults.set(self.faults.ends(links or ()), {key: given[key] for key in VALUES if key in given})
            case "exec":
                for node in self._live:
                    if any(fnmatchcase(node, glob) for glob in nodes or ()):
                        self._execute(node, list(given["command"]))
            case _:
                raise UsageError(
                    f"no such action {do!r}; there are {', '.join(sorted({*UNDONE_BY, *UNDONE_BY.values(), 'exec'}))}"
                )

    def _check(self, given: Mapping[str, Any]) -> None:
        for glob in given.get("links") or ():
            if not self.faults.ends((glob,)):
                raise UsageError(f"{glob!r} matches no link end; link ends are named 'node:port'")
        if given.get("do") in ("crash", "restart") and not self._jobs.matching(
            given.get("nodes"), given.get("program")
        ):
            raise UsageError(f"{given.get('do')}: no program runs on {given.get('nodes') or 'any node'}")
