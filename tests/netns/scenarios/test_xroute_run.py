"""The scenario `xroute` by the command line: chains, relayers and senders as processes, and the audit of all blocks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom_in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

SMALL = (
    "--duration", "22s", "--set", "chains=4", "--set", "relayers=1", "--set", "block=500ms",
    "--set", "load.start=7s", "--set", "load.drain=12s",
    "--set", "fidelity.lateness_p99=100ms",
)  # fmt: skip

PLACED = ("a-0", "b-0", "c-0", "d-0", "relayer-1", "relayer-2")


def test_messages_cross_a_transit_and_all_is_well_by_the_audit(tmp_path: Path) -> None:
    ended = skyloom_in_time("run", "xroute", *SMALL, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    summary = json.loads((tmp_path / "xroute" / "latest" / "verdict.json").read_text())["summary"]
    assert summary["delivered"] == summary["sent"] >= 8
    assert summary["mean_hops"] > 1
    assert summary["top_transit"] != "d-0", "the policy excludes it"
    assert summary["hub"]["sent"] == summary["sent"]
    assert summary["hub"]["top_transit"] == "hub-a-0"
    assert summary["hub"]["top_transit_share"] > summary["top_transit_share"]


def test_a_quorum_survives_a_chain_and_a_relayer_that_are_killed(tmp_path: Path) -> None:
    """The chain comes back with its disk, the relayer with nothing: it reads stakes and messages from the blocks."""
    near = [word for node in PLACED for word in ("--set", f"wan.places.{node}=us-east-1")]
    killed = ("faults.chains=1", "faults.kind=crash", "faults.relayers=1", "faults.at=9s", "faults.length=3s")
    given = (
        "chains=4", "relayers=2", "baseline=none", "mode=quorum", "challenge=2s", "block=300ms", "load.start=7s",
        "load.drain=16s", "fidelity.lateness_p99=100ms", *killed,
    )  # fmt: skip
    words = [word for each in given for word in ("--set", each)]
    ended = skyloom_in_time("run", "xroute", "--duration", "30s", *words, *near, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    summary = json.loads((tmp_path / "xroute" / "latest" / "verdict.json").read_text())["summary"]
    assert summary["delivered"] == summary["sent"] >= 8
    assert (summary["lost"], summary["duplicated"], summary["stuck"], summary["violations"]) == (0, 0, 0, 0)


def test_names_that_owners_register_decide_routes(tmp_path: Path) -> None:
    near = [word for node in (*PLACED, "names-0", "owners") for word in ("--set", f"wan.places.{node}=us-east-1")]
    given = (
        "chains=4", "relayers=2", "baseline=none", "names=true", "block=300ms", "load.start=10s", "load.drain=10s",
        "fidelity.lateness_p99=100ms",
    )  # fmt: skip
    words = [word for each in given for word in ("--set", each)]
    ended = skyloom_in_time("run", "xroute", "--duration", "26s", *words, *near, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    summary = json.loads((tmp_path / "xroute" / "latest" / "verdict.json").read_text())["summary"]
    assert (summary["names"], summary["names_renewed"]) == (4, 4)
    assert summary["by_name"] >= 1
    assert summary["top_transit"] not in ("d-0", "names-0")
