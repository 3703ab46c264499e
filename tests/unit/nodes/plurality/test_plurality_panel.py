"""The panel of plurality consensus, fed with rounds that the simulation played."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.sdk.protocol import PanelContext, Widget
from nodes.plurality.core import rule_of
from nodes.plurality.panel import PluralityPanel
from nodes.plurality.simulate import synchronous

COUNTS = [30, 20, 14]


def panel(**config: Any) -> PluralityPanel:
    given = {"counts": COUNTS, "protocol": "dejavu", **config}
    return PluralityPanel(PanelContext(("a0",), {"agents": given}, {}, (), 60.0))


def kinds(widgets: list[Widget]) -> dict[str, Any]:
    return {widget["kind"]: widget for widget in widgets}


def test_rounds_of_a_simulation() -> None:
    outcome = synchronous(rule_of("dejavu", 3), COUNTS, 1)
    of = panel()
    for round, tally in enumerate(outcome.tallies):
        told = {"round": round, "time": float(round), "tally": tally, "samples": 10 * round, "lost": 0}
        of.event(round * 0.1, "a0", "round", told)
    shown = kinds(of.widgets(1.0))
    facts = dict(shown["facts"]["rows"])
    assert facts["round"] == str(outcome.rounds)
    assert facts["consensus"].startswith(f"yes: opinion {outcome.winner}, ")
    assert facts["samples an agent"] == f"{10 * outcome.rounds / 64:.2f}"
    assert shown["bars"]["rows"] == [(f"opinion {outcome.winner}", 1.0, "64")]
    chart = shown["chart"]
    assert chart["x"] == list(range(outcome.rounds + 1))
    for series in chart["series"]:
        opinion = int(series["name"].removeprefix("opinion "))
        shares = [100 * tally[opinion] / 64 for tally in outcome.tallies]
        assert series["values"] == pytest.approx(shares, rel=1e-4)


def test_before_consensus() -> None:
    of = panel()
    of.event(0.1, "a0", "round", {"round": 0, "time": 0.0, "tally": [30, 20, 10, 4]})
    of.event(0.2, "a0", "agents", {"rounds": []})
    shown = kinds(of.widgets(1.0))
    assert dict(shown["facts"]["rows"])["consensus"] == "not yet: 3 opinions"
    assert [(name, words) for name, _, words in shown["bars"]["rows"]] == [
        ("opinion 0", "30"), ("opinion 1", "20"), ("opinion 2", "10"), ("undecided", "4"),
    ]  # fmt: skip


def test_all_undecided_is_no_consensus() -> None:
    of = panel()
    of.event(0.1, "a0", "round", {"round": 1, "time": 1.0, "tally": [0, 0, 0, 64]})
    assert dict(kinds(of.widgets(1.0))["facts"]["rows"])["consensus"] == "not yet: 0 opinions"


def test_others_than_the_largest_share_a_bar() -> None:
    of = panel(counts=[20] * 20)
    of.event(0.1, "a0", "round", {"round": 0, "time": 0.0, "tally": [*range(1, 21), 0]})
    rows = kinds(of.widgets(1.0))["bars"]["rows"]
    assert len(rows) == 9
    assert rows[0] == ("opinion 19", pytest.approx(20 / 210), "20")
    assert rows[-1] == ("12 others", pytest.approx(78 / 210), "78")


def test_the_minority_wins() -> None:
    of = panel()
    of.event(0.1, "a0", "round", {"round": 4, "time": 4.0, "tally": [0, 0, 64, 0]})
    facts = dict(kinds(of.widgets(1.0))["facts"]["rows"])
    assert facts["consensus"] == "yes: opinion 2, not the plurality at first"
