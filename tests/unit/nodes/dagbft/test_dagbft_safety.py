"""A breach of early finality is told and written down, and stops early answers; an error in driving a core ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.messages import Certificate, Header
from nodes.dagbft.primary.blocks import SafetyViolation
from nodes.dagbft.primary.safety import EVIDENCE, FILE, SafetyMonitor, write_evidence
from nodes.dagbft.wire import decode


def look(places: int, results: int, store: Path, told: list[str]) -> Ledger:
    """With so many wrong places and results; `told` gets the events."""
    context: Any = SimpleNamespace(store=store, emit=lambda kind, text: told.append(f"{kind}: {text}"))
    consensus = Consensus(Committee(4))
    for author in range(4):
        consensus.add(Block(1, author, 0))
    ledger = Ledger(consensus.committee, 0)
    watch = SafetyMonitor(context, consensus, ledger)
    consensus.check.wrong, ledger.counts.early_wrong = places, results
    watch.look()
    watch.look()
    return ledger


def test_nothing_happens_while_all_comes_true(tmp_path: Path) -> None:
    told: list[str] = []
    ledger = look(0, 0, tmp_path, told)
    assert told == []
    assert ledger.answers_early
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("places", "results"), [(1, 0), (0, 3)])
def test_a_breach_is_told_once_the_dag_is_kept_and_the_validator_goes_on(
    tmp_path: Path, places: int, results: int
) -> None:
    told: list[str] = []
    ledger = look(places, results, tmp_path, told)
    assert [text.partition(":")[0] for text in told] == ["breach"]
    assert f"{places} early places and {results} early results did not come true" in told[0]
    assert not ledger.answers_early
    document = json.loads((tmp_path / FILE).read_text())
    assert (document["n"], document["floor"]) == (4, 0)
    assert (document["places_wrong"], document["early_wrong"]) == (places, results)
    assert document["blocks"] == [[1, author, []] for author in range(4)]
    assert not look(0, 0, tmp_path, []).answers_early  # nor in the next life


def test_a_store_that_cannot_be_written_is_a_breach_too(tmp_path: Path) -> None:
    told: list[str] = []
    assert not look(1, 0, tmp_path / "gone", told).answers_early
    assert "could not be written" in told[0]


def test_what_shows_more_than_f_to_be_faulty_is_written_before_the_end(tmp_path: Path) -> None:
    told: list[str] = []
    context: Any = SimpleNamespace(store=tmp_path, emit=lambda kind, text: told.append(f"{kind}: {text}"))
    header = Header(0, 1, 1, (), b"", (), 1, bytes(32), b"", 1, bytes(8), bytes(64))
    both = [Certificate(replace(header, payload=payload), ((0, bytes(64)),)) for payload in ((), ((bytes(32), 0),))]
    write_evidence(context, SafetyViolation("two certificates for (1, 1)", *both))
    document = json.loads((tmp_path / EVIDENCE).read_text())
    assert [decode(bytes.fromhex(row["message"])) for row in document["certificates"]] == both
    assert told[0].startswith("breach: two certificates for (1, 1); 2 certificates")
