"""Doors and a program's `Finality` over real sockets on one machine, with ledgers that are told what was committed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop
from dagbft_net import context, running, until
from dagbft_script import Script, alpha

from emulator.sdk.durable import Durable
from emulator.sdk.node import NodeContext
from emulator.sdk.store import Store
from nodes.dagbft.byzantine.desk import FalseDesk
from nodes.dagbft.client.finality import Finality
from nodes.dagbft.client.proof import check_proof
from nodes.dagbft.execution.transactions import Code, key_of
from nodes.dagbft.identity import Identity, Roster, run_of
from nodes.dagbft.kinds import Cause
from nodes.dagbft.primary.desk import Desk
from nodes.dagbft.primary.door import Door

NAMES = [f"v{number}" for number in range(4)]
KEY = key_of(1, 7)


class Committee:
    """Four ledgers behind doors; the validator `liar` lies at its own."""

    def __init__(self, folder: Path, liar: int = -1) -> None:
        self.scripts = [Script() for _ in NAMES]
        self.doors: list[Door] = []
        self.here: NodeContext = context("v0", NAMES, folder)
        roster = Roster.of(self.here.seed, NAMES, run=run_of(folder))
        for me, name in enumerate(NAMES):
            desk = (FalseDesk if me == liar else Desk)(me, roster, Identity.of(self.here.seed, name))
            desk.follow(self.scripts[me].ledger)
            store = Store(folder / f"{name}.store", ("nothing",))
            self.doors.append(Door(context(name, NAMES, folder), desk, Durable(store), port=0))

    def early(self, *transactions) -> list:
        """The next block is early-final everywhere."""
        blocks = [script.block(2, 1, *transactions) for script in self.scripts]
        for script, block, door in zip(self.scripts, blocks, self.doors, strict=True):
            script.early(block, 0)
            door.tell()
        return blocks

    def commit(self, blocks) -> None:
        for script, block, door in zip(self.scripts, blocks, self.doors, strict=True):
            script.commit(block)
            door.tell()


@pytest.mark.parametrize("liar", [-1, 2], ids=["honest", "a liar"])
def test_a_program_has_proofs_and_reads(tmp_path: Path, liar: int) -> None:
    async def play() -> None:
        committee = Committee(tmp_path, liar)
        ports = [await door.open() for door in committee.doors]
        finality = Finality(committee.here, NAMES, 0, ports=ports)
        transaction = alpha(1, (int(Code.ADD), KEY, 0, 41))
        async with running(finality, *committee.doors), asyncio.timeout(20):
            waiting = asyncio.ensure_future(finality.proof(transaction.id, Cause.EARLY))
            final = asyncio.ensure_future(finality.proof(transaction.id))
            blocks = committee.early(transaction)
            early = await waiting
            assert (early.kind, early.commits, check_proof(early, finality.roster)) == (Cause.EARLY, 0, "")
            assert (await finality.read([KEY], Cause.EARLY)).values == {KEY: 41}
            assert (await finality.read([KEY])).values == {KEY: 0}, "not committed yet"
            assert not final.done()
            committee.commit(blocks)
            proof = await final
            assert (proof.kind, proof.commits, check_proof(proof, finality.roster)) == (Cause.COMMITTED, 1, "")
            assert proof.result == early.result
            assert await finality.proof(transaction.id) == proof, "it is still there"
            read = await finality.read([KEY], need=3)
            assert (read.at, read.values) == (1, {KEY: 41})
            assert liar not in {*early.voters, *proof.voters, *read.voters}
            assert finality.counts()["proofs contradicted"] == 0
            assert not any(name.startswith("refused") for name in finality.counts())

    uvloop.run(play())


def test_a_read_that_cannot_be_answered_says_why(tmp_path: Path) -> None:
    async def play() -> None:
        committee = Committee(tmp_path)
        ports = [await door.open() for door in committee.doors]
        finality = Finality(committee.here, NAMES, 0, results=False, ports=ports)
        async with running(finality, *committee.doors), asyncio.timeout(20):
            finality.reads.saw(5)
            read = await finality.read([KEY])
            assert (read.why, read.values) == ("behind", {})
            read = await finality.read([key_of(4, 1)])
            assert read.why == "wrong"
            assert [door.tally()["door"]["rejected"] for door in committee.doors] == [{"read": 1}] * 4

    uvloop.run(play())


def test_what_a_door_says_waits_for_the_disk(tmp_path: Path) -> None:
    async def play() -> None:
        committee = Committee(tmp_path)
        kept: list[object] = []

        class Busy(Durable):
            """A disk that never says that it has kept something."""

            def add(self, records: object, then: object) -> None:
                kept.append(then)

        disk = Busy(Store(tmp_path / "busy.store", ("nothing",)))
        committee.doors[0] = Door(context("v0", NAMES, tmp_path), committee.doors[0].desk, disk, port=0)
        ports = [await each.open() for each in committee.doors]
        finality = Finality(committee.here, NAMES, 0, ports=ports)
        async with running(finality, *committee.doors), asyncio.timeout(20):
            read = await finality.read([KEY], need=3)
            await until(lambda: bool(kept))
            assert 0 not in read.voters

    uvloop.run(play())
