"""Durations of the phases of own blocks, and lengths of a primary's queues: samples that show where time is spent.

Samples of each own block, in seconds since its header was made: `certificate_s` (a quorum of votes was received),
`block_early_s` and `block_commit_s`. Samples of queues, once a second: `parked_headers` (lack parents or batches),
`parked_blocks` (certificates that lack ancestors), `waiting_batches` (own ones, in no header yet), `unplayed_events`
(early and commit events that lack batches), `unsent_bytes` (messages that peers have not acknowledged). Invariant: the
number of own headers that are tracked is bounded, also if nothing is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import Effects

EVERY_S = 1.0  # between two samples of the queues
MOST_OPEN = 512  # own headers without a commit that are tracked
Samples = Iterator[tuple[str, float]]


class Phases:
    """Tracks the own blocks of a primary's core. `unsent_bytes` returns the bytes queued in its links."""

    def __init__(self, core: PrimaryCore, unsent_bytes: Callable[[], int]) -> None:
        self._core = core
        self._unsent_bytes = unsent_bytes
        self._made_s: dict[int, float] = {}  # by round of own headers
        self._due_s = 0.0

    def note(self, effects: Effects, now_s: float) -> Samples:
        """Samples of own blocks from these effects."""
        made_s, me = self._made_s, self._core.me
        for block in effects.blocks:
            if block.author == me and block.round in made_s:
                yield "certificate_s", now_s - made_s[block.round]
        yield from self._final(effects.events, now_s)
        for header in effects.made:
            made_s[header.round] = now_s
        while len(made_s) > MOST_OPEN:
            del made_s[next(iter(made_s))]

    def _final(self, events: Iterable[Event], now_s: float) -> Samples:
        for event in events:
            slots = event.blocks if isinstance(event, Commit) else (event.block,)
            for round, author in slots:
                if author != self._core.me or round not in self._made_s:
                    continue
                if isinstance(event, Commit):
                    yield "block_commit_s", now_s - self._made_s.pop(round)
                else:
                    yield "block_early_s", now_s - self._made_s[round]

    def waiting(self, now_s: float) -> Samples:
        """Samples of the queues, if they are due."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        core = self._core
        yield "parked_headers", float(len(core.voting.suspended))
        yield "parked_blocks", float(core.blocks.suspended)
        yield "waiting_batches", float(core.payload.all_waiting)
        yield "unplayed_events", float(len(core.delivery))
        yield "unsent_bytes", float(self._unsent_bytes())
