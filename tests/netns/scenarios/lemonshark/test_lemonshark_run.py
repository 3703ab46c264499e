"""`skyloom run lemonshark` over real sockets: validators commit the same, early results come true, faults are borne."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]

ANY_MACHINE = "fidelity.lateness_p99=1 s"  # what is asserted here does not depend on how quick the machine is
NEAR = ("validators=4", "topology=lan", "network.local=10 ms", "load.start=1 s", "load.drain=2 s")
CRASH = ("faults.crash=1", "faults.at=1.5 s", "faults.restart_after=1.5 s")


def run(folder: Path, duration: str, *parameters: str, code: int = 0) -> dict[str, Any]:
    """The verdict of a run."""
    sets = [word for parameter in (*parameters, ANY_MACHINE) for word in ("--set", parameter)]
    done = skyloom("run", "lemonshark", "--no-tui", "--json", "--runs", folder, "--duration", duration, *sets)
    assert done.returncode == code, done.stdout + done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


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


def test_a_crashed_validator_is_borne_and_comes_back(tmp_path: Path) -> None:
    summary = run(tmp_path, "7 s", *NEAR, *CRASH)["summary"]
    assert summary["logs_agree"]
    assert summary["commit_ms_at"]["last"] > 0, "the one that came back commits again"


def test_without_a_quorum_nothing_is_committed(tmp_path: Path) -> None:
    summary = run(tmp_path, "4 s", *NEAR, "faults.crash=2")["summary"]
    assert summary["commits"] == 0


def test_satellites_are_validators(tmp_path: Path) -> None:
    summary = run(tmp_path, "8 s", "validators=4", "topology=leo", "leo.satellites=2", "load.drain=4 s")["summary"]
    assert summary["logs_agree"]
    assert summary["clients"]["committed"] > 0


def test_a_validator_that_equivocates_is_borne(tmp_path: Path) -> None:
    verdict = run(tmp_path, "5 s", *NEAR, "faults.byzantine=1", "faults.behaviour=equivocate")
    summary = verdict["summary"]
    assert (summary["early_wrong"], summary["places_wrong"], summary["logs_agree"]) == (0, 0, True)
    assert summary["commits"] > 0


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
    summary = run(tmp_path, "7 s", *NEAR, *CRASH, "colocated=true")["summary"]
    assert summary["logs_agree"]
    assert summary["commit_ms_at"]["last"] > 0, "the one that came back commits again"


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


def test_without_certificates_a_crashed_validator_comes_back(tmp_path: Path) -> None:
    summary = run(tmp_path, "7 s", *NEAR, "consensus.protocol=uncertified", *CRASH)["summary"]
    assert summary["logs_agree"]
    assert summary["commit_ms_at"]["last"] > 0, "the one that came back commits again"


@pytest.mark.parametrize("colocated", ["false", "true"])
def test_clients_have_proofs_that_hold_and_reads(tmp_path: Path, colocated: str) -> None:
    expected = ("clients.proofs=true", "clients.reads=40", "load.rate=60", "load.cross_shard=20 %", "load.gamma=5 %")
    faults = ("faults.byzantine=1", "faults.behaviour=false-results")
    summary = run(tmp_path, "6 s", *NEAR, *expected, *faults, f"colocated={colocated}")["summary"]
    clients = summary["clients"]
    assert clients["proofs final"] > 0.8 * clients["sent"] > 50
    assert clients["proofs early"] > 0.5 * clients["sent"]
    assert clients["proofs disputed"] > 0.8 * clients["proofs final"], "the liar was heard, and stood alone"
    assert clients["reads confirmed"] > 0.8 * clients["reads asked"] > 30
    assert (clients["proofs contradicted"], summary["proofs_contradicted"]) == (0, 0)
    assert summary["proof_early_ms"]["p50"] < summary["proof_final_ms"]["p50"]
    files = [str(path) for path in (tmp_path / "lemonshark" / "latest" / "store").glob("*/*/client.proofs")]
    assert len(files) == 4
    command = [sys.executable, "-m", "nodes.dagbft.client.verify", *files]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sum(int(line.split(": ")[1].split()[0]) for line in told.splitlines()) == clients["proofs final"]
    assert told.count(" 0 refused ") == 4
