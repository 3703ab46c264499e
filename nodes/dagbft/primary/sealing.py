"""Asks the own workers to seal waiting transactions before a header is made, and frees their capacity later.

Invariant: workers are asked once for each round, and a header waits for their answers no longer than `seal_wait_s`.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.dagbft.messages import Certified, Seal
from nodes.dagbft.primary.payload import Name
from nodes.dagbft.primary.shared import Sealer


class Sealing:
    """Part of a validator's core, which it accesses as `Sealer`."""

    def __init__(self, core: Sealer) -> None:
        self._core = core
        self._round = 0  # of the last request to the workers
        self._asked_s = 0.0
        self._unsealed: set[int] = set()  # workers that have not answered

    def ask(self, round: int, now_s: float) -> None:
        """Ask the workers to seal batches for the header of a round; one worker, in turn, may put one inside it."""
        if round <= self._round:
            return
        core = self._core
        self._round, self._asked_s = round, now_s
        shard, workers = core.roster.committee.shard(core.me, round), core.roster.workers
        self._unsealed = set(range(workers))
        inline_bytes = 0 if core.payload.inline_waits(shard) else core.config.inline_bytes
        core.effects.workers += [
            (worker, Seal(round, shard, inline_bytes if worker == round % workers else 0)) for worker in range(workers)
        ]

    def answered(self, worker: int, round: int, inline: bytes) -> None:
        """A worker has answered; `inline` is a batch for the inside of a header of this round's shard, if not empty."""
        core = self._core
        if inline:
            core.payload.offer_inline(inline, core.keys_of(inline), core.roster.committee.shard(core.me, round))
        if round == self._round:
            self._unsealed.discard(worker)

    def due_s(self) -> float:
        """Until when a header waits for answers; 0 if all have arrived."""
        return self._asked_s + self._core.config.seal_wait_s if self._unsealed else 0.0

    def release(self, payload: Iterable[Name]) -> None:
        """A quorum holds a block with these batches: let the workers accept as many transactions again."""
        by_worker: dict[int, list[bytes]] = {}
        for digest, worker in payload:
            by_worker.setdefault(worker, []).append(digest)
        self._core.effects.workers += [(worker, Certified(tuple(digests))) for worker, digests in by_worker.items()]
