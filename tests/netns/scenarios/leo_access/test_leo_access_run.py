"""`skyloom run leo_access` in miniature: real sockets over substep tables, seen as the schedule asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.alone, pytest.mark.timeout(120), needs_sandbox]

SMALL = [
    "probing=2 s",
    "flow=1 s",
    "hours=5,19",
    "terminals=1",
    "rain=false",
    "at_once=8",
    "streams=1",
    "fidelity.lateness_p99=1 s",
]


def test_probes_and_flows_cross_the_access_model(tmp_path: Path) -> None:
    options = [word for each in SMALL for word in ("--set", each)]
    ended = skyloom("run", "leo_access", "--no-tui", "--runs", tmp_path, *options)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    (folder,) = tmp_path.glob("leo_access/2*")
    verdict = json.loads((folder / "verdict.json").read_text())
    # probes meet the grants that the schedule has: an error of half a millisecond would miss by one of them often
    assert verdict["probe_error_ms"]["p50"] < 1.0
    pairs = {pair["pair"]: pair for pair in verdict["probes"]}
    assert pairs["gs-p05 → pop-frankfurt"]["sent"] >= 10
    assert pairs["gs-p05 → server"]["sent"] >= 50
    summary = verdict["summary"]
    assert 15 < pairs["gs-p05 → server"]["seen_ms"] < 200
    assert summary["download_mbit_s"]["n"] == 2
    assert summary["upload_mbit_s"]["median"] > 0.1
