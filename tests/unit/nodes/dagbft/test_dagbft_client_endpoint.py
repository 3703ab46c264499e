"""Client endpoints and a program's `Finality` over real sockets of one machine; ledgers play a script of commits."""

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
from nodes.dagbft.byzantine.client_service import FalseClientService
from nodes.dagbft.client.finality import Finality
from nodes.dagbft.client.proof import check_proof
from nodes.dagbft.execution.transactions import Code, key_of
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Identity, Roster, run_of
from nodes.dagbft.primary.client_endpoint import ClientEndpoint
from nodes.dagbft.primary.client_service import ClientService

NAMES = [f"v{number}" for number in range(4)]
KEY = key_of(1, 7)


class Committee:
    """Four ledgers, each behind an endpoint; the validator `liar` answers falsely."""

    def __init__(self, folder: Path, liar: int = -1) -> None:
        self.scripts = [Script() for _ in NAMES]
        self.endpoints: list[ClientEndpoint] = []
        self.here: NodeContext = context("v0", NAMES, folder)
        roster = Roster.of(self.here.seed, NAMES, run=run_of(folder))
        for me, name in enumerate(NAMES):
            kind = FalseClientService if me == liar else ClientService
            service = kind(me, roster, Identity.of(self.here.seed, name))
            service.follow(self.scripts[me].ledger)
            store = Store(folder / f"{name}.store", ("nothing",))
            self.endpoints.append(ClientEndpoint(context(name, NAMES, folder), service, Durable(store), port=0))

    def early(self, *transactions) -> list:
        """The next block is early-final everywhere."""
        blocks = [script.block(2, 1, *transactions) for script in self.scripts]
        for script, block, endpoint in zip(self.scripts, blocks, self.endpoints, strict=True):
            script.early(block, 0)
            endpoint.send_pending()
        return blocks

    def commit(self, blocks) -> None:
        for script, block, endpoint in zip(self.scripts, blocks, self.endpoints, strict=True):
            script.commit(block)
            endpoint.send_pending()


@pytest.mark.parametrize("liar", [-1, 2], ids=["honest", "a liar"])
def test_a_program_has_proofs_and_reads(tmp_path: Path, liar: int) -> None:
    async def play() -> None:
        committee = Committee(tmp_path, liar)
        ports = [await endpoint.open() for endpoint in committee.endpoints]
        finality = Finality(committee.here, NAMES, 0, ports=ports)
        transaction = alpha(1, (int(Code.ADD), KEY, 0, 41))
        async with running(finality, *committee.endpoints), asyncio.timeout(20):
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
        ports = [await endpoint.open() for endpoint in committee.endpoints]
        finality = Finality(committee.here, NAMES, 0, results=False, ports=ports)
        async with running(finality, *committee.endpoints), asyncio.timeout(20):
            finality.reads.saw(5)
            read = await finality.read([KEY])
            assert (read.why, read.values) == ("behind", {})
            read = await finality.read([key_of(4, 1)])
            assert read.why == "wrong"
            assert [endpoint.tally()["door"]["rejected"] for endpoint in committee.endpoints] == [{"read": 1}] * 4

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
        committee.endpoints[0] = ClientEndpoint(
            context("v0", NAMES, tmp_path), committee.endpoints[0].service, disk, port=0
        )
        ports = [await each.open() for each in committee.endpoints]
        finality = Finality(committee.here, NAMES, 0, ports=ports)
        async with running(finality, *committee.endpoints), asyncio.timeout(20):
            read = await finality.read([KEY], need=3)
            await until(lambda: bool(kept))
            assert 0 not in read.voters

    uvloop.run(play())
