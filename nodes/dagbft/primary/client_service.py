"""The client service of a validator: signed results for subscribed clients, and signed answers to reads.

Invariant: one signature covers all results that became final together, and is made only if a subscribed client has one
of them. Waiting reads, and results kept for clients that subscribe late, are bounded.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from nodes.dagbft.client.merkle import Tree
from nodes.dagbft.client.messages import (
    MOST_INCLUDED,
    Included,
    ReadReply,
    ReadRequest,
    SignedResults,
    Statement,
    Status,
    leaf_of,
)
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.reading import Answer, Reading
from nodes.dagbft.execution.transactions import Outcome, result_hash
from nodes.dagbft.execution.witness import Settlement, Witness
from nodes.dagbft.identity import Roster
from nodes.dagbft.messages import Message, Subscribe
from nodes.dagbft.primary.shared import Signer

KEPT = 64  # settlements, for clients that subscribe after their results
_CLIENT_BYTES = 8  # at the beginning of a transaction's identifier: the client's number
_MOST_CLIENTS = 1024
_MOST_OF_ONE = 8  # callers with the same client number; none displaces another
Sent = tuple[str, Message]  # caller and message


class ClientService:
    """Call `follow` with the ledger at each start and `on_message` for each message; `take` returns what to send."""

    def __init__(self, me: int, roster: Roster, signer: Signer) -> None:
        self.rejected: Counter[tuple[str, str]] = Counter()  # by reason and caller
        self.counts: Counter[str] = Counter()
        self._me = me
        self._roster = roster
        self._signer = signer
        self._callers: dict[bytes, list[str]] = {}  # by client
        self._kept: deque[Settlement] = deque(maxlen=KEPT)
        self._sends: list[Sent] = []

    def follow(self, ledger: Ledger) -> None:
        """Use this ledger, which has executed nothing since its snapshot."""
        self._ledger = ledger
        self._witness = Witness(ledger)
        self._reading = Reading(ledger, self._witness, self._roster.committee.n)

    @property
    def due_s(self) -> float:
        """When the next waiting read times out."""
        return self._reading.due_s

    def on_message(self, caller: str, message: Message, now_s: float) -> None:
        """A message of a client."""
        if isinstance(message, Subscribe):
            self._subscribe(caller, message.client.to_bytes(_CLIENT_BYTES, "big"))
        elif isinstance(message, ReadRequest):
            self.counts["reads"] += 1
            if (answer := self._reading.ask(caller, message, now_s)) is not None:
                self._answer(answer)
        else:
            self.rejected["misplaced", caller] += 1

    def take(self, now_s: float) -> list[Sent]:
        """Messages to send: new results for subscribed clients, and answers to reads."""
        for settlement in self._witness.take():
            self._kept.append(settlement)
            self._sends += self._signed(settlement, self._callers)
        for answer in self._reading.tick(now_s):
            self._answer(answer)
        sends, self._sends = self._sends, []
        return sends

    def _subscribe(self, caller: str, client: bytes) -> None:
        """Add a subscription; a new one also receives the kept results."""
        callers = self._callers.get(client, [])
        if caller in callers:
            return
        if len(callers) >= _MOST_OF_ONE or (not callers and len(self._callers) >= _MOST_CLIENTS):
            self.rejected["clients", caller] += 1
            return
        self._callers[client] = [*callers, caller]
        for settlement in self._kept:
            self._sends += self._signed(settlement, {client: [caller]})

    # Overridden by Byzantine validators

    def result(self, transaction: bytes, outcome: Outcome) -> bytes:
        """The result to report for an outcome."""
        return result_hash(transaction, outcome)

    def values(self, values: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        """The (key, value, since) to report for a read."""
        return values

    def _signed(self, settlement: Settlement, callers: dict[bytes, list[str]]) -> list[Sent]:
        """The results of a settlement, as messages to those callers whose transactions it contains."""
        indexes_by_caller: dict[str, list[int]] = {}
        results = settlement.results() if callers else []
        for index, (transaction, *_) in enumerate(results):
            for caller in callers.get(transaction[:_CLIENT_BYTES], ()):
                indexes_by_caller.setdefault(caller, []).append(index)
        if not indexes_by_caller:
            return []
        leaves = [(id, self.result(id, outcome), round, author) for id, outcome, round, author in results]
        tree = Tree([leaf_of(*each) for each in leaves])
        roster = self._roster
        statement = Statement(roster.run, roster.epoch, settlement.kind, settlement.commits, tree.count, tree.root)
        signature = self._signer.sign(statement.digest)
        self.counts["statements"] += 1
        sends: list[Sent] = []
        for caller, indexes in indexes_by_caller.items():
            self.counts["results"] += len(indexes)
            for part in _parts(indexes):
                included = tuple([Included(*leaves[index], index, tree.path(index)) for index in part])
                sends.append((caller, SignedResults(self._me, statement, signature, included)))
        return sends

    def _answer(self, answer: Answer) -> None:
        self.counts[f"reads {answer.status.name.lower()}"] += 1
        if answer.status == Status.WRONG:
            self.rejected["read", answer.reader] += 1
        ledger, request = self._ledger, answer.request
        fields = (
            self._me, self._roster.run, request.number, request.kind, int(answer.status), answer.at, ledger.commits,
            ledger.digest, self.values(answer.values),
        )  # fmt: skip
        digest = ReadReply(*fields, bytes(64)).digest
        self._sends.append((answer.reader, ReadReply(*fields, self._signer.sign(digest))))


def _parts(indexes: Sequence[int]) -> list[Sequence[int]]:
    return [indexes[begin : begin + MOST_INCLUDED] for begin in range(0, len(indexes), MOST_INCLUDED)]
