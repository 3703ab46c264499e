"""Figures of etcd runs, from records made by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from scenarios.etcd.analysis import quorum_ms, summarise

WAN = {"wan": {"map": "five-regions", "hosts": 5}}


def run(events: list[tuple[float, str, str, dict[str, Any]]], puts: list[tuple[str, float]] = ()) -> Any:  # type: ignore[assignment]
    rows = [(t_s, node, kind, json.dumps(data)) for t_s, node, kind, data in events]
    return SimpleNamespace(
        document=WAN,
        events=pl.DataFrame(rows, schema={"t_s": pl.Float64, "node": pl.String, "kind": pl.String, "data": pl.String},
                            orient="row"),
        samples=pl.DataFrame([(node, "put_s", value) for node, value in puts],
                             schema={"node": pl.String, "name": pl.String, "value": pl.Float64}, orient="row"),
    )  # fmt: skip


def test_a_put_costs_the_way_to_the_second_nearest_and_back() -> None:
    assert quorum_ms([0.0, 105.05, 198.03, 59.91, 152.42]) == 105.05
    summary = summarise(run([], [("v0", 0.110), ("v0", 0.120), ("v0", 0.130)]))
    assert summary["puts"] == {"v0": {"put_ms": 120.0, "quorum_ms": 105.05, "puts": 3}}
    assert summary["put_excess_ms"] == pytest.approx(120 - 1.1 * 105.05, abs=1e-3)
    assert summary["put_early_ms"] == pytest.approx(105.05 - 120, abs=1e-3)


def test_the_election_ends_with_a_leader_of_a_later_term() -> None:
    events = [
        (1.0, "v1", "leader", {"term": 2, "leads": True}),
        (10.0, "v1", "killed", {"term": 2}),
        (13.0, "v2", "leader", {"term": 2, "leads": False}),
        (14.5, "v3", "leader", {"term": 4, "leads": True}),
    ]
    assert summarise(run(events))["election_s"] == 4.5
    assert "election_s" not in summarise(run(events[:3]))


def test_an_acknowledged_write_that_the_audit_does_not_find_is_lost() -> None:
    events = [
        (1.0, "v1", "acknowledged", {"key": "key/a", "term": 2}),
        (2.0, "v1", "acknowledged", {"key": "key/b", "term": 2}),
        (9.0, "v1", "acknowledged", {"key": "key/late", "term": 2}),
        (9.1, "v0", "audit", {"began_s": 8.0, "keys": ["key/a"]}),
        (9.1, "v0", "audit", {"began_s": 8.0, "keys": ["key/never acknowledged"]}),
    ]
    summary = summarise(run(events))
    assert (summary["acknowledged_writes"], summary["audited_writes"], summary["lost_writes"]) == (3, 2, 1)
    assert "lost_writes" not in summarise(run(events[:3]))


def test_reads_count_where_they_began_and_were_answered_during_the_partition() -> None:
    groups = [["v1", "v4"], ["v0", "v2", "v3"]]
    events = [
        (10.0, "", "action", {"do": "partition", "groups": groups}),
        (10.1, "v1", "read", {"began_s": 9.9, "ok": True}),
        (12.0, "v1", "read", {"began_s": 11.0, "ok": True}),
        (13.0, "v4", "read", {"began_s": 11.0, "ok": False}),
        (13.0, "v2", "read", {"began_s": 12.5, "ok": True}),
        (20.0, "", "action", {"do": "heal", "groups": groups}),
        (20.5, "v4", "read", {"began_s": 19.0, "ok": True}),
    ]
    summary = summarise(run(events))
    assert (summary["minority_tries"], summary["minority_reads"], summary["majority_reads"]) == (2, 1, 1)
