"""Procedures that run side by side: each goes on when its calls are answered, or what it waits for is there.

Invariant: a procedure has at most one set of calls open; an answer that nobody waits for is left alone. A procedure
that ends with an error ends the relayer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from nodes.ibc.relayer.calls import Call, Flow, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock


@dataclass(eq=False)
class Task:
    """A procedure under way."""

    name: str
    flow: Flow[None]
    wait: Wait | None = None
    begun: bool = False


class Tasks:
    """All procedures of a relayer."""

    def __init__(self, clock: Clock) -> None:
        self.asked: dict[str, int] = {}  # calls by kind
        self._clock = clock
        self._tasks: list[Task] = []
        self._open: dict[int, Task] = {}
        self._calls: list[tuple[int, tuple[Call, ...]]] = []
        self._tickets = 0

    def add(self, name: str, flow: Flow[None]) -> None:
        """Begin a procedure, in the next turn."""
        self._tasks.append(Task(name, flow, Wait(lambda: True)))

    def turn(self) -> None:
        """Let all go on that can."""
        moved = True
        while moved:
            moved = False
            for task in list(self._tasks):
                wait = task.wait
                if wait is not None:
                    ready = wait.ready()
                    if ready or self._clock.now_ns >= wait.until_ns:
                        self._advance(task, ready)
                        moved = True

    def answer(self, ticket: int, answers: Sequence[Any] | Unanswered) -> None:
        """The answers to a set of calls."""
        task = self._open.pop(ticket, None)
        if task is not None:
            self._advance(task, answers)

    def take(self) -> list[tuple[int, tuple[Call, ...]]]:
        """Calls to make."""
        calls, self._calls = self._calls, []
        return calls

    @property
    def next_deadline_ns(self) -> float:
        return min((task.wait.until_ns for task in self._tasks if task.wait is not None), default=inf)

    def _advance(self, task: Task, value: Any) -> None:
        task.wait = None
        while True:
            try:
                if isinstance(value, Unanswered):
                    need = task.flow.throw(value)
                else:
                    need = task.flow.send(value if task.begun else None)
            except StopIteration:
                self._tasks.remove(task)
                return
            task.begun = True
            if isinstance(need, Wait):
                task.wait = need
                return
            if need:
                break
            value = ()
        for call in need:
            kind = type(call).__name__
            self.asked[kind] = self.asked.get(kind, 0) + 1
        self._tickets += 1
        self._open[self._tickets] = task
        self._calls.append((self._tickets, need))
