"""The core of a program that follows chains and asks them: procedures, without sockets and clocks.

Invariant: after each input all procedures have gone on that could.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nodes.ibc.relayer.calls import Block, Call, Unanswered
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.tasks import Tasks

__all__ = ["ChainCore"]


class ChainCore:
    """Drive it by `tick`, `announce`, `answer`; make the calls that `take` gives."""

    def __init__(self, now_ns: int) -> None:
        self.clock = Clock(now_ns)  # of the machine, as the chains' clocks are
        self.tasks = Tasks(self.clock)
        self.chains: dict[str, Followed] = {}

    def follow(
        self, chain: str, height: int, on_block: Callable[[str, Block], None], on_gap: Callable[[str, int, int], None]
    ) -> Followed:
        """Read a chain's blocks above a height, from the next turn on."""
        followed = self.chains[chain] = Followed(chain, height, self.clock, on_block, on_gap)
        self.tasks.add(f"follow {chain}", followed.run())
        return followed

    def tick(self, now_ns: int) -> None:
        """It is that late."""
        self.clock.tell(now_ns)
        self.tasks.turn()

    def announce(self, chain: str, height: int) -> None:
        """A chain has a new block."""
        self.chains[chain].announce(height)
        self.tasks.turn()

    def answer(self, ticket: int, answers: Sequence[Any] | Unanswered) -> None:
        """The answers to calls, in their order."""
        self.tasks.answer(ticket, answers)
        self.tasks.turn()

    def take(self) -> list[tuple[int, tuple[Call, ...]]]:
        """Calls to make, each set with its ticket."""
        return self.tasks.take()

    @property
    def next_deadline_ns(self) -> float:
        return self.tasks.next_deadline_ns
