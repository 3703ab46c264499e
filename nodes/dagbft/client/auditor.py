"""The auditor of a client: it collects proofs of the client's transactions and reads the keys that these wrote.

Samples: `proof_early_s` and `proof_final_s`, from the sending of a transaction to a quorum of signatures,
`proof_correct_s`, to f + 1 signatures on a final result, and `read_s`, from the request to enough equal answers. Proofs
are written to `PROGRAM.proofs` of the node's store. Invariant: the list of keys that it reads is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import NodeContext
from nodes.dagbft.client.collector import Milestone
from nodes.dagbft.client.files import ProofFile
from nodes.dagbft.client.finality import Finality
from nodes.dagbft.client.reads import Read
from nodes.dagbft.execution.transactions import SHARD_BITS, decode, transaction_id, written_by
from nodes.dagbft.field_types import Cause

AGREES = ("correct", "quorum")  # how many validators must agree: f + 1, or n - f
KINDS = {"committed": Cause.COMMITTED, "early": Cause.EARLY}
REMEMBERED = 64  # keys, the last ones written


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What is proved and read. Validators must have their client service on (`door = true`)."""

    proofs: bool = False
    reads: float = 0.0  # a second, at random times (Poisson)
    freshness: str = "committed"
    agree: str = "correct"
    timeout_s: Duration = 60.0  # of the proof of one transaction
    most_written: int = 10_000  # proofs in the file, at most

    def __post_init__(self) -> None:
        for name, allowed in (("freshness", tuple(KINDS)), ("agree", AGREES)):
            if (found := getattr(self, name)) not in allowed:
                raise Unfit(f"{name} {found!r}", f"one of {', '.join(allowed)}")
        if not 0 <= self.reads < 1e4:
            raise Unfit(f"{self.reads} reads a second", "0 to 1e4")

    @property
    def enabled(self) -> bool:
        """Whether any proofs or reads are configured."""
        return self.proofs or self.reads > 0


class Auditor:
    """Call `sends` for each transaction before it is sent; `run` is a task."""

    def __init__(
        self, context: NodeContext, validators: Sequence[str], client: int, settings: AuditSettings, stop_s: float = inf
    ) -> None:
        self._context = context
        self._settings = settings
        self._stop_s = stop_s  # reads end then
        self._finality = Finality(context, validators, client, results=settings.proofs, timeout_s=settings.timeout_s)
        self._finality.on_milestone = self._on_milestone
        self._finality.on_read = self._on_read
        self._random = context.rng("reads")
        self._keys: deque[int] = deque(maxlen=REMEMBERED)
        self._file: ProofFile | None = None
        if settings.proofs:
            path = context.store / f"{context.program}.proofs"
            self._file = ProofFile(path, self._finality.roster, settings.most_written)

    def sends(self, transaction: bytes) -> None:
        """A transaction is about to be sent."""
        if self._settings.proofs:
            self._finality.want(transaction_id(transaction))
        if self._settings.reads:
            home = int.from_bytes(transaction[2:4], "big")
            self._keys += [key for key in written_by(decode(transaction).operations) if key >> SHARD_BITS == home]

    async def run(self) -> None:
        """Collect proofs and read, until cancelled."""
        tasks = [asyncio.ensure_future(self._finality.run())]
        tasks += [asyncio.ensure_future(self._read())] if self._settings.reads else []
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def counts(self) -> Counter[str]:
        """Counts of proofs, reads and refused messages."""
        counts = self._finality.counts()
        counts["proofs wanted"] = self._finality.collector.pending
        return counts

    def close(self) -> None:
        """Close the links and the file."""
        self._finality.close()
        if self._file is not None:
            self._file.close()

    async def _read(self) -> None:
        settings, committee = self._settings, self._finality.roster.committee
        need = committee.quorum if settings.agree == "quorum" else committee.faults + 1
        while self._context.now() < self._stop_s:
            await asyncio.sleep(self._random.expovariate(settings.reads))
            if self._keys:
                key = self._keys[self._random.randrange(len(self._keys))]
                self._finality.ask([key], KINDS[settings.freshness], need)

    def _on_milestone(self, made: Milestone) -> None:
        self._context.sample(f"proof_{made.name}_s", made.waited_s)
        if made.proof is not None and self._file is not None:
            self._file.add([made.proof])

    def _on_read(self, read: Read) -> None:
        if not read.why:
            self._context.sample("read_s", read.waited_s)
