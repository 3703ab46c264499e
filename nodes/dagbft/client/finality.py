"""Finality for programs: proofs of results and reads of keys, from all validators at once.

A program makes a `Finality` in its `setup`, runs `run` as a task, and calls:

    finality.want(id)                                      before the transaction is sent
    proof = await finality.proof(id)                       once a quorum has executed it; or kind=Cause.EARLY
    read = await finality.read([key], need=quorum)         not older than what this client has read or had proved

The validators must have their client service on (`door = true` of their primaries). Invariant: it trusts no single
validator: every proof and read is signed by as many validators as it states, also if the client's own is faulty or
down.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import Hello
from nodes.dagbft.client.collector import Collector, Milestone
from nodes.dagbft.client.messages import ReadReply, SignedResults
from nodes.dagbft.client.proof import Proof
from nodes.dagbft.client.reads import Read, Reads
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster, run_of
from nodes.dagbft.messages import CODEC, Message, Subscribe
from nodes.dagbft.ports import CLIENT_PORT
from nodes.dagbft.wire import encode

SERVICE = "door"
LINKS = LinkConfig(queue_bytes=float(1 << 20))  # for one validator
_EVERY_S = 0.1  # between checks of timeouts
_SUBSCRIBE_S = 2.0  # between subscriptions: a restarted validator has lost its subscribers
MOST_KEPT = 1000  # latest proofs, kept for later calls of `proof`


class Finality(Endpoint[int, Message]):
    """Connects one client number to the client services of all validators. Without `results` it only reads."""

    def __init__(
        self, context: NodeContext, validators: Sequence[str], client: int, *, results: bool = True,
        timeout_s: float = 60.0, ports: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__(
            CODEC,
            SERVICE,
            context.address.ipv4,
            self._on_validator_message,
            LINKS,
            (SignedResults, ReadReply),
            label=context.program,
        )
        self.roster = Roster.of(context.seed, validators, run=run_of(context.store))
        self.collector = Collector(self.roster, timeout_s=timeout_s)
        first = int(max(context.now(), 0.0) * 1000) << 32  # so that a client that was restarted repeats no number
        self.reads = Reads(self.roster, first)
        self.on_milestone: Callable[[Milestone], None] = lambda milestone: None
        self.on_read: Callable[[Read], None] = lambda read: None
        self._context = context
        self._client = client
        self._results = results
        self._made: dict[bytes, Proof] = {}  # the latest, by transaction
        self._waiting: dict[bytes, list[tuple[Cause, asyncio.Future[Proof]]]] = {}  # pending calls of `proof`
        self._answers: dict[int, asyncio.Future[Read]] = {}
        for number, name in enumerate(validators):
            host = context.address.ipv4 if name == context.name else context.peers[name].ipv4
            self.dials(number, host, ports[number] if ports else CLIENT_PORT, lambda: None)

    async def run(self) -> None:
        """Keep the links, until cancelled."""
        tasks = [asyncio.ensure_future(self._tick())]
        tasks += [asyncio.ensure_future(self._subscribe())] if self._results else []
        for task in tasks:
            task.add_done_callback(self._task_ended)
        try:
            await super().run()
        finally:
            for task in tasks:
                task.cancel()

    # The interface of programs

    def want(self, transaction: bytes) -> None:
        """Collect proofs of a transaction that is about to be sent."""
        self.collector.want(transaction, self._context.now())

    async def proof(self, transaction: bytes, kind: Cause = Cause.COMMITTED) -> Proof:
        """The proof of a transaction's result, once there is one; set a timeout, as there may never be one.

        With `kind` Cause.EARLY, the early or the final proof, whichever is first.
        """
        if (made := self._made.get(transaction)) is not None and made.kind >= kind:
            return made
        self.want(transaction)
        waiting: asyncio.Future[Proof] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(transaction, []).append((kind, waiting))
        try:
            return await waiting
        finally:
            left = [each for each in self._waiting.get(transaction, ()) if each[1] is not waiting]
            if left:
                self._waiting[transaction] = left
            else:
                self._waiting.pop(transaction, None)

    async def read(self, keys: Sequence[int], kind: Cause = Cause.COMMITTED, need: int = 0) -> Read:
        """Read keys of one shard, see `Reads.read`; `Read.why` is set if the read failed. RuntimeError if too many
        reads are open."""
        number = self.ask(keys, kind, need)
        if number is None:
            raise RuntimeError("too many reads are open; wait for some of them")
        waiting: asyncio.Future[Read] = asyncio.get_running_loop().create_future()
        self._answers[number] = waiting
        try:
            return await waiting
        finally:
            self._answers.pop(number, None)

    def ask(self, keys: Sequence[int], kind: Cause = Cause.COMMITTED, need: int = 0) -> int | None:
        """Start a read and return its number; `on_read` is called when it has ended."""
        number = self.reads.read(keys, self._context.now(), kind=kind, need=need)
        self._settle()
        return number

    def counts(self) -> Counter[str]:
        """Counts of proofs and reads, and of refused messages by reason."""
        counts = self.collector.counts + self.reads.counts
        counts["proofs contradicted"] += 0  # present also if it is 0
        for rejected in (self.collector.rejected, self.reads.rejected):
            for (reason, _), count in rejected.items():
                counts[f"refused {reason}"] += count
        return counts

    # Inside

    def _on_validator_message(self, peer: int, message: Message) -> None:
        now_s = self._context.now()
        if isinstance(message, SignedResults):
            self.collector.on_results(peer, message, now_s)
        elif isinstance(message, ReadReply):
            self.reads.on_reply(peer, message, now_s)
        self._settle()

    def _settle(self) -> None:
        for milestone in self.collector.take():
            if milestone.proof is not None:
                self._keep(milestone.proof)
            self.on_milestone(milestone)
        requests, reads = self.reads.take()
        for request in requests:
            self.send_bytes(range(self.roster.committee.n), encode(request))
        for read in reads:
            if (answer := self._answers.get(read.number)) is not None and not answer.done():
                answer.set_result(read)
            self.on_read(read)

    def _keep(self, proof: Proof) -> None:
        self.reads.saw(proof.commits)
        self._made[proof.transaction] = proof
        if len(self._made) > MOST_KEPT:
            del self._made[next(iter(self._made))]
        for kind, waiting in self._waiting.get(proof.transaction, ()):
            if kind <= proof.kind and not waiting.done():
                waiting.set_result(proof)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            now_s = self._context.now()
            self.collector.tick(now_s)
            self.reads.tick(now_s)
            self._settle()

    async def _subscribe(self) -> None:
        call = encode(Subscribe(self._client))
        while True:
            self.send_bytes(sorted(self.connected()), call)
            await asyncio.sleep(_SUBSCRIBE_S if len(self.connected()) > self.roster.committee.faults else _EVERY_S)

    def admit(self, connection: Connection, hello: Hello | None, dialled: int | None) -> tuple[int | None, str]:
        return dialled, ""
