"""Driving a core from a process: what it wants is carried out once in each turn of the loop, and it is ticked in time.

Invariant: an error in either ends the process (`failed`), and nothing is carried out after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Protocol

__all__ = ["Driver", "Ticked"]


class Ticked(Protocol):
    """What a core says of time."""

    def tick(self, now_s: float) -> None: ...
    def next_deadline_s(self) -> float: ...


class Driver:
    """Call `changed` after every input to the core. Needs a running loop; `now` is the scenario's time."""

    def __init__(self, core: Ticked, now: Callable[[], float], carry_out: Callable[[], None]) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._core = core
        self._now = now
        self._carry_out = carry_out
        self._due = False
        self._timer: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """Carry out what the core wants, once in this turn of the loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn, False)

    def drive(self, core: Ticked) -> None:
        """Drive this one from now on."""
        self._core = core
        self.changed()

    def close(self) -> None:
        """Drive no more."""
        self.failed.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self, rung: bool) -> None:
        self._due = False
        if self.failed.done():
            return
        try:
            if rung:
                self._core.tick(self._now())
            self._carry_out()
        except Exception as error:
            self.failed.set_exception(error)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due_s := self._core.next_deadline_s()) < inf:
            wait_s = max(0.0, due_s - self._now())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._turn, True)
