"""A committee of validators of one chain on a jumping clock: the DAG-BFT's simulation orders, cores make blocks.

Invariant: two committees of one seed do the same. Disks and what was said survive a crash, everything else is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ibc_chain import GENESIS_NS, settings, signed

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.consensus.core import Commit, Event
from nodes.dagbft.messages import Message, Seal
from nodes.dagbft.simulate import Settings, Simulation, Validator, uniform
from nodes.dagbft.wire import split_transactions
from nodes.dagbft.worker.core import WorkerConfig, WorkerCore
from nodes.ibc.chain.genesis import chain_of
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.chain.pace import Pace
from nodes.ibc.comet.commits import SignatureCache, verify_commit
from nodes.ibc.comet.hashes import validators_hash
from nodes.ibc.proto.comet import BlockIDFlag, Vote
from nodes.ibc.validator.core import Effects, ValidatorCore
from nodes.ibc.validator.items import Item
from nodes.ibc.validator.ordering import primary_config

BLOCK_S = 0.5
CrashPoint = Callable[[int, Effects], str]  # "" to go on, "before" or "after" the records


class _OneHome(WorkerCore):
    """Every header may carry what waits, as in `Ordering`."""

    def on_primary(self, message: Message, now_s: float) -> None:
        super().on_primary(replace(message, shard=0) if isinstance(message, Seal) else message, now_s)


class _Order(Simulation):
    def new_worker(self, me: int, worker: int, disk: MemoryDisk) -> WorkerCore:
        return _OneHome(me, worker, self.roster.committee, self.settings.worker, disk)


@dataclass
class Told:
    """What a validator has told, over all its lives."""

    entries: dict[int, Entry] = field(default_factory=dict)
    at_s: dict[int, float] = field(default_factory=dict)
    votes: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))  # by height, as they were ordered
    accused: list[Vote] = field(default_factory=list)


class Committee:
    """`n` validators; `simulation.network` cuts and delays, `crash` and `restart` are of whole validators."""

    def __init__(self, n: int = 4, seed: int = 0, **chain: Any) -> None:
        primary = primary_config(0.1, 0.2)
        order = Settings(
            n, seed, delay=uniform(0.02), primary=primary, worker=WorkerConfig(most_open=1000, keep_rounds=1 << 40)
        )
        self.n = n
        self.simulation = _Order(order)
        self.simulation.on_execute = self._execute
        self.clock = self.simulation.clock
        self.told = [Told() for _ in range(n)]
        self.cores: list[ValidatorCore | None] = [None] * n
        self.say: dict[int, Callable[[bytes], list[bytes]]] = {}  # liars: what they say in place of an item
        self.crash_point: CrashPoint | None = None
        self._disks = [MemoryDisk() for _ in range(n)]
        self._settings = settings(**{"powers": (10,) * n, **chain})
        self._timers: list[float] = [float("inf")] * n
        self._sequences: dict[str, int] = defaultdict(int)

    def core(self, number: int) -> ValidatorCore:
        core = self.cores[number]
        assert core is not None
        return core

    def start(self, *but: int) -> Committee:
        """Start all validators but these."""
        for number in range(self.n):
            if number not in but:
                self._begin(number)
                self.simulation.validators[number].start()
                self._carry_out(number)
        return self

    def run(self, duration_s: float) -> Committee:
        self.simulation.run(duration_s)
        return self

    def crash(self, number: int) -> None:
        self.cores[number] = None
        self._timers[number] = float("inf")
        self.simulation.crash(number)

    def restart(self, number: int) -> None:
        """Start a validator again, with what is on its disks."""
        self._begin(number)
        self.simulation.restart(number)
        self._carry_out(number)

    def submit(self, number: int, data: bytes) -> int:
        """Hand a transaction to a validator; the code."""
        code = self.core(number).submit(data).code
        self._carry_out(number)
        return code

    def tx(self, name: str, *messages: Any, **given: Any) -> bytes:
        """The next transaction of an account."""
        sequence = self._sequences[name]
        self._sequences[name] += 1
        return signed(name, messages, sequence, ("alice", "bob", "carol").index(name), **given)

    def _begin(self, number: int) -> None:
        chain, pace = chain_of(self._settings, 0), Pace(BLOCK_S)
        disk, clock = self._disks[number], self.clock
        self.cores[number] = ValidatorCore(
            chain, number, disk, pace, lambda: GENESIS_NS + round(clock.now_s * 1e9), clock.now_s
        )

    def _execute(self, validator: Validator, event: Event) -> None:
        core = self.cores[validator.me]
        if core is None or not isinstance(event, Commit):  # it has crashed in this turn
            return
        said = []
        for slot in event.blocks:
            header = validator.primary.header_at(slot)
            assert header is not None
            for body in (*(validator.bodies[digest] for digest, _ in header.payload), header.inline):
                said += [(header.author, item) for item in split_transactions(body)]
        core.on_ordered([said], self.clock.now_s)
        self._carry_out(validator.me)

    def _carry_out(self, number: int) -> None:
        """Do what a core wants: records first, then the rest."""
        if (core := self.cores[number]) is None:
            return
        effects = core.take()
        point = self.crash_point(number, effects) if self.crash_point is not None and effects else ""
        if point != "before":
            self._disks[number].apply(effects.persist)
        if point:
            self.clock.at(self.clock.now_s, lambda: self.crash(number))
            self.cores[number] = None
            return
        told = self.told[number]
        for item in effects.order:
            for said in self.say.get(number, lambda data: [data])(item):
                self._hand_over(number, said)
        for entry in effects.entries:
            known = told.entries.setdefault(entry.block.height, entry)
            assert known == entry, f"validator {number} has two blocks of height {entry.block.height}"
            told.at_s.setdefault(entry.block.height, self.clock.now_s)
        told.accused += effects.accused
        self._set_timer(number, core.next_deadline_s())

    def _hand_over(self, number: int, item: bytes) -> None:
        if number not in self.say and (vote := Item.decode(item).vote) is not None:
            self.told[number].votes[vote.height].add(item)
        life = self.cores[number]

        def submit() -> None:  # in a turn of its own: the validator may be in the midst of one
            if self.cores[number] is life:
                self.simulation.validators[number].submit(0, item)

        self.clock.at(self.clock.now_s, submit)

    def _set_timer(self, number: int, due_s: float) -> None:
        if due_s == float("inf") or self._timers[number] <= due_s:
            return
        self._timers[number] = due_s = max(due_s, self.clock.now_s)
        life = self.cores[number]

        def ring() -> None:
            if life is not None and self.cores[number] is life and self._timers[number] == due_s:
                self._timers[number] = float("inf")
                life.tick(self.clock.now_s)
                self._carry_out(number)

        self.clock.at(due_s, ring)

    # What came of it

    def height(self, *numbers: int) -> int:
        """The least height of these validators, or of all that are up."""
        return min(core.chain.height for number in numbers or range(self.n) if (core := self.cores[number]) is not None)

    def require_one_chain(self, *liars: int) -> dict[int, Entry]:
        """The blocks that all honest validators agree on, each verified as a light client does, from the first."""
        merged: dict[int, Entry] = {}
        for number, told in enumerate(self.told):
            if number in liars:
                continue
            assert list(told.entries) == list(range(1, len(told.entries) + 1))
            for height, entry in told.entries.items():
                assert merged.setdefault(height, entry) == entry, f"two blocks of height {height}"
            for height, votes in told.votes.items():
                assert len(votes) == 1, f"validator {number} signed height {height} {len(votes)} times"
        require_sound([merged[height] for height in sorted(merged)], self._settings.chain_id, self._chain_committee())
        return merged

    def _chain_committee(self) -> Any:
        return next(core.chain.committee for core in self.cores if core is not None)


def require_sound(entries: list[Entry], chain_id: str, committee: Any) -> None:
    """Each block follows from the one before it, and more than two thirds signed it; no transaction is in two."""
    seen: set[bytes] = set()
    for before, entry in zip([None, *entries], entries, strict=False):
        header = entry.block.header
        validators = committee.at(header.height).validators
        assert header.validators_hash == validators_hash(validators)
        verify_commit(chain_id, validators, entry.commit, SignatureCache())
        assert entry.commit.block_id == entry.block.id
        times = [vote.timestamp.ns for vote in entry.commit.signatures if vote.block_id_flag is BlockIDFlag.COMMIT]
        assert min(times) > header.time.ns
        if before is not None:
            assert header.last_block_id == before.block.id
            assert header.app_hash == before.app_hash
            assert entry.block.last_commit == before.commit
            assert before.block.time_ns < header.time.ns
        assert seen.isdisjoint(entry.block.txs)
        assert len(set(entry.block.txs)) == len(entry.block.txs)
        seen.update(entry.block.txs)
