"""Attacks on messages over several chains, as processes: forged deliveries, and a relayer that contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

NODES = ("a-0", "b-0", "c-0", "d-0", "e-0", "relayer-1", "relayer-2", "fork", "attacker")
NEAR = [word for node in NODES for word in ("--set", f"wan.places.{node}=us-east-1")]  # blocks may be short then
SHORT = (
    "--duration", "30s", "--set", "block=300ms", "--set", "load.start=7s", "--set", "load.drain=20s",
    "--set", "fidelity.lateness_p99=100ms",
)  # fmt: skip


def test_each_forgery_is_refused_by_its_check_and_a_liar_loses_its_stake_everywhere(tmp_path: Path) -> None:
    ring = ("--set", "chains=5", "--set", "baseline=none", "--set", "block_gas=-1")
    attacked = (*ring, "--set", "faults.attacks=true", "--set", "faults.liars=1", "--set", "faults.at=6s")
    ended = skyloom_in_time("run", "xroute", *SHORT, *NEAR, *attacked, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    folder = tmp_path / "xroute" / "latest"
    summary = json.loads((folder / "verdict.json").read_text())["summary"]
    assert (summary["violations"], summary["forged"], summary["duplicated"], summary["lost"]) == (0, 0, 0, 0)
    assert summary["slashed"] == 5
    told = [json.loads(row["data"]) for row in load_run(folder).events.iter_rows(named=True) if row["kind"] == "attack"]
    refused = {tuple(each["found"]) for each in told}
    checks = {("xroute", 100 + number) for number in (1, 2, 4, 5, 6, 7, 8, 9)}  # replay has no code of its own
    assert refused == {*checks, ("channel", 22), ("", 0)}
    assert sum(each["found"][1] == 0 for each in told) == 1, "the honest proof alone is accepted"
