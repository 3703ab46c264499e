"""The service of a validator: what it tells clients under its own signature, when they ask for it.

Invariant: one signature stands for all results that became final together, and none is made that nobody asked for.
What a client can have of the service is bounded: answers that wait, results that are kept for those that come late.
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

KEPT = 64  # settlements, for clients whose first call comes after their results
_CLIENT_BYTES = 8  # of a transaction's identifier: whose it is
_MOST_CLIENTS = 1024
_MOST_OF_ONE = 8  # callers that give the same number: nobody takes another's place
Sent = tuple[str, Message]  # caller and message


class ClientService:
    """`follow` the ledger of each life of the validator; `on_message` what callers say; `take` what to send them."""

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
        """Tell of this ledger, which has executed nothing yet but what a snapshot says."""
        self._ledger = ledger
        self._witness = Witness(ledger)
        self._reading = Reading(ledger, self._witness, self._roster.committee.n)

    @property
    def due_s(self) -> float:
        """When `take` has something to say though nothing has happened."""
        return self._reading.due_s

    def on_message(self, caller: str, message: Message, now_s: float) -> None:
        """A client has called."""
        if isinstance(message, Subscribe):
            self._subscribe(caller, message.client.to_bytes(_CLIENT_BYTES, "big"))
        elif isinstance(message, ReadRequest):
            self.counts["reads"] += 1
            if (answer := self._reading.ask(caller, message, now_s)) is not None:
                self._answer(answer)
        else:
            self.rejected["misplaced", caller] += 1

    def take(self, now_s: float) -> list[Sent]:
        """What is to be sent: new results of those who listen, and answers."""
        for settlement in self._witness.take():
            self._kept.append(settlement)
            self._sends += self._signed(settlement, self._callers)
        for answer in self._reading.tick(now_s):
            self._answer(answer)
        sends, self._sends = self._sends, []
        return sends

    def _subscribe(self, caller: str, client: bytes) -> None:
        """A client listens from now on; where it is new, it hears of what it may have missed."""
        callers = self._callers.get(client, [])
        if caller in callers:
            return
        if len(callers) >= _MOST_OF_ONE or (not callers and len(self._callers) >= _MOST_CLIENTS):
            self.rejected["clients", caller] += 1
            return
        self._callers[client] = [*callers, caller]
        for settlement in self._kept:
            self._sends += self._signed(settlement, {client: [caller]})

    # What a lying validator says otherwise

    def result(self, transaction: bytes, outcome: Outcome) -> bytes:
        """What to tell of an outcome."""
        return result_hash(transaction, outcome)

    def values(self, values: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
        """What to tell of keys, values, and since when they had them."""
        return values

    def _signed(self, settlement: Settlement, callers: dict[bytes, list[str]]) -> list[Sent]:
        """The results of a settlement, to those of these callers whose they are."""
        wanted: dict[str, list[int]] = {}
        results = settlement.results() if callers else []
        for index, (transaction, *_) in enumerate(results):
            for caller in callers.get(transaction[:_CLIENT_BYTES], ()):
                wanted.setdefault(caller, []).append(index)
        if not wanted:
            return []
        told = [(id, self.result(id, outcome), round, author) for id, outcome, round, author in results]
        tree = Tree([leaf_of(*each) for each in told])
        roster = self._roster
        statement = Statement(roster.run, roster.epoch, settlement.kind, settlement.commits, tree.count, tree.root)
        signature = self._signer.sign(statement.digest)
        self.counts["statements"] += 1
        sends: list[Sent] = []
        for caller, indexes in wanted.items():
            self.counts["results"] += len(indexes)
            for part in _parts(indexes):
                included = tuple([Included(*told[index], index, tree.path(index)) for index in part])
                sends.append((caller, SignedResults(self._me, statement, signature, included)))
        return sends

    def _answer(self, answer: Answer) -> None:
        self.counts[f"reads {answer.status.name.lower()}"] += 1
        if answer.status == Status.WRONG:
            self.rejected["read", answer.reader] += 1
        ledger, request = self._ledger, answer.request
        said = (
            self._me, self._roster.run, request.number, request.kind, int(answer.status), answer.at, ledger.commits,
            ledger.digest, self.values(answer.values),
        )  # fmt: skip
        digest = ReadReply(*said, bytes(64)).digest
        self._sends.append((answer.reader, ReadReply(*said, self._signer.sign(digest))))


def _parts(indexes: Sequence[int]) -> list[Sequence[int]]:
    return [indexes[begin : begin + MOST_INCLUDED] for begin in range(0, len(indexes), MOST_INCLUDED)]
