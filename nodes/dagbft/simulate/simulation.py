"""A whole committee on the simulated network: load, crashes, partitions, and what came of it.

Invariant: two simulations with the same settings and the same calls do the same, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.core import Event
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.consensus.run_file import commit_log
from nodes.dagbft.consensus.threshold import ThresholdCoin
from nodes.dagbft.execution.transactions import home_shard, write_keys
from nodes.dagbft.field_types import TRANSACTION_ID_BYTES
from nodes.dagbft.identity import Identity, Roster, Verifier
from nodes.dagbft.messages import Message
from nodes.dagbft.primary.coin import Coin, Seeded
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.execution import Core, Reply
from nodes.dagbft.primary.shared import Signer
from nodes.dagbft.simulate.network import Address, Clock, Network
from nodes.dagbft.simulate.seals import Seal, SealVerifier
from nodes.dagbft.simulate.settings import Settings
from nodes.dagbft.simulate.validator import Validator
from nodes.dagbft.uncertified.core import UncertifiedCore
from nodes.dagbft.worker.core import WorkerCore


class Simulation:
    """`make[v]` replaces the primary core of validator v by what it gives for the one that it would have had."""

    def __init__(self, settings: Settings, make: dict[int, Callable[[Any], Any]] | None = None) -> None:
        self.settings = settings
        self.clock = Clock()
        self.random = Random(f"dagbft/{settings.seed}")
        self.network = Network(self.clock, settings.delay, self.random, self._deliver)
        self.on_reply: Callable[[Validator, Reply], None] = lambda validator, reply: None
        self.on_execute: Callable[[Validator, Event], None] = lambda validator, event: None
        names = [f"v{number}" for number in range(settings.n)]
        self.identities = [Identity.of(settings.seed, name) for name in names]
        self.roster = Roster.of(settings.seed, names, workers=settings.workers)
        self.make = make or {}
        self.validators = [Validator(self, number) for number in range(settings.n)]

    # Its parts

    def new_primary(self, me: int, disk: MemoryDisk, *, genesis: bool) -> Core:
        settings = self.settings
        config = settings.primary
        signer: Signer = self.identities[me] if settings.signatures else Seal(self.roster.publics[me])
        verifier = Verifier() if settings.signatures else SealVerifier()
        core: Core
        if settings.uncertified is not None:
            core = UncertifiedCore(
                me, self.roster, signer, verifier, settings.uncertified, disk, self.clock.now_s, genesis=genesis
            )
            return self.make[me](core) if me in self.make else core
        coin: Coin | None = None
        if config.rules.needs_coin:
            committee, seed = self.roster.committee, settings.seed
            coin = (
                ThresholdCoin(committee, seed, me) if settings.threshold_coin else Seeded(SeededCoin(committee, seed))
            )
        core = PrimaryCore(
            me, self.roster, signer, verifier, config, coin, disk, self.clock.now_s, genesis=genesis,
            keys_of=write_keys if settings.ledger else settings.write_keys,
        )  # fmt: skip
        return self.make[me](core) if me in self.make else core

    def new_worker(self, me: int, worker: int, disk: MemoryDisk) -> WorkerCore:
        committee, config = self.roster.committee, self.settings.worker
        if self.settings.ledger:
            return WorkerCore(me, worker, committee, config, disk, home_shard)
        return WorkerCore(me, worker, committee, config, disk)

    def _deliver(self, receiver: Address, sender: int, message: Message) -> bool:
        return self.validators[receiver[0]].receive(receiver[1], sender, message)

    # What happens

    def start(self, *but: int) -> Simulation:
        """Start all validators but these."""
        for validator in self.validators:
            if validator.me not in but:
                validator.start()
        return self

    def run(self, duration_s: float) -> Simulation:
        self.clock.run(self.clock.now_s + duration_s)
        return self

    def crash(self, number: int, *, wipe: bool = False) -> None:
        self.validators[number].crash(wipe=wipe)
        self.network.down(number)

    def restart(self, number: int) -> None:
        """Start a validator that had lived before, with what is on its disks."""
        self.validators[number].start(genesis=False)
        self.network.up(number)

    def load(self, rate_hz: float, size: int = 64, until_s: float = float("inf")) -> None:
        """Clients: transactions at random times at random validators, `rate_hz` in all."""

        def submit() -> None:
            if self.clock.now_s > until_s:
                return
            validator = self.validators[self.random.randrange(self.settings.n)]
            worker = self.random.randrange(self.settings.workers)
            validator.submit(worker, self.random.randbytes(max(size, TRANSACTION_ID_BYTES)))
            self.clock.at(self.clock.now_s + self.random.expovariate(rate_hz), submit)

        self.clock.at(self.clock.now_s, submit)

    # What came of it

    def log(self, number: int) -> bytes:
        """The commits of a validator as text, as its disk has had them."""
        return commit_log(self.validators[number].archive.commits())

    def blocks(self) -> list[Block]:
        """The DAG that all validators together have had on their disks, in the order (round, author)."""
        found: dict[Slot, Block] = {}
        authors: dict[bytes, int] = {}
        certificates = {
            certificate.digest: certificate
            for validator in self.validators
            for certificate in validator.archive.certificates()
        }
        for digest, certificate in certificates.items():
            authors[digest] = certificate.author
        for digest, certificate in certificates.items():
            parents = sum(1 << authors[parent] for parent in certificate.header.parents)
            block = Block(certificate.round, certificate.author, parents, digest, certificate.header.mode)
            if found.setdefault(block.slot, block) != block:
                raise AssertionError(f"two certificates for {block.slot}")
        return [found[slot] for slot in sorted(found)]
