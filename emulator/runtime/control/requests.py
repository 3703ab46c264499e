"""Requests of node programs to the run: meet at a barrier, act on the network, count a round.

Invariant: every request is answered once, in any order; a request of a process that has ended since is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import count as count_from
from typing import Any

from emulator.model.errors import SkyloomError
from emulator.runtime.control.channel import Message
from emulator.runtime.control.messages import ActionDone, AskAction, CountRound, Meet, Met, NodeRequest
from emulator.runtime.control.rounds import Barrier, Opened, RoundCount
from emulator.runtime.programs.jobs import Jobs
from emulator.runtime.programs.processes import Process

Perform = Callable[[Mapping[str, Any]], Awaitable[None]]  # SkyloomError
Reply = Callable[[Process, Met | ActionDone], None]
FENCE_S = 2.0  # how long the relay may take to obey


class Requests:
    """The requests of one run. `reply` carries answers, without waiting; `tell_relay` an order whose "done" comes back
    to `relay_done`."""

    def __init__(
        self, jobs: Jobs, count: RoundCount, perform: Perform, reply: Reply, tell_relay: Callable[[Message], None]
    ) -> None:
        self.count = count
        self.halted = asyncio.Event()  # a bound of the rounds was passed
        self._jobs = jobs
        self._perform = perform
        self._reply = reply
        self._tell_relay = tell_relay
        self._barriers: dict[str, Barrier] = {}
        self._processes: dict[int, Process] = {}
        self._fences: dict[int, asyncio.Event] = {}
        self._fence_numbers = count_from(1)  # none comes twice: a late "done" must not open another fence
        self._acting: set[asyncio.Task[None]] = set()

    def said(self, process: Process, message: NodeRequest) -> None:
        """A message of a node process that is none of its life cycle."""
        match message:
            case Meet(round, tally):
                barrier = self._barrier(process)
                self._answer(barrier.meet(process.number, round, tally))
            case CountRound(round, sent, received, in_slot):
                if self.count.note(process.program, round, sent, received, in_slot):
                    self.halted.set()
            case AskAction(number, action):
                task = asyncio.ensure_future(self._act(process, number, action))
                self._acting.add(task)
                task.add_done_callback(self._acting.discard)

    def ended(self, process: Process) -> None:
        """A process has ended."""
        name = self._jobs.barrier_of(process)
        self._processes.pop(process.number, None)
        if name in self._barriers:
            self._answer(self._barriers[name].leave(process.number))

    def relay_done(self, number: int) -> None:
        """The relay has obeyed the orders up to this fence."""
        fence = self._fences.pop(number, None)
        if fence is not None:
            fence.set()

    def _barrier(self, process: Process) -> Barrier:
        """The barrier of a process; with the first who comes to it join all that are alive."""
        name = self._jobs.barrier_of(process)
        barrier = self._barriers.get(name)
        if barrier is None:
            barrier = self._barriers[name] = Barrier()
            barrier.join(other.number for other in self._jobs.at_barrier(name))
        self._processes[process.number] = process
        return barrier

    def _answer(self, opened: Opened | None) -> None:
        if opened is None:
            return
        round, totals, come = opened
        for number in come:
            self._reply(self._processes[number], Met(round, totals))

    async def _act(self, process: Process, number: int, given: Mapping[str, Any]) -> None:
        error = ""
        try:
            await self._perform(given)
            await self._obeyed()
        except SkyloomError as refused:
            error = str(refused)
        self._reply(process, ActionDone(number, error))

    async def _obeyed(self) -> None:
        """Return when the relay has obeyed all orders so far."""
        number = next(self._fence_numbers)
        fence = self._fences[number] = asyncio.Event()
        self._tell_relay({"op": "set", "ends": [], "number": number})
        try:
            async with asyncio.timeout(FENCE_S):
                await fence.wait()
        except TimeoutError:
            self._fences.pop(number, None)
            raise SkyloomError(f"the relay did not obey within {FENCE_S:g} s") from None
