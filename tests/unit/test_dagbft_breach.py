"""A breach is told, written down, and ends the validator, as any error in driving a core does."""

from __future__ import annotations

import asyncio
import json
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.errors import EmulationError
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.driver import Driver
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.primary.breach import FILE, look_for_breach


def look(places: int, results: int, store: Path, told: list[str]) -> None:
    """With so many wrong places and results; `told` gets the events."""
    context: Any = SimpleNamespace(store=store, emit=lambda kind, text: told.append(f"{kind}: {text}"))
    consensus = Consensus(Committee(4))
    for author in range(4):
        consensus.add(Block(1, author, 0))
    ledger = Ledger(consensus.committee, 0)
    consensus.check.wrong, ledger.counts.early_wrong = places, results
    look_for_breach(context, consensus, ledger)


def test_nothing_happens_while_all_comes_true(tmp_path: Path) -> None:
    told: list[str] = []
    look(0, 0, tmp_path, told)
    assert told == []
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("places", "results"), [(1, 0), (0, 3)])
def test_a_breach_is_told_and_the_dag_is_kept(tmp_path: Path, places: int, results: int) -> None:
    told: list[str] = []
    with pytest.raises(EmulationError, match=f"{places} early places and {results} early results did not come true"):
        look(places, results, tmp_path, told)
    assert [text.partition(":")[0] for text in told] == ["breach"]
    document = json.loads((tmp_path / FILE).read_text())
    assert (document["n"], document["floor"]) == (4, 0)
    assert document["blocks"] == [[1, author, []] for author in range(4)]


def test_a_store_that_cannot_be_written_is_a_breach_too(tmp_path: Path) -> None:
    with pytest.raises(EmulationError, match="could not be written"):
        look(1, 0, tmp_path / "gone", [])


class Core:
    """Asks to be ticked once."""

    def __init__(self) -> None:
        self.due_s, self.ticks = inf, 0

    def tick(self, now_s: float) -> None:
        self.ticks += 1
        self.due_s = inf

    def next_deadline_s(self) -> float:
        return self.due_s


def test_what_a_core_wants_is_carried_out_once_a_turn_and_after_its_tick() -> None:
    async def body() -> None:
        core, carried, done = Core(), [], asyncio.Event()

        def carry_out() -> None:
            carried.append(core.ticks)
            if core.ticks:
                done.set()

        driver = Driver(core, lambda: 0.0, carry_out)
        core.due_s = 0.0
        driver.changed()
        driver.changed()
        async with asyncio.timeout(5):
            await done.wait()
        assert carried == [0, 1]
        driver.close()

    asyncio.run(body())


def test_an_error_fails_the_driver_and_nothing_is_carried_out_after_it() -> None:
    async def body() -> None:
        calls = []

        def carry_out() -> None:
            calls.append(1)
            raise EmulationError("broken")

        driver = Driver(Core(), lambda: 0.0, carry_out)
        driver.changed()
        with pytest.raises(EmulationError, match="broken"):
            await driver.failed
        driver.changed()
        await asyncio.sleep(0)
        assert calls == [1]

    asyncio.run(body())
