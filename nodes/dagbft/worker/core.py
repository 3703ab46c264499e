"""The core of a worker: its inputs are transactions, messages and the time, its outputs are effects.

A batch is sealed when it is full, when the own primary is about to make a header for it, or, if no primary asks, after
`batch_delay_s`. It is sent to the workers of the same number, and reported to the own primary at once: the votes on its
header prove that a quorum holds it, and a voter that lacks it requests it. Invariant: the effect that reports a batch
to the primary also stores it. Batches of others are bounded between two collections, and so are transactions of
clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.model.errors import Unfit
from emulator.sdk.disk import Disk
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.field_types import (
    MOST_BATCH_BYTES,
    MOST_DIGESTS,
    MOST_REPLY_BYTES,
    MOST_TRANSACTION_BYTES,
    batch_digest,
)
from nodes.dagbft.messages import (
    Batch,
    BatchReply,
    BatchRequest,
    Certified,
    Cleanup,
    Message,
    OthersBatch,
    OurBatch,
    Seal,
    Sealed,
    SubmitTx,
    Synchronize,
)
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.requests import Requests
from nodes.dagbft.wire import is_batch, join_transactions
from nodes.dagbft.worker.batch_store import BatchStore

NEVER = float("inf")
_WANTED_FOR = 5  # retries: a request that the primary has not repeated within these is dropped


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Sizes in bytes, times in seconds."""

    batch_bytes: int = 500_000
    batch_delay_s: float = 0.1  # the longest wait of a transaction, if no primary asks to seal
    asked_for_s: float = 10.0  # a primary that has asked to seal asks again within this
    retry_s: float = 1.0
    retry_peers: int = 3
    most_open: int = 64  # own batches that are in no block yet; beyond, transactions are refused
    keep_rounds: int = 500  # collected rounds for which batches are kept, for late validators and restarts
    most_bytes_each: int = 1 << 28  # stored for another validator between two collections
    most_answers_bytes: int = 1 << 26  # a second, of batches sent to one peer on request

    def __post_init__(self) -> None:
        if not 0 < self.batch_bytes <= MOST_BATCH_BYTES - MOST_TRANSACTION_BYTES - 4:
            most = MOST_BATCH_BYTES - MOST_TRANSACTION_BYTES - 4
            raise Unfit(f"batch of {self.batch_bytes} bytes", f"1 to {most}")
        if self.most_open < 1 or self.retry_s <= 0 or self.batch_delay_s < 0 or self.keep_rounds < 1:
            raise Unfit("most_open, retry, batch_delay or keep_rounds below its least", "1, > 0, 0, 1")


@dataclass(slots=True)
class _Pending:
    """Transactions of one home shard that are not in a batch yet."""

    seal_s: float  # when to seal them if no primary asks
    transactions: list[bytes] = field(default_factory=list)
    size: int = 0


def _one_shard(transaction: bytes) -> int:
    return 0


