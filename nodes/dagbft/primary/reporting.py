"""What a primary tells: events of the run, results to clients, and counts at its end.

Invariant: a client hears of its own transactions only, those whose identifiers begin with the number that it gave.
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

CHECKS_S = 1.0  # between two samples of `Checks`
_CLIENT_BYTES = 8  # of a transaction's identifier: whose it is
_MOST_CLIENTS = 1024


class Clients:
    """Who wants to hear of which transactions."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str] = {}

    def subscribe(self, client: int, label: str) -> None:
        if len(self._labels) < _MOST_CLIENTS:
            self._labels[client.to_bytes(_CLIENT_BYTES, "big")] = label

    def replies(self, replies: Iterable[Reply]) -> Iterator[tuple[str, Reply]]:
        """To whom to send what."""
        for reply in replies:
            by_client: dict[str, list[tuple[bytes, bytes]]] = {}
            for result in reply.results:
                if (label := self._labels.get(result[0][:_CLIENT_BYTES])) is not None:
                    by_client.setdefault(label, []).append(result)
            if isinstance(reply, SpecReply):  # all hear of each own header: clients aim at the shard of the one to come
                for label in self._labels.values():
                    yield label, SpecReply(reply.round, reply.author, tuple(by_client.get(label, ())))
            else:
                for label, results in by_client.items():
                    yield label, FinalReply(reply.round, reply.author, reply.cause, tuple(results))


class Sizes:
    """How many transactions are in each batch, as long as it may be committed."""

    def __init__(self) -> None:
        self._sizes: dict[bytes, int] = {}

    def look_into(self, digest: bytes, body: bytes) -> int:
        """Count the transactions of a batch; their home shard, which own workers keep apart. ANY for nonsense."""
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
        """How many there are in these together; None where one is not known."""
        return sum(self._sizes[each] for each in digests) if all(each in self._sizes for each in digests) else None


class Checks:
    """Tells how many early results have come true so far, and how many have not: at most once a second."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def tell(self, context: NodeContext, ledger: Ledger) -> None:
        """Samples `early_ok` and `early_wrong`, where they are due."""
        now_s = context.now()
        if now_s >= self._due_s:
            self._due_s = now_s + CHECKS_S
            context.sample("early_ok", float(ledger.counts.early_ok))
            context.sample("early_wrong", float(ledger.counts.early_wrong))


def emit(context: NodeContext, core: Core, sizes: Sizes, event: Event) -> None:
    """Tell what consensus has found."""
    if not isinstance(event, Commit):
        context.emit("early", round=event.block[0], author=event.block[1])
        return
    told = {"index": event.number, "leader": event.leader, "mode": event.kind, "blocks": event.blocks}
    total = sizes.total([digest for slot in event.blocks for digest, _ in core.payload_of(slot)])
    if total is not None:
        headers = filter(None, map(core.header_at, event.blocks))
        total += sum(len(split_transactions(header.inline)) for header in headers)
    context.emit("commit", **told if total is None else {**told, "transactions": total})


def tally(core: Core, ledger: Ledger, verifier: Verifier, refused: Counter[tuple[str, str]]) -> dict[str, object]:
    """What a primary did; `refused` is what its links refused, by reason and peer."""
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
