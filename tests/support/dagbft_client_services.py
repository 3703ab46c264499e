"""A committee in memory whose validators serve clients, a client that calls them all, and what is true.

Invariant: what is true is told by the ledger of one honest validator, block by block, and by nothing that signs; what
goes between client and validators is encoded and decoded, and takes a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagbft_trade import Trade

from nodes.dagbft.byzantine.client_service import FalseClientService
from nodes.dagbft.client.collector import Collector, Milestone
from nodes.dagbft.client.messages import ReadReply, SignedResults
from nodes.dagbft.client.proof import Proof, check_proof
from nodes.dagbft.client.reads import Read, Reads
from nodes.dagbft.execution.executor import REPEATED
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import SHARD_BITS, Transaction, result_hash
from nodes.dagbft.field_types import Cause
from nodes.dagbft.messages import Message, Subscribe
from nodes.dagbft.primary.client_service import ClientService
from nodes.dagbft.simulate import Validator
from nodes.dagbft.wire import decode, encode

WITNESS = 3  # whose ledger says what is true; it neither lies nor crashes
HOP_S = 0.02
STEP_S = 0.01


class ClientServices:
    """Joins a trade. `liars` have false services."""

    def __init__(self, trade: Trade, liars: tuple[int, ...] = ()) -> None:
        self.trade = trade
        self.roster = trade.run.roster
        self.collector = Collector(self.roster)
        self.reads = Reads(self.roster)
        self.milestones: list[Milestone] = []
        self.done: list[Read] = []
        self.statements: dict[int, dict[bytes, set[int]]] = {}  # by commits: roots and who signed them
        self.states: dict[int, dict[int, int]] = {0: {}}  # by commits
        self.places: dict[tuple[int, int], dict[int, int]] = {}  # by shard and blocks: values that are certain
        self.results: dict[bytes, bytes] = {}  # by transaction
        self.services: dict[int, ClientService] = {}
        self._liars = liars
        for validator in trade.run.validators:
            self._join(validator)
        self.expected = set[bytes]()
        trade.on_submit = self._want
        trade.run.clock.at(0.0, self._step)

    def _want(self, transaction: Transaction) -> None:
        self.expected.add(transaction.id)
        self.collector.want(transaction.id, self.now_s)

    @property
    def now_s(self) -> float:
        return self.trade.run.clock.now_s

    @property
    def proofs(self) -> list[Proof]:
        return [made.proof for made in self.milestones if made.proof is not None]

    def _join(self, validator: Validator) -> None:
        me, begin, start = validator.me, validator._begin, validator.start

        def start_again(**given: Any) -> None:
            kind = FalseClientService if me in self._liars else ClientService
            self.services[me] = kind(me, self.roster, self.trade.run.identities[me])
            start(**given)
            self.call(me, Subscribe(0))

        def begin_again(genesis: bool = False) -> None:
            begin(genesis)
            self.services[me].follow(validator.ledger)
            if me == WITNESS:
                self._watch(validator.ledger)

        validator.start, validator._begin = start_again, begin_again  # type: ignore[method-assign]

    def _watch(self, ledger: Ledger) -> None:
        commit, commit_block = ledger._commit, ledger._commit_block

        def committed(event: Any) -> Any:
            replies = commit(event)
            self.states[ledger.commits] = dict(ledger.state)
            return replies

        def committed_block(carried: Any) -> None:
            commit_block(carried)
            shard, locked = carried.shard, ledger._committed.locks.queues
            known = {key: value for key, value in ledger.state.items() if key not in locked}
            self.places[shard, ledger.lengths[shard]] = {
                key: value for key, value in known.items() if key >> SHARD_BITS == shard
            }
            for index, outcome in enumerate(carried.final):
                id = carried.row(index)[0]
                if outcome not in (None, REPEATED) and id not in self.results:
                    self.results[id] = result_hash(id, outcome)

        finish = ledger._committed.finish

        def finished(carried: Any, index: int, outcome: Any) -> None:
            finish(carried, index, outcome)
            if outcome != REPEATED:
                id = carried.row(index)[0]
                self.results.setdefault(id, result_hash(id, outcome))

        ledger._commit, ledger._commit_block = committed, committed_block  # type: ignore[method-assign]
        ledger._committed.finish = finished  # type: ignore[method-assign]

    def call(self, me: int, message: Message) -> None:
        """The client says something to a validator."""

        def arrive() -> None:
            if self.trade.run.validators[me].alive:
                self.services[me].on_message("client", decode(encode(message)), self.now_s)

        self.trade.run.clock.at(self.now_s + HOP_S, arrive)

    def _step(self) -> None:
        for validator in self.trade.run.validators:
            for _, message in self.services[validator.me].take(self.now_s) if validator.alive else ():
                self._post(validator.me, encode(message))
        requests, _ = self.reads.take()
        for request in requests:
            for me in range(4):
                self.call(me, request)
        self.trade.run.clock.at(self.now_s + STEP_S, self._step)

    def _post(self, me: int, data: bytes) -> None:
        def arrive() -> None:
            message = decode(data)
            if isinstance(message, SignedResults):
                statement = message.statement
                if statement.commits:
                    self.statements.setdefault(statement.commits, {}).setdefault(statement.root, set()).add(me)
                self.collector.on_results(me, message, self.now_s)
                self.milestones += self.collector.take()
            elif isinstance(message, ReadReply):
                self.reads.on_reply(me, message, self.now_s)
                self.done += self.reads._done
                self.reads._done = []

        self.trade.run.clock.at(self.now_s + HOP_S, arrive)

    def every(self, period_s: float, do: Callable[[], None]) -> None:
        def again() -> None:
            do()
            self.trade.run.clock.at(self.now_s + period_s, again)

        self.trade.run.clock.at(self.now_s + period_s, again)

    def check(self) -> None:
        """All proofs hold, and say what is true."""
        for proof in self.proofs:
            assert check_proof(Proof.decode(proof.encode()), self.roster) == ""
            if proof.kind == Cause.COMMITTED or proof.transaction in self.results:  # else it is not committed yet
                assert proof.result == self.results[proof.transaction]
        assert self.collector.counts["proofs contradicted"] == 0
