"""Committees of whole validators without certificates, under the same steps as those with (`committees`).

A liar signs up to three blocks a round, with parents as it likes, and shows each to whom it likes. What is compared is
the order with the digests of its blocks, results and ledgers, and what each validator signs in all its lives.

Invariant: as there, liars and those that lose their disk are f together; nothing of the decision rule is known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

from nodes.dagbft.byzantine import ByzantineCore
from nodes.dagbft.consensus.committee import Hashed, Turns
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.messages import BlockReply, Header
from nodes.dagbft.primary.effects import ALL
from nodes.dagbft.primary.proposer import replace_signature
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.simulate.seals import Seal
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.uncertified.core import UncertifiedCore

from .committees import Committee
from .plans import Plan
from .verdict import Fault

LIES = ("twins", "twins", "shun", "stale", "silent", "mute")


class Hostile(ByzantineCore):
    """An author that signs what it likes. `lie` is one of LIES, or of the faults of `spite`."""

    def __init__(self, core: UncertifiedCore, lie: str, random: Random) -> None:
        super().__init__(core)  # type: ignore[arg-type]
        self._lie = lie
        self._random = random

    def say(self, receiver: int, message: Any) -> Iterable[tuple[int, Any]]:
        random = self._random
        if isinstance(message, BlockReply) and self._lie == "mute":
            return ()
        if not isinstance(message, Header) or receiver != ALL:
            return ((receiver, message),)
        others = list(self.others())
        match self._lie:
            case "twins":
                blocks = [message, *(self._twin(message) for _ in range(random.randint(1, 2)))]
                return [
                    (other, block) for other in others for block in random.sample(blocks, random.choice((1, 1, 1, 2)))
                ]
            case "shun":  # only just enough see it in time
                return [(other, message) for other in random.sample(others, random.randint(1, len(others)))]
            case "stale":  # parents that it would not have chosen
                twin = self._twin(message)
                return [(other, twin) for other in others]
            case "silent" if random.random() < 0.5:
                return ()
        return ((receiver, message),)

    def _twin(self, block: Header) -> Header:
        """Another block of the slot: other parents, of each author any of those that are held, or another payload."""
        random, dag = self._random, self.core.consensus.dag
        quorum = dag.committee.quorum
        held = [author for author in range(dag.committee.n) if dag.at(block.round - 1, author)]
        parents = block.parents
        if block.round > 1:
            chosen = random.sample(held, random.randint(min(quorum, len(held)), len(held)))
            parents = tuple(sorted(random.choice(dag.at(block.round - 1, author)).digest for author in chosen))
        payload = () if random.random() < 0.5 else block.payload
        unsigned = replace(block, parents=parents, payload=payload)
        self.lies += 1
        return replace_signature(unsigned, Seal(self.core.roster.publics[self.core.me]).sign(unsigned.id))


class Uncertified(Committee):
    """A plan being carried out."""

    calm_rounds = 400  # some seconds: who lost its disk fetches all blocks first
    innocent = ("stale", "parked", "equivocator")  # who answers a request sends what a liar has signed, too

    def _simulation(self) -> Simulation:
        plan, random = self.plan, self.random
        turns = random.choice((Hashed(plan.n, plan.seed), Turns(range(plan.n))))
        config = UncertifiedConfig(
            turns, random.choice((1, 2, 2, 3)), plan.rules.look_back, plan.rules.keep, least_round_s=0.01,
            leader_timeout_s=random.choice((0.05, 0.2)), inline_bytes=random.choice((0, 2_000)), retry_s=0.3,
            window=random.choice((6, 20)),
        )  # fmt: skip
        settings = Settings(plan.n, plan.seed, delay=uniform(0.02), uncertified=config, ledger=True,
                            turn_s=random.choice((0.0, 0.005)))  # fmt: skip
        make = {me: lambda core, lie=lie: Hostile(core, lie, random) for me, lie in plan.liars.items()}
        return Simulation(settings, make)

    def round_of(self, validator: Any) -> int:
        return validator.primary.proposer.full

    def last_of(self, validator: Any) -> int:
        return validator.primary.consensus.last

    def floor_of(self, validator: Any) -> int:
        return validator.primary.consensus.dag.floor

    def _see(self, sender: int, receiver: int, message: Any, now_s: float) -> float:
        if sender in self.honest and isinstance(message, Header) and message.author == sender:
            self._says(sender, ("header", message.round), message.id)
            if self._on_disk(sender, "digest", message.id) is None:
                raise Fault("vote", f"the block of {sender} in round {message.round} is not on its disk")
        return self.random.uniform(0, 3.0) if self._late_replies and isinstance(message, BlockReply) else 0.0

    def look(self) -> None:
        super().look()
        known: dict[tuple[int, int], bytes] = {}
        for me in self.honest:
            archive = self.run.validators[me].primary.archive
            for slot, digest in archive.ordered().items():
                if known.setdefault(slot, digest) != digest:
                    raise Fault("fork", f"validator {me} orders another block of {slot} than others")

    def _end(self) -> None:
        """Every honest one comes back to the log that it had, and goes on from there."""
        run = self.run
        logs = {me: list(run.validators[me].primary.archive.commits()) for me in self.honest}
        longest: list[Commit] = max(logs.values(), key=len)
        for commit in longest:
            self.verdict.commit(-1, commit)
        self.verdict.end(0)
        for me in self.honest:
            validator = run.validators[me]
            if validator.alive:
                run.crash(me)
            run.restart(me)
            self.counts["replays"] += 1
            if list(validator.primary.archive.commits())[: len(logs[me])] != logs[me]:
                raise Fault("replay", f"validator {me} comes back with another log")
        run.run(2)
        self.look()


def draw(seed: int) -> Plan:
    """The plan of this number."""
    plan, random = Plan.draw(seed), Random(f"uncertified/{seed}")
    return replace(plan, liars={me: random.choice(LIES) for me in plan.liars})


def play(seed: int) -> Counter[str]:
    """Carry out the plan of this number; what there was to see. Raises Fault, or whatever the product raises."""
    return Uncertified(draw(seed)).carry_out()
