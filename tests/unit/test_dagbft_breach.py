"""A breach is told once, written down, and ends the validator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.errors import EmulationError
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.primary.breach import FILE, BreachWatch


def after(places: int, results: int, store: Path) -> tuple[bool, bool, list[str], BaseException | None]:
    """What two looks say, what was told, and how the watch failed, with so many wrong places and results."""

    async def body() -> tuple[bool, bool, list[str], BaseException | None]:
        told: list[str] = []
        context: Any = SimpleNamespace(store=store, emit=lambda kind, text: told.append(f"{kind}: {text}"))
        consensus = Consensus(Committee(4))
        for author in range(4):
            consensus.add(Block(1, author, 0))
        ledger = Ledger(consensus.committee, 0)
        consensus.check.wrong, ledger.counts.early_wrong = places, results
        watch = BreachWatch(context)
        looks = watch.broken(consensus, ledger), watch.broken(consensus, ledger)
        return *looks, told, watch.failed.exception() if watch.failed.done() else None

    return asyncio.run(body())


def test_nothing_happens_while_all_comes_true(tmp_path: Path) -> None:
    assert after(0, 0, tmp_path) == (False, False, [], None)
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("places", "results"), [(1, 0), (0, 3)])
def test_a_breach_is_told_once_and_the_dag_is_kept(tmp_path: Path, places: int, results: int) -> None:
    first, second, told, error = after(places, results, tmp_path)
    assert first
    assert second
    (text,) = told
    assert text.startswith(f"breach: {places} early places and {results} early results did not come true")
    assert isinstance(error, EmulationError)
    document = json.loads((tmp_path / FILE).read_text())
    assert (document["n"], document["floor"]) == (4, 0)
    assert document["blocks"] == [[1, author, []] for author in range(4)]


def test_a_store_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    first, _, told, error = after(1, 0, tmp_path / "gone")
    assert first
    assert "could not be written" in told[0]
    assert isinstance(error, EmulationError)
