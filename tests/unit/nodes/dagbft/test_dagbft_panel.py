"""The panel of DAG-BFT validators: a small DAG by hand, and a committee in simulation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from emulator.sdk.protocol import PanelContext
from nodes.dagbft.execution.ledger import Counts
from nodes.dagbft.panel import DagBftPanel
from nodes.dagbft.primary.reporting import EarlyResultSampler

NAMES = ["v0", "v1", "v2", "v3"]


def panel() -> DagBftPanel:
    return DagBftPanel(PanelContext(tuple(NAMES), {"primary": {"validators": NAMES}, "client": {}}, {}, (), 60.0))


def widget(of: DagBftPanel, kind: str, t_s: float = 10.0) -> Any:
    return next(widget for widget in of.widgets(t_s) if widget["kind"] == kind)


def facts(of: DagBftPanel, t_s: float = 10.0) -> dict[str, str]:
    return {row[0]: row[1] for row in widget(of, "facts", t_s)["rows"]}


def test_what_becomes_of_blocks() -> None:
    of = panel()
    for round in range(1, 6):
        for number, name in enumerate(NAMES[:3]):  # v3 is silent
            of.event(round * 1.0, name, "header", {"round": round, "parents": [0, 1] if round > 1 else []})
            of.event(round * 1.0, name, "advance", {"round": round})
            if round == 2:
                of.event(2.5, name, "early", {"round": 1, "author": number})
                of.event(2.5, name, "early", {"round": 2, "author": 0})
    fields = {"index": 0, "leader": [1, 1], "mode": "steady", "blocks": [[1, 0], [1, 2], [1, 1]], "transactions": 30}
    for name in NAMES[:3]:
        of.event(6.0, name, "commit", fields)
    rows = dict(widget(of, "grid")["rows"])
    assert rows == {"v0": "Ee++o", "v1": "L+++o", "v2": "Eoooo", "v3": "---  "}
    assert facts(of)["round"] == "5, 0.44 rounds a second"  # from 1 s on, in which round 1 began, to 10 s
    assert facts(of)["commits"] == "1 steady"
    assert facts(of)["transactions committed"] == "30"
    assert facts(of)["early before commit"] == "100.0% of 3 blocks"
    assert facts(of)["early results wrong"] == "none compared yet"


def test_latencies_are_those_of_blocks_at_their_authors() -> None:
    of = panel()
    for round in range(1, 11):
        for number, name in enumerate(NAMES):
            of.event(round * 1.0, name, "header", {"round": round, "parents": []})
            if number < 2:
                of.event(round + 0.6, name, "early", {"round": round, "author": number})
            for other in NAMES:
                told = {"index": 4 * round + number, "leader": [round, number], "mode": "steady"}
                of.event(round + 1.5, other, "commit", {**told, "blocks": [[round, number]], "transactions": 5})
    chart = widget(of, "chart")
    values = {series["name"]: [value for value in series["values"] if value] for series in chart["series"]}
    assert values["committed"] == pytest.approx([1500.0] * 10, rel=0.003)
    assert set(facts(of)["early before commit"].split()) == {"50.0%", "of", "40", "blocks"}
    assert facts(of)["transactions committed"] == "200"
    assert facts(of)["block to commit"] == "1,498 ms p50, 1,498 ms p95"  # 1.5 s, to a quarter of a percent
    throughput = next(
        found for found in of.widgets(12.0) if found["kind"] == "chart" and found["title"] == "Throughput"
    )
    assert throughput["kind"] == "chart"
    assert throughput["series"][0]["values"] == [0.0, 0.0] + [20.0] * 10


def test_a_transaction_counts_once_even_where_the_first_validator_knew_no_number() -> None:
    of = panel()
    told = {"index": 0, "leader": [1, 0], "mode": "fallback", "blocks": []}
    of.event(1.0, "v0", "commit", told)
    for name in NAMES[1:]:
        of.event(1.0, name, "commit", {**told, "transactions": 7})
    assert facts(of)["transactions committed"] == "7"
    assert facts(of)["commits"] == "1 fallback"


def test_checks_of_early_results() -> None:
    of = panel()
    for name in NAMES:
        of.sample(1.0, name, "early_ok", 50.0, "")
        of.sample(1.0, name, "early_wrong", 0.0, "")
    assert facts(of)["early results wrong"] == "0 of 200 compared"
    of.event(2.0, "v2", "breach", {"text": "…"})
    of.event(2.0, "v2", "tally", {"early_ok": 60, "early_wrong": 1})
    assert facts(of)["early results wrong"] == "1 of 211 compared"
    assert "BREACH" in facts(of)


def test_phases_and_what_waits() -> None:
    of = panel()
    assert not {"block to certificate", "wait at one validator, at most"} & set(facts(of))
    for name, parked in (("v0", 2.0), ("v1", 5.0)):
        of.sample(1.0, name, "certificate_s", 0.25, "")
        of.sample(1.0, name, "parked_headers", parked, "")
        of.sample(1.0, name, "unplayed_events", 0.0, "")
    assert facts(of)["block to certificate"] == "250 ms p50, 250 ms p95"
    assert facts(of)["wait at one validator, at most"] == "5 headers, 0 events"


def test_the_table_shows_who_is_silent() -> None:
    of = panel()
    for t_s in (1.0, 2.0, 3.0):
        for name in NAMES[: 4 if t_s < 2 else 3]:
            of.event(t_s, name, "header", {"round": int(t_s), "parents": []})
    rows = widget(of, "listing")["rows"]
    assert [row[:3] for row in rows] == [["v0", "3", "3"], ["v1", "3", "3"], ["v2", "3", "3"], ["v3", "1", "1"]]
    assert [row[-1] for row in rows] == ["7.0", "7.0", "7.0", "9.0"]


def test_a_round_that_no_round_leads_to_does_not_move_the_picture() -> None:
    of = panel()
    of.event(1.0, "v0", "header", {"round": 3, "parents": []})
    of.event(1.0, "v1", "header", {"round": 10**9, "parents": []})
    assert facts(of)["round"].startswith("3,")


def test_checks_are_told_once_a_second() -> None:
    times_s = [0.5, 0.9, 1.4, 1.6]
    told: list[tuple[str, float]] = []
    context: Any = SimpleNamespace(
        now=lambda: times_s.pop(0), sample=lambda name, value: told.append((f"{name}, {len(times_s)} to come", value))
    )
    ledger: Any = SimpleNamespace(counts=Counts(early_ok=5, early_wrong=1))
    checks = EarlyResultSampler()
    while times_s:
        checks.sample(context, ledger)
    assert told == [
        ("early_ok, 3 to come", 5.0), ("early_wrong, 3 to come", 1.0),
        ("early_ok, 0 to come", 5.0), ("early_wrong, 0 to come", 1.0),
    ]  # fmt: skip
