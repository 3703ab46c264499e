"""The scenario `xroute` by the command line: chains, relayers and senders as processes, and the audit of all blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

SMALL = (
    "--duration", "22s", "--set", "chains=4", "--set", "relayers=1", "--set", "block=500ms",
    "--set", "load.start=7s", "--set", "load.drain=12s",
    "--set", "fidelity.lateness_p99=100ms",
)  # fmt: skip


def test_messages_cross_a_transit_and_all_is_well_by_the_audit(tmp_path: Path) -> None:
    ended = skyloom("run", "xroute", *SMALL, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    summary = json.loads((tmp_path / "xroute" / "latest" / "verdict.json").read_text())["summary"]
    assert summary["delivered"] == summary["sent"] >= 8
    assert summary["mean_hops"] > 1
    assert summary["top_transit"] != "d-0", "the policy excludes it"
    assert summary["hub"]["sent"] == summary["sent"]
    assert summary["hub"]["top_transit"] == "hub-a-0"
    assert summary["hub"]["top_transit_share"] > summary["top_transit_share"]
