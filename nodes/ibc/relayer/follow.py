"""Following a chain: every block from the first one on is read, in order, and what it says is told.

Invariant: `height` is the last block that was read whole. However the connection fares, the next one that is read is
the one after it; only blocks that the chain has thrown away are passed over, and that is told, too.
"""

from __future__ import annotations

from collections.abc import Callable

from nodes.ibc.relayer.calls import Block, BlockAt, Flow, StatusOf, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock

BATCH = 20  # blocks that are asked for at once
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0  # between attempts to reach a chain
_POLL_S = 5.0  # without word of a new block


class Followed:
    """One chain as far as it has been read."""

    def __init__(
        self,
        chain: str,
        height: int,
        clock: Clock,
        on_block: Callable[[str, Block], None],
        on_gap: Callable[[str, int, int], None],
    ) -> None:
        self.chain = chain
        self.height = height
        self.time_ns = 0  # of that block
        self.chain_id = ""
        self.announced = 0  # the newest height that was heard of
        self.heard_ns = 0  # when; it is read somewhat later
        self.reached = False  # it answered when it was last asked
        self.caught_up = False  # all that it had when it was reached has been read
        self.failures = 0
        self.reason = "not asked yet"
        self._clock = clock
        self._on_block = on_block
        self._on_gap = on_gap

    def announce(self, height: int) -> None:
        """There is a block of this height."""
        if height > self.announced:
            self.announced, self.heard_ns = height, self._clock.now_ns

    def run(self) -> Flow[None]:
        """Read blocks, for ever."""
        wait_s = _SHORTEST_WAIT_S
        while True:
            try:
                yield from self._catch_up()
                wait_s = _SHORTEST_WAIT_S
            except Unanswered as failure:
                self.reached = self.caught_up = False
                self.failures += 1
                self.reason = str(failure)
                yield Wait(lambda: False, self._clock.after_s(wait_s))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                continue
            yield Wait(lambda: self.announced > self.height, self._clock.after_s(_POLL_S))

    def _catch_up(self) -> Flow[None]:
        if not self.reached or self.announced <= self.height:
            (status,) = yield (StatusOf(self.chain),)
            self.chain_id = status.chain_id
            self.announce(status.height)
            if status.first > self.height + 1:
                if self.height:
                    self._on_gap(self.chain, self.height + 1, status.first - 1)
                self.height = status.first - 1
            self.reached, self.reason = True, ""
        while self.height < self.announced:
            last = min(self.height + BATCH, self.announced)
            blocks = yield tuple(BlockAt(self.chain, height) for height in range(self.height + 1, last + 1))
            for block in blocks:
                self.height, self.time_ns = block.height, block.time_ns
                self._on_block(self.chain, block)
        self.caught_up = True
