"""Ledgers and clients in a simulation, driven as the processes of a validator drive them, and what must hold of them.

Invariant: after the same number of commits all ledgers have the same digest, and no early result was wrong.
"""

from __future__ import annotations

from random import Random

from dagbft_rows import Row

from nodes.dagbft.client.core import ClientConfig, ClientCore
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import Transaction, encode, home_shard
from nodes.dagbft.messages import FinalReply, Header, OurBatch, Sealed, SpecReply
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.payload import ANY
from nodes.dagbft.simulate.validator import PRIMARY, Validator
from nodes.dagbft.wire import split_transactions
from nodes.dagbft.worker.core import WorkerCore


def shard_of(body: bytes) -> int:
    """The home shard of a batch; workers keep shards apart."""
    transactions = split_transactions(body)
    return home_shard(transactions[0]) if transactions else ANY


class Bank:
    """The ledgers of all validators of a row, which has not begun; with `client`, a client next to each."""

    def __init__(self, row: Row, client: ClientConfig | None = None) -> None:
        self.row = row
        self.results: dict[bytes, dict[tuple[int, int], bytes]] = {}  # by transaction: hash by validator and cause
        self.digests: list[dict[int, bytes]] = [{} for _ in range(row.n)]  # by validator: digest by commits
        self.clients: list[ClientCore] = []
        self._ledgers: dict[int, tuple[object, Ledger]] = {}
        row.run.new_worker = self._new_worker  # type: ignore[method-assign]
        for validator in row.run.validators:
            self._join(validator)
        if client is not None:
            for me in range(row.n):
                self.clients.append(ClientCore(row.run.roster.committee, me, me, client, Random(f"client/{me}")))
                row.run.clock.at(0.0, lambda me=me: self._ring(me))

    def ledger(self, number: int) -> Ledger:
        """That of the present life of a validator."""
        primary = self.row.primary(number)
        if number not in self._ledgers or self._ledgers[number][0] is not primary:
            rules, consensus = self.row.run.settings.primary.rules, primary.consensus
            ledger = Ledger(consensus.committee, number, rules.look_back, consensus.early, consensus.dag)
            self._ledgers[number] = (primary, ledger)
        return self._ledgers[number][1]

    def _new_worker(self, me: int, worker: int, disk) -> WorkerCore:
        run = self.row.run
        return WorkerCore(me, worker, run.roster.committee, run.settings.worker, disk, home_shard)

    def _join(self, validator: Validator) -> None:
        record, me = validator._record, validator.me

        def told(what) -> None:
            if isinstance(what, Sealed):
                validator.primary.on_sealed(what.worker, what.round, what.inline, self.row.run.clock.now_s)
                validator.carry_out(PRIMARY)
                return
            validator.bodies[what.digest] = what.body
            ledger, primary = self.ledger(me), validator.primary
            self._reply(me, ledger.on_batch(what.digest, what.body))
            keys, own, shard = ledger.write_keys(what.digest), isinstance(what, OurBatch), shard_of(what.body)
            now_s = self.row.run.clock.now_s
            primary.on_batch(what.digest, what.worker, keys, own, now_s, len(what.body), shard)
            validator.carry_out(PRIMARY)

        def note(effects: Effects) -> None:
            record(effects)
            self._play(validator, effects)

        validator._told, validator._record = told, note  # type: ignore[method-assign]

    def _play(self, validator: Validator, effects: Effects) -> None:
        me, ledger, core = validator.me, self.ledger(validator.me), validator.primary
        for block in effects.blocks:
            carrier = core.header_at(block.slot)
            ledger.on_block(block, [digest for digest, _ in carrier.names], carrier.inline)
        if effects.found:
            self._reply(me, ledger.on_events(effects.found))
            self.digests[me][ledger.commits] = ledger.digest
        for header in effects.made:
            digests = [digest for digest, _ in header.names]
            self._reply(me, ledger.on_header(self._block(core, header), digests, header.inline))
        ledger.forget(effects.forget)

    def _block(self, core, header: Header) -> Block:
        parents = [core.blocks.get(parent) for parent in header.parents]
        return Block(header.round, header.author, sum(1 << parent.author for parent in parents if parent is not None))

    def _reply(self, me: int, replies) -> None:
        for reply in replies:
            if isinstance(reply, FinalReply):
                for id, hash in reply.results:
                    self.results.setdefault(id, {})[me, int(reply.cause)] = hash
            if self.clients:
                mine = tuple(result for result in reply.results if result[0][:8] == me.to_bytes(8, "big"))
                now_s = self.row.run.clock.now_s
                if isinstance(reply, SpecReply):
                    self.clients[me].on_reply(SpecReply(reply.round, reply.author, mine), now_s)
                else:
                    self.clients[me].on_reply(FinalReply(reply.round, reply.author, reply.cause, mine), now_s)
        if self.clients and replies:
            self.row.run.clock.at(self.row.run.clock.now_s, lambda: self._ring(me))

    def _ring(self, me: int) -> None:
        """A client's turn."""
        clock, client = self.row.run.clock, self.clients[me]
        client.tick(clock.now_s)
        sends, _ = client.take()
        for send in sends:
            self.row.run.validators[me].submit(0, send.transaction)
        if (due_s := client.next_deadline_s()) < 1e9:
            clock.at(max(due_s, clock.now_s + 1e-6), lambda: self._ring(me) if self._is_due(me) else None)

    def _is_due(self, me: int) -> bool:
        return self.clients[me].next_deadline_s() <= self.row.run.clock.now_s

    def submit(self, number: int, transaction: Transaction) -> None:
        """At the worker of a validator, now."""
        self.row.run.validators[number].submit(0, encode(transaction))

    def count(self, name: str) -> int:
        """A count of all honest validators' ledgers together."""
        return sum(getattr(self.ledger(number).counts, name) for number in self.row.honest)

    def early_share(self) -> float:
        return self.count("early_ok") / max(1, self.count("committed"))

    def verdict(self, wiped: tuple[int, ...] = ()) -> None:
        """That of the row; and the ledgers agree with each other and with what they foretold."""
        self.row.verdict(wiped)
        for name in ("early_wrong", "early_unmatched", "resets"):
            assert self.count(name) == 0, name
        honest = [self.digests[number] for number in self.row.honest]
        for commits in set().union(*honest):
            assert len({each[commits] for each in honest if commits in each}) == 1, f"digests after {commits} commits"
        common = set(honest[0]).intersection(*honest[1:])
        assert len(common) > 3
        for id, told in self.results.items():
            honest_told = {hash for (number, _), hash in told.items() if number in self.row.honest}
            assert len(honest_told) <= 1, f"two results of {id.hex()}"
