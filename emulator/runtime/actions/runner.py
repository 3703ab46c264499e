"""Actions of a scenario, and of people in other terminals: when they are due, and what each verb does.

Invariant: every action, planned or live, passes through `perform` and leaves an event, so that the run folder tells
what was done to the network and when.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, assert_never

from emulator.link.overrides import Faults
from emulator.model.clock import MonotonicClock, sleep_until_ns
from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.model.names import matching
from emulator.model.verbs import KEYS, VALUES, Verb, find, undoing
from emulator.runtime.programs.jobs import Jobs

if TYPE_CHECKING:
    from emulator.scenario import Action, Scenario

Emit = Callable[[str, dict[str, Any]], None]
# Node, its number among those that execute, command, expected end ("" for none).
Execute = Callable[[str, int, list[str], str], None]
FAILED_KEPT = 100


def due(scenario: Scenario, ready: bool = False) -> Iterator[tuple[float, int, dict[str, Any]]]:
    """What the scenario's actions ask for, in the order of time: scenario seconds, number of the action, and the
    arguments of `perform`.

    `ready`: those that wait for programs to be ready, in seconds from that moment; else all others.
    """
    streams = []
    order = count()  # of actions at the same time: as they stand in the file
    for action in scenario.actions:
        number = next(order)
        if (action.after_ready_s is not None) == ready:
            for t_s, given in _occurrences(action, scenario.duration_s):
                streams.append((t_s, number, given))
    heapq.heapify(streams)
    while streams:
        yield heapq.heappop(streams)


def _occurrences(action: Action, duration_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    given: dict[str, Any] = {"do": action.do}
    given |= {key: getattr(action, key) for key in KEYS if getattr(action, key) is not None}
    once_s = action.at_s if action.at_s is not None else action.after_ready_s
    times = [once_s] if once_s is not None else _multiples(action.every_s or duration_s, duration_s)
    for t_s in times:
        yield t_s, dict(given)
        if action.undo_after_s is not None and t_s + action.undo_after_s < duration_s:
            yield t_s + action.undo_after_s, undoing(given)


def _multiples(period_s: float, end_s: float) -> list[float]:
    times: list[float] = []
    number = 1
    while number * period_s < end_s:
        times.append(number * period_s)
        number += 1
    return times


class ActionRunner:
    """Performs actions on the links and programs of one run.

    `act` hears of actions on links that are not planned: other hosts, which know the scenario's, must perform them too.
    """

    def __init__(
        self,
        faults: Faults,
        jobs: Jobs,
        live: list[str],
        emit: Emit,
        execute: Execute,
        act: Callable[[Mapping[str, Any]], None] = lambda given: None,
    ) -> None:
        self.faults = faults
        self._act = act
        self._jobs = jobs
        self._live = live
        self._emit = emit
        self._execute = execute
        self._tasks: set[asyncio.Task[str]] = set()
        self.failed: list[tuple[dict[str, Any], str]] = []  # of the scenario: arguments, and why; the first FAILED_KEPT
        self._begun: set[int] = set()  # numbers of the scenario's actions whose time has come

    async def follow(self, scenario: Scenario, clock: MonotonicClock) -> None:
        """Perform the scenario's actions at their times."""
        await self._perform_at(due(scenario), clock, everywhere=True)

    async def follow_ready(self, scenario: Scenario, clock: MonotonicClock, all_ready: asyncio.Event) -> None:
        """Perform the actions that wait for programs to be ready; none where that never comes."""
        await all_ready.wait()
        begin_s = max(0.0, clock.now())
        await self._perform_at(
            ((begin_s + t_s, number, given) for t_s, number, given in due(scenario, ready=True)), clock
        )

    def missed(self, scenario: Scenario) -> list[Action]:
        """The scenario's actions whose time has not come."""
        return [action for number, action in enumerate(scenario.actions) if number not in self._begun]

    async def _perform_at(
        self, actions: Iterable[tuple[float, int, dict[str, Any]]], clock: MonotonicClock, everywhere: bool = False
    ) -> None:
        restarts: set[asyncio.Task[None]] = set()
        for t_s, number, given in actions:
            await sleep_until_ns(clock.monotonic_ns(t_s))
            self._begun.add(number)
            task = asyncio.ensure_future(self._perform_planned(given, everywhere))
            restarts.add(task)
            task.add_done_callback(restarts.discard)
            await asyncio.sleep(0)
        if restarts:
            await asyncio.wait(restarts)

    async def _perform_planned(self, given: dict[str, Any], everywhere: bool) -> None:
        """An action of the scenario: one that fails does not end the run, but is in its verdict."""
        why = await self.perform_or_tell(given, everywhere)
        if why and len(self.failed) < FAILED_KEPT:
            self.failed.append((given, why))

    def perform_soon(self, given: dict[str, Any]) -> None:
        """Perform an action that nobody waits for; what fails becomes an event."""
        task = asyncio.ensure_future(self.perform_or_tell(given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def perform_or_tell(self, given: dict[str, Any], everywhere: bool = False) -> str:
        """Do it now; returns why it failed, which becomes an event, or ""."""
        try:
            await self.perform(given, everywhere)
        except SkyloomError as error:
            self._emit("action-failed", {"do": str(given.get("do")), "text": str(error)})
            return str(error)
        return ""

    async def perform(self, given: Mapping[str, Any], everywhere: bool = False) -> None:
        """Do it now; `everywhere`: all hosts do so by themselves. UsageError where it names nothing that exists, or is
        no action; EmulationError where the machine cannot do it."""
        try:
            await self._perform(given, everywhere)
        except (KeyError, TypeError, ValueError) as error:  # of another terminal; those of scenarios are checked
            raise UsageError(f"malformed action: {error!r}") from error
        except OSError as error:
            raise EmulationError(str(error)) from error

    async def _perform(self, given: Mapping[str, Any], everywhere: bool) -> None:
        verb, nodes, program = find(given.get("do")), given.get("nodes"), given.get("program")
        self._check(verb, given)
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
        self._emit("action", plain)
        match verb.name:
            case "crash":
                self._jobs.crash(self._jobs.matching(nodes, program))
            case "restart":
                await self._jobs.restart(self._jobs.matching(nodes, program))
            case "exec":
                for index, node in enumerate(matching(nodes or (), self._live)):
                    self._execute(node, index, list(given["command"]), str(given.get("expect") or ""))
            case "link-down" | "link-up" | "hold" | "release" | "partition" | "heal" | "set":
                self.faults.perform(given)
                if not everywhere:
                    self._act(plain)
            case other:
                assert_never(other)

    def _check(self, verb: Verb, given: Mapping[str, Any]) -> None:
        for glob in given.get("links") or ():
            if not self.faults.ends((glob,)):
                raise UsageError(f"{glob!r} matches no link end; link ends are named 'node:port'")
        for value in VALUES:
            try:
                value.checked(given.get(value.name))
            except ValueError as error:
                raise UsageError(f"{verb.name}: {error}") from None
        if "program" in verb.targets and not self._jobs.matching(given.get("nodes"), given.get("program")):
            raise UsageError(f"{verb.name}: no program runs on {given.get('nodes') or 'any node'}")
