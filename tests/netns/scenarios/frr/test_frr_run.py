"""The scenario `frr` with six satellites and two stations: OSPF has the oracle's routes after a start and a cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom_in_time

needs_frr = pytest.mark.skipif(not Path("/usr/lib/frr/ospfd").exists(), reason="needs Debian's frr")
pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root"), needs_frr]

SMALL = {
    "shell.planes": "2",
    "shell.per_plane": "3",
    "shell.inclination_deg": "90",
    "shell.altitude": "8000 km",
    "shell.phasing": "0",
    "shell.raan_spread_deg": "360",
    "ground.stations": '["quito", "singapore"]',
    "ground.min_elevation_deg": "5",
    "action.0.at": "8 s",
    "action.1.at": "10 s",
    "fidelity.lateness_p99": "1 s",
}


def test_ospf_has_the_routes_of_the_fewest_hops_after_a_start_and_a_cut(tmp_path: Path) -> None:
    words = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    ended = skyloom_in_time("run", "frr", "--no-tui", "--duration", "13s", "--runs", tmp_path, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = json.loads((tmp_path / "frr" / "latest" / "verdict.json").read_text())["summary"]
    assert summary["routers"] == 8
    assert [change["cause"] for change in summary["changes"][-2:]] == ["sat-0103:isl0 down", "sat-0103:isl0 up"]
    assert all(change["settled_s"] is not None for change in summary["changes"][-2:]), summary
    assert summary["start_s"] < 8
    assert summary["memory_mb"].keys() == {"ospfd", "zebra"}
