"""Validators of `skyloom run lemonshark` that crash or lie, over real sockets: they are borne, and come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from lemonshark_run import CRASH, NEAR, run

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), needs_sandbox]


@pytest.mark.parametrize("colocated", ["false", "true"])
def test_a_crashed_validator_is_borne_and_comes_back(tmp_path: Path, colocated: str) -> None:
    summary = run(tmp_path, "7 s", *NEAR, *CRASH, f"colocated={colocated}")["summary"]
    assert summary["logs_agree"]
    assert summary["commit_ms_at"]["last"] > 0, "the one that came back commits again"


def test_without_a_quorum_nothing_is_committed(tmp_path: Path) -> None:
    summary = run(tmp_path, "4 s", *NEAR, "faults.crash=2")["summary"]
    assert summary["commits"] == 0


def test_a_validator_that_equivocates_is_borne(tmp_path: Path) -> None:
    verdict = run(tmp_path, "5 s", *NEAR, "faults.byzantine=1", "faults.behaviour=equivocate")
    summary = verdict["summary"]
    assert (summary["early_wrong"], summary["places_wrong"], summary["logs_agree"]) == (0, 0, True)
    assert summary["commits"] > 0


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
