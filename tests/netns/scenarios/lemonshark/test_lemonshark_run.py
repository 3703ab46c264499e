"""`skyloom run lemonshark` over real sockets: validators commit the same, and early results come true."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from lemonshark_run import NEAR, run
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]


def test_what_clients_send_is_committed_and_answered_early(tmp_path: Path) -> None:
    mixed = ("load.cross_shard=20 %", "load.gamma=10 %", "load.conflict=20 %", "load.chains=1")
    verdict = run(tmp_path, "6 s", *NEAR, *mixed, "load.rate=100")
    summary = verdict["summary"]
    assert summary["clients"]["sent"] > 100
    assert summary["clients"]["committed"] > 0.9 * summary["clients"]["sent"]
    assert summary["early_ok"] > 0
    assert (summary["early_wrong"], summary["places_wrong"], summary["logs_agree"]) == (0, 0, True)
    assert summary["early_ms"] < summary["commit_ms"]
    assert summary["early_ms"] > verdict["prediction"]["early_ms"] * 0.9, "no sooner than links allow"
    assert summary["round_ms"] > summary["round_floor_ms"]
    assert summary["clients"]["chains"] > 0
    written = skyloom("report", "lemonshark", "--runs", tmp_path)
    assert written.returncode == 0, written.stderr
    report = Path(written.stdout.strip()).read_text()
    for title in ("Early finality against commit", "The DAG", "Throughput over time"):
        assert title in report


def test_bullshark_answers_at_the_commit(tmp_path: Path) -> None:
    summary = run(tmp_path, "5 s", *NEAR, "consensus.protocol=bullshark", "consensus.rule=psync")["summary"]
    assert (summary["early_over_commit"], summary["early_share"]) == (1.0, 0.0)
    assert summary["commits_by_kind"]["fallback"] == 0


def test_satellites_are_validators(tmp_path: Path) -> None:
    summary = run(tmp_path, "8 s", "validators=4", "topology=leo", "leo.satellites=2", "load.drain=4 s")["summary"]
    assert summary["logs_agree"]
    assert summary["clients"]["committed"] > 0


def test_colocated_validators_do_the_same(tmp_path: Path) -> None:
    """One process a validator: events, samples, tallies and early results are there as with three."""
    mixed = ("load.cross_shard=20 %", "load.gamma=10 %", "load.chains=1")
    summary = run(tmp_path, "6 s", *NEAR, *mixed, "load.rate=100", "colocated=true")["summary"]
    assert summary["clients"]["committed"] > 0.9 * summary["clients"]["sent"] > 90
    assert summary["early_ok"] > 0
    assert (summary["early_wrong"], summary["places_wrong"], summary["logs_agree"]) == (0, 0, True)
    assert summary["certificate_ms"]["mean"] < summary["early_ms"] < summary["commit_ms"]
    assert summary["bytes_per_tx"] > 0
    assert set(summary["waiting"]) >= {"parked_headers", "unsent_bytes"}


@pytest.mark.parametrize("rule", ["shoal", "nodes.dagbft.consensus.shoal:Shoal"])
def test_a_rule_is_played_by_name_or_by_class(tmp_path: Path, rule: str) -> None:
    summary = run(tmp_path, "5 s", *NEAR, f"consensus.rule={rule}")["summary"]
    assert (summary["early_wrong"], summary["places_wrong"], summary["logs_agree"]) == (0, 0, True)
    assert summary["early_ok"] > 0
    assert summary["clients"]["committed"] > 0.9 * summary["clients"]["sent"]


def test_validators_without_certificates_commit_in_three_delays(tmp_path: Path) -> None:
    summary = run(tmp_path, "6 s", *NEAR, "consensus.protocol=uncertified", "load.rate=100")["summary"]
    assert (summary["early_wrong"], summary["logs_agree"]) == (0, True)
    assert summary["clients"]["committed"] > 0.9 * summary["clients"]["sent"]
    assert summary["leader_commit_ms"]["p50"] > 30, "three trips of 10 ms"
    assert any("Consensus latency" in line for line in summary["narwhal"])
