"""Reports of a primary: events of the run, results for clients, and counts at its end.

Invariant: a client receives results of its own transactions only: those whose identifiers begin with its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from emulator.sdk.node import NodeContext
from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import home_shard
from nodes.dagbft.identity import Verifier
from nodes.dagbft.messages import FinalReply, SpecReply
from nodes.dagbft.primary.execution import Core, Reply
from nodes.dagbft.primary.payload import ANY
from nodes.dagbft.wire import split_transactions

CHECKS_S = 1.0  # between two samples of `EarlyResultSampler`
_CLIENT_BYTES = 8  # at the beginning of a transaction's identifier: the client's number
_MOST_CLIENTS = 1024


class Subscriptions:
    """The clients that have subscribed to the results of their transactions."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str] = {}

    def subscribe(self, client: int, label: str) -> None:
        if len(self._labels) < _MOST_CLIENTS:
            self._labels[client.to_bytes(_CLIENT_BYTES, "big")] = label

    def replies(self, replies: Iterable[Reply]) -> Iterator[tuple[str, Reply]]:
        """(label of the client's link, reply) for each subscribed client that a reply concerns."""
        for reply in replies:
            by_client: dict[str, list[tuple[bytes, bytes]]] = {}
            for result in reply.results:
                if (label := self._labels.get(result[0][:_CLIENT_BYTES])) is not None:
                    by_client.setdefault(label, []).append(result)
            if isinstance(reply, SpecReply):  # sent to all: clients target the shard of the next own header
                for label in self._labels.values():
                    yield label, SpecReply(reply.round, reply.author, tuple(by_client.get(label, ())))
            else:
                for label, results in by_client.items():
                    yield label, FinalReply(reply.round, reply.author, reply.cause, tuple(results))


class BatchSizes:
    """The number of transactions in each batch that may still be committed."""

    def __init__(self) -> None:
        self._sizes: dict[bytes, int] = {}

    def look_into(self, digest: bytes, body: bytes) -> int:
        """Count the transactions of a batch; returns their home shard (one per batch), ANY if it is malformed."""
        try:
            transactions = split_transactions(body)
        except ValueError:
            transactions = []
        self._sizes[digest] = len(transactions)
        return home_shard(transactions[0]) if transactions else ANY

    def forget(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            self._sizes.pop(digest, None)

    def total(self, digests: Sequence[bytes]) -> int | None:
        """The number of transactions in these batches together; None if one batch is not known."""
        return sum(self._sizes[each] for each in digests) if all(each in self._sizes for each in digests) else None


class EarlyResultSampler:
    """Samples how many early results were confirmed by commit and how many were not, at most once a second."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def sample(self, context: NodeContext, ledger: Ledger) -> None:
        """Record `early_ok` and `early_wrong`, if they are due."""
        now_s = context.now()
        if now_s >= self._due_s:
            self._due_s = now_s + CHECKS_S
            context.sample("early_ok", float(ledger.counts.early_ok))
            context.sample("early_wrong", float(ledger.counts.early_wrong))


def emit(context: NodeContext, core: Core, sizes: BatchSizes, event: Event) -> None:
    """Record an event of consensus."""
    if not isinstance(event, Commit):
        context.emit("early", round=event.block[0], author=event.block[1])
        return
    data = {"index": event.number, "leader": event.leader, "mode": event.kind, "blocks": event.blocks}
    total = sizes.total([digest for slot in event.blocks for digest, _ in core.payload_of(slot)])
    if total is not None:
        headers = filter(None, map(core.header_at, event.blocks))
        total += sum(len(split_transactions(header.inline)) for header in headers)
    context.emit("commit", **data if total is None else {**data, "transactions": total})


def tally(core: Core, ledger: Ledger, verifier: Verifier, refused: Counter[tuple[str, str]]) -> dict[str, object]:
    """The counts of a primary; `refused` is what its links refused, by reason and peer."""
    rejected: Counter[str] = Counter()
    for (reason, _), count in [*core.rejected.items(), *refused.items()]:
        rejected[reason] += count
    return {
        "round": core.proposer.round,
        "commits": core.consensus.commits,
        **{name: getattr(ledger.counts, name) for name in ledger.counts.__dataclass_fields__},
        "places_ok": core.consensus.check.ok,
        "places_wrong": core.consensus.check.wrong,
        "signatures": verifier.checked,
        "signatures_remembered": verifier.remembered,
        "rejected": dict(rejected),
        "counts": dict(core.counts),
        "digest": ledger.digest.hex(),
    }
