"""Figures of made-up runs of four validators, with values worked out by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import polars
import pytest

from emulator.report import drawing
from scenarios.lemonshark import analysis, drawings
from scenarios.lemonshark.observed import Entry, committee_of, observe

NAMES = ["gs-b", "gs-a", "sat-1", "gs-c"]  # not sorted: the order is that of the configuration


@dataclass
class FakeRun:
    """As much of a run folder as an analysis reads."""

    rows: list[tuple[float, str, str, str, str]] = field(default_factory=list)
    document: dict[str, Any] = field(
        default_factory=lambda: {
            "program": [
                {"name": "primary", "run": "nodes.dagbft.primary.process:Primary", "nodes": ["gs-*", "sat-1"],
                 "config": {"validators": NAMES}},
                {"name": "client", "run": "nodes.dagbft.client.process:Client", "nodes": ["gs-*"], "config": {}},
            ],
            "action": [],
        }
    )  # fmt: skip
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, t_s: float, node: int | str, kind: str, program: str = "primary", **data: Any) -> None:
        name = node if isinstance(node, str) else NAMES[node]
        self.rows.append((t_s, name, program, kind, json.dumps(data)))

    sampled: list[tuple[str, float]] = field(default_factory=list)

    @property
    def samples(self) -> polars.DataFrame:
        schema = {"t_s": polars.Float64, "name": polars.String, "value": polars.Float64}
        rows = [(float(second), *sample) for second, sample in enumerate(self.sampled)]
        return polars.DataFrame(rows, schema=schema, orient="row")

    @property
    def events(self) -> polars.DataFrame:
        schema = {"t_s": polars.Float64} | dict.fromkeys(("node", "program", "kind", "data"), polars.String)
        return polars.DataFrame(sorted(self.rows), schema=schema, orient="row")


@pytest.fixture
def run() -> FakeRun:
    """Two blocks by 0 and 1 in round 1, one by 0 in round 2; (1, 0) is early at 0, 1 and 3."""
    run = FakeRun()
    run.add(-0.5, "gs-b", "play")
    run.add(1.0, 0, "header", round=1)
    run.add(1.1, 1, "header", round=1)
    run.add(1.5, 0, "header", round=2, parents=[0, 1])
    run.add(2.5, 0, "header", round=4)
    for node, t_s in ((0, 1.4), (1, 1.3), (3, 1.6)):
        run.add(t_s, node, "early", round=1, author=0)
    for node, t_s in enumerate((2.0, 2.1, 2.2, 2.4)):
        run.add(t_s, node, "commit", index=0, leader=[1, 1], mode="steady", blocks=[[1, 0], [1, 1]], transactions=30)
    for node, t_s in ((0, 3.0), (1, 3.5)):
        run.add(t_s, node, "commit", index=1, leader=[2, 0], mode="fallback", blocks=[[2, 0]], transactions=20)
    run.add(4.0, 0, "tally", early_ok=1, early_wrong=0, sent_bytes=1000, signatures=60, cpu_s=0.5)
    run.add(4.0, 1, "tally", early_ok=2, early_wrong=0, sent_bytes=500, signatures=40, cpu_s=0.25)
    run.add(4.0, 1, "tally", "worker", sent_bytes=1000)
    return run


def test_summary(run: FakeRun) -> None:
    summary = analysis.summarise(run)
    # Latencies at the author: (1,0) early 0.4, commit 1.0; (1,1) commit 1.0; (2,0) commit 1.5.
    assert summary["commit_ms"] == pytest.approx(1e3 * (1.0 + 1.0 + 1.5) / 3, abs=0.01)
    assert summary["early_ms"] == pytest.approx(1e3 * (0.4 + 1.0 + 1.5) / 3, abs=0.01)
    assert summary["early_over_commit"] == pytest.approx(2.9 / 3.5, abs=1e-4)
    assert summary["early_share"] == pytest.approx(1 / 3, abs=1e-4)
    # Commits: (1,0) after 1.0, 1.1, 1.2, 1.4; (1,1) after 0.9, 1.0, 1.1, 1.3; (2,0) after 1.5, 2.0 at two of them.
    assert summary["commit_ms_at"] == pytest.approx(
        {
            "earliest": 1e3 * (1.0 + 0.9 + 1.5) / 3,
            "author": 1e3 * 3.5 / 3,
            "f_plus_1": 1e3 * (1.1 + 1.0 + 2.0) / 3,
            "last": 1e3 * (1.4 + 1.3) / 2,
        },
        abs=0.01,
    )
    # Answers of (1,0): 0.4, 0.3, 0.6 early and 1.2 at validator 2, where it never was early.
    assert summary["early_ms_at"] == pytest.approx(
        {
            "earliest": 1e3 * (0.3 + 0.9 + 1.5) / 3,
            "author": 1e3 * 2.9 / 3,
            "f_plus_1": 1e3 * (0.4 + 1.0 + 2.0) / 3,
            "last": 1e3 * (1.2 + 1.3) / 2,
        },
        abs=0.01,
    )
    assert (summary["early_ok"], summary["early_wrong"]) == (3, 0)
    assert "early_unmatched" not in summary
    assert summary["logs_agree"] is True
    assert (summary["commits"], summary["blocks"]) == (2, 3)
    assert summary["commits_by_kind"] == {"steady": 1, "fallback": 1}
    # Validator 0 executes 30 transactions at 2.0 and 20 in the second that follows.
    assert (summary["transactions"], summary["tx_per_s"]) == (50, 20)
    assert (summary["bytes_per_tx"], summary["signatures_per_tx"], summary["cpu_ms_per_tx"]) == (50, 2, 15)
    # 0.75 s of processor time until the last event at 4.0.
    assert summary["cpu_cores"] == 0.188
    # Validator 0 made rounds 1, 2 and 4 at 1.0, 1.5 and 2.5.
    assert (summary["round_ms"], summary["rounds_per_s"]) == (500, 2)
    assert "round_floor_ms" not in summary


def test_what_clients_saw(run: FakeRun) -> None:
    run.sampled = [("commit_latency_s", 1.0), ("commit_latency_s", 3.0), ("early_latency_s", 0.5), ("rtt_s", 9.0)]
    run.add(4.0, 0, "tally", "client", counts={"sent": 10, "committed": 7}, cpu_s=0.25)
    run.add(4.0, 1, "tally", "client", counts={"sent": 5, "committed": 5, "lost": 1})
    summary = analysis.summarise(run)
    assert summary["tx_commit_ms"] == {"mean": 2000, "p50": 2000, "p95": 2900, "p99": 2980}
    assert summary["tx_early_ms"]["mean"] == 500
    assert "tx_spec_ms" not in summary
    assert summary["clients"] == {"committed": 12, "lost": 1, "sent": 15}


def test_phases_of_blocks_and_what_waited(run: FakeRun) -> None:
    run.sampled = [("certificate_s", 0.2), ("certificate_s", 0.4), ("block_commit_s", 1.5), ("parked_headers", 3.0)]
    run.sampled += [("parked_headers", 0.0), ("unsent_bytes", 1000.0)]
    summary = analysis.summarise(run)
    assert summary["certificate_ms"] == {"mean": 300, "p50": 300, "p95": 390, "p99": 398}
    assert summary["block_commit_ms"]["mean"] == 1500
    assert "block_early_ms" not in summary
    assert summary["waiting"] == {
        "parked_headers": {"mean": 1.5, "max": 3}, "unsent_bytes": {"mean": 1000.0, "max": 1000},
    }  # fmt: skip
    assert "phases" in [each.name for each in analysis.figures(run)]  # type: ignore[arg-type]


def test_leaders_are_timed_at_their_authors(run: FakeRun) -> None:
    # (1,1) after 1.0 at 1; (2,0) after 1.5 at 0.
    assert analysis.summarise(run)["leader_commit_ms"] == {"p50": 1250, "p95": 1475}


def test_the_summary_block_of_narwhal(run: FakeRun) -> None:
    run.parameters = {
        "validators": 4,
        "load": {"start": "1.5 s", "rate": 1500, "size": "100 B"},
        "faults": {"crash": 1},
    }
    run.sampled = [("commit_latency_s", 1.0), ("commit_latency_s", 3.0)]
    lines = analysis.summarise(run)["narwhal"]
    assert lines[1:4] == [" SUMMARY:", "-" * 41, " + CONFIG:"]
    for line in (" Faults: 1 node(s)", " Input rate: 1,500 tx/s", " Transaction size: 100 B", " Execution time: 2 s"):
        assert line in lines
    # From the first header at 1.0 to the last commit at 3.5; from the clients' start at 1.5. 50 transactions.
    assert lines[lines.index(" + RESULTS:") + 1 : -1] == [
        " Consensus TPS: 20 tx/s", " Consensus BPS: 2,000 B/s", " Consensus latency: 1,133 ms", "",
        " End-to-end TPS: 25 tx/s", " End-to-end BPS: 2,500 B/s", " End-to-end latency: 2,000 ms",
    ]  # fmt: skip
    run.rows = [row for row in run.rows if row[3] != "commit"]
    assert "narwhal" not in analysis.summarise(run)


def test_the_floor_of_rounds_is_that_of_the_links(run: FakeRun) -> None:
    run.document["wan"] = {"hosts": 4, "sites": ["us-east-1"], "local": "20 ms"}
    assert analysis.summarise(run)["round_floor_ms"] == 60.0


def test_nothing_observed_passes_nothing() -> None:
    summary = analysis.summarise(FakeRun())
    assert summary["logs_agree"] is False
    assert "early_wrong" not in summary
    assert summary["commits"] == 0
    assert analysis.figures(FakeRun()) == []


def test_logs_that_differ(run: FakeRun) -> None:
    run.add(3.6, 3, "commit", index=1, leader=[2, 1], mode="fallback", blocks=[[2, 0]])
    assert analysis.summarise(run)["logs_agree"] is False


def test_blocks_in_another_order_differ(run: FakeRun) -> None:
    run.add(3.6, 3, "commit", index=1, leader=[2, 0], mode="fallback", blocks=[[2, 0], [2, 1]])
    run.add(3.7, 2, "commit", index=1, leader=[2, 0], mode="fallback", blocks=[[2, 1], [2, 0]])
    assert analysis.summarise(run)["logs_agree"] is False


def test_a_line_that_is_written_twice_must_be_the_same(run: FakeRun) -> None:
    run.add(3.6, 0, "commit", index=1, leader=[2, 0], mode="fallback", blocks=[[2, 0]])
    assert analysis.summarise(run)["logs_agree"] is True
    assert analysis.summarise(run)["commit_ms"] == pytest.approx(1166.67)
    run.add(3.7, 0, "commit", index=1, leader=[2, 0], mode="steady", blocks=[[2, 0]])
    assert analysis.summarise(run)["logs_agree"] is False


def test_a_log_may_begin_later_and_end_earlier(run: FakeRun) -> None:
    run.add(3.6, 3, "commit", index=1, leader=[2, 0], mode="fallback", blocks=[[2, 0]])
    run.add(3.9, 0, "commit", index=2, leader=[3, 0], mode="steady", blocks=[])
    run.rows = [row for row in run.rows if not (row[1] == NAMES[3] and '"index": 0' in row[4])]
    assert analysis.summarise(run)["logs_agree"] is True


def test_who_crashed_for_good_is_not_correct(run: FakeRun) -> None:
    run.document["action"] = [{"at": "1 s", "do": "crash", "nodes": ["gs-c"]}]
    assert committee_of(run.document) == (NAMES, [0, 1, 2], [0, 1, 2])
    assert analysis.summarise(run)["commit_ms_at"]["last"] == pytest.approx(1e3 * (1.2 + 1.1) / 2)
    run.document["action"] = [{"at": "1 s", "do": "crash", "nodes": ["gs-c"], "for": "5 s"}]
    assert committee_of(run.document)[1:] == ([0, 1, 2, 3], [0, 1, 2])
    run.document["action"] = [
        {"at": "1 s", "do": "crash", "nodes": ["gs-c"]}, {"at": "2 s", "do": "restart", "nodes": ["gs-c"]},
    ]  # fmt: skip
    assert committee_of(run.document)[1] == [0, 1, 2, 3]


def test_who_comes_back_counts_no_transactions(run: FakeRun) -> None:
    """It executes its log again, and has the longest log here."""
    run.document["action"] = [{"at": "1 s", "do": "crash", "nodes": ["gs-a"], "for": "1 s"}]
    run.add(3.9, 1, "commit", index=2, leader=[3, 0], mode="steady", blocks=[], transactions=500)
    assert analysis.summarise(run)["transactions"] == 50


def test_who_runs_another_program_is_not_correct(run: FakeRun) -> None:
    run.document["program"][0]["nodes"] = ["gs-*"]
    assert committee_of(run.document)[1] == [0, 1, 3]
    run.add(4.0, 2, "tally", early_wrong=7)
    assert analysis.summarise(run)["early_wrong"] == 0


def test_figures(run: FakeRun) -> None:
    made = analysis.figures(run)
    assert [each.name for each in made] == ["latency", "dag", "throughput"]
    texts = [drawing.svg(each.figure) for each in made]
    assert "early or committed: mean 967 ms" in texts[0]
    assert "committed: mean 1,167 ms" in texts[0]
    for word in ("steady leader", "fallback leader", "gs-b", "sat-1"):
        assert word in texts[1]
    assert "Lines lead from blocks to their parents" in made[1].caption
    assert "transactions a second" in texts[2]


def test_two_runs_side_by_side(run: FakeRun) -> None:
    (made,) = analysis.compare_figures((run, run))  # type: ignore[arg-type]
    text = drawing.svg(made.figure)
    assert "a, early or committed: mean 967 ms" in text
    assert "b, committed: mean 1,167 ms" in text
    assert analysis.compare_figures((run, FakeRun())) == []  # type: ignore[arg-type]


def test_the_window_is_in_the_middle_or_where_it_is_asked_for(run: FakeRun) -> None:
    for round in range(1, 41):
        run.add(5.0 + round, 3, "header", round=round)
    seen = observe(run)
    assert drawings.window_of(seen, 0, 12) == (15, 12)
    assert drawings.window_of(seen, 3, 12) == (3, 12)
    run.parameters["dag"] = {"first": 7, "rounds": 2}
    assert "Rounds 7 to 8" in analysis.figures(run)[1].caption


def test_entries_compare_by_all_that_they_order() -> None:
    assert Entry((1, 1), "steady", ((1, 0),)) != Entry((1, 1), "steady", ((1, 1),))


def test_sweep_figures() -> None:
    rows = [
        {"validators": n, "faults.crash": crash, "commit_ms": 100.0 * n, "early_ms": 40.0 * n, "exit_code": code}
        for n in (4, 10) for crash in (0, 1) for code in (0, 75)
    ]  # fmt: skip
    made = analysis.sweep_figures(polars.DataFrame(rows))
    assert [each.name for each in made] == ["latency-validators", "latency-crash"]
    text = drawing.svg(made[0].figure)
    assert "commit, crash 0" in text
    assert "early, crash 1" in text
    assert analysis.sweep_figures(polars.DataFrame({"validators": [4]})) == []