class WorkerCore:
    """Worker number `worker` of validator `me`. All transactions of a batch have the same home, `shard_of` them."""

    def __init__(
        self,
        me: int,
        worker: int,
        committee: Committee,
        config: WorkerConfig,
        disk: Disk,
        shard_of: Callable[[bytes], int] = _one_shard,
    ) -> None:
        self.me = me
        self.worker = worker
        self.config = config
        self.batch_store = BatchStore(disk, config.keep_rounds)
        self.rejected: Counter[tuple[str, int]] = Counter()
        self.counts: Counter[str] = Counter()
        self.effects = Effects()
        self._n = committee.n
        self._shard_of = shard_of
        self._pending: dict[int, _Pending] = {}  # by shard
        self._asked_s = -NEVER  # when the primary asked last
        self._open: set[bytes] = set(self.batch_store.open_digests())  # own batches that are in no block yet
        self._requests: Requests[bytes] = Requests(me, committee.n, config.retry_s, config.retry_peers)
        self._stored_for: Counter[int] = Counter()  # bytes since the last collection, by validator
        self._second = 0
        self._answered: Counter[int] = Counter()  # bytes in this second, by peer
        for digest in self.batch_store.open_digests():  # sealed before a restart
            self._tell(digest, self.batch_store.body(digest) or b"")

    # Inputs

    def on_transaction(self, transaction: bytes, now_s: float) -> bool:
        """Add a client's transaction; returns False, and counts it, if it is malformed or there is no room."""
        if not 0 < len(transaction) <= MOST_TRANSACTION_BYTES:
            self.counts["transactions malformed"] += 1
            return False
        if len(self._open) >= self.config.most_open:
            self.counts["transactions refused"] += 1
            return False
        shard = self._shard_of(transaction)
        if not 0 <= shard < self._n:
            self.counts["transactions malformed"] += 1
            return False
        pending = self._pending.get(shard)
        if pending is None:
            pending = self._pending[shard] = _Pending(now_s + self.config.batch_delay_s)
        pending.transactions.append(transaction)
        pending.size += 4 + len(transaction)
        if pending.size >= self.config.batch_bytes:
            self._seal(shard)
        return True

    def on_client(self, message: Message, now_s: float) -> None:
        """A message of a client."""
        if isinstance(message, SubmitTx):
            self.on_transaction(message.transaction, now_s)
        else:
            self.counts["client misplaced"] += 1

    def on_message(self, peer: int, message: Message, now_s: float) -> None:
        """A message of another validator's worker of the same number."""
        match message:
            case Batch(body):
                self._on_batch(peer, body)
            case BatchRequest(digests):
                self._on_request(peer, digests, now_s)
            case BatchReply(bodies):
                for body in bodies:
                    digest = batch_digest(body)
                    if self._requests.received(digest):
                        self._store(digest, body)
                    else:
                        self._reject("unasked", peer)
            case _:
                self._reject("misplaced", peer)

    def on_primary(self, message: Message, now_s: float) -> None:
        """An order of the own primary."""
        match message:
            case Synchronize((), (), since):
                for digest in self.batch_store.own_digests(since):
                    self._tell(digest, self.batch_store.body(digest) or b"")
            case Synchronize(digests, ask):
                for digest in digests:
                    body = self.batch_store.body(digest)
                    if body is None:
                        self._requests.request(digest, ask, now_s)
                    else:
                        self._tell(digest, body)
                self._ask(now_s)
            case Seal(round, shard, inline_bytes):
                self._asked_s = now_s
                self.effects.primary.append(Sealed(round, self.worker, self._seal_for(shard, inline_bytes)))
            case Certified(digests):
                for digest in self._open.intersection(digests):
                    self._open.discard(digest)
                    self.effects.persist += self.batch_store.certified(digest)
            case Cleanup(round):
                self.effects.persist += self.batch_store.collect(round)
                self._stored_for.clear()
            case _:
                self.counts["primary misplaced"] += 1

    def tick(self, now_s: float) -> None:
        """Process deadlines up to `now_s`."""
        if now_s >= self._asked_s + self.config.asked_for_s:
            for shard in [shard for shard, pending in self._pending.items() if now_s >= pending.seal_s]:
                self._seal(shard)
        self._ask(now_s)

    # Outputs

    def take(self) -> Effects:
        effects, self.effects = self.effects, Effects()
        return effects

    def next_deadline_s(self) -> float:
        seal_s = min((each.seal_s for each in self._pending.values()), default=NEVER)
        return min(self._requests.next_s, max(seal_s, self._asked_s + self.config.asked_for_s))

    # Own batches

    def _seal_for(self, shard: int, inline_bytes: int) -> bytes:
        """Seal the transactions for a header of a shard; a batch of at most `inline_bytes` is returned, not stored."""
        pending = self._pending.get(shard)
        if pending is None:
            return b""
        if pending.size > inline_bytes:
            self._seal(shard)
            return b""
        self.counts["batches inside"] += 1
        return join_transactions(self._pending.pop(shard).transactions)

    def _seal(self, shard: int) -> None:
        body = join_transactions(self._pending.pop(shard).transactions)
        digest = batch_digest(body)
        if digest in self.batch_store:
            return
        self.effects.persist += self.batch_store.put(digest, body, own=True)
        self.counts["batches"] += 1
        self._open.add(digest)
        self.effects.send.append((ALL, Batch(body)))
        self._tell(digest, body)

    # Batches of others

    def _on_batch(self, peer: int, body: bytes) -> None:
        digest = batch_digest(body)
        if digest in self.batch_store:
            return None
        if self._stored_for[peer] + len(body) > self.config.most_bytes_each:
            return self._reject("quota", peer)
        if not is_batch(body):
            return self._reject("body", peer)
        self._stored_for[peer] += len(body)
        self._requests.received(digest)
        return self._store(digest, body)

    def _store(self, digest: bytes, body: bytes) -> None:
        self.effects.persist += self.batch_store.put(digest, body, own=False)
        self.counts["batches of others"] += 1
        self._tell(digest, body)

    def _tell(self, digest: bytes, body: bytes) -> None:
        owner = OurBatch if self.batch_store.is_own(digest) else OthersBatch
        self.effects.primary.append(owner(digest, self.worker, body))

    # Requests

    def _on_request(self, peer: int, digests: tuple[bytes, ...], now_s: float) -> None:
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._answered.clear()
        bodies: list[bytes] = []
        size = 0
        for digest in digests:
            body = self.batch_store.body(digest)
            if body is None:
                continue
            self._answered[peer] += len(body)
            if self._answered[peer] > self.config.most_answers_bytes:
                self._reject("flood", peer)
                break
            if bodies and size + len(body) + 4 > MOST_REPLY_BYTES - 1000:
                self.effects.send.append((peer, BatchReply(tuple(bodies))))
                bodies, size = [], 0
            bodies.append(body)
            size += len(body) + 4
        if bodies:
            self.effects.send.append((peer, BatchReply(tuple(bodies))))

    def _ask(self, now_s: float) -> None:
        if now_s < self._requests.next_s:
            return
        self._requests.expire(now_s - _WANTED_FOR * self.config.retry_s)
        by_peer: dict[int, list[bytes]] = {}
        for digest, peers in self._requests.due(now_s).items():
            for peer in peers:
                by_peer.setdefault(peer, []).append(digest)
        for peer, digests in by_peer.items():
            for at in range(0, len(digests), MOST_DIGESTS):
                self.effects.send.append((peer, BatchRequest(tuple(digests[at : at + MOST_DIGESTS]))))

    def _reject(self, reason: str, peer: int) -> None:
        self.rejected[reason, peer] += 1
