"""A relayer between two chains over a wide-area network is killed in the middle of transfers, and asked afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

KILLED = f"""
[[action]]
at = "7 s"
do = "crash"
nodes = "relayer-1"
program = "relayer"

[[action]]
at = "8 s"
do = "restart"
nodes = "relayer-1"
program = "relayer"

[[action]]
at = "10 s"
do = "exec"
nodes = "relayer-1"
command = '''{sys.executable} -m nodes.ibc.relayer status'''
expect = "exit 0"
"""


def test_a_relayer_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The path, its clients and what was on the way are found again on disk and on the chains."""
    text = (Path(__file__).parents[3] / "scenarios/ibc/scenario.toml").read_text()
    for found, wanted in {
        'block = "1 s"': 'block = "300 ms"', 'length = "30 s"': 'length = "5 s"', 'at = "40 s"': 'at = "9 s"',
    }.items():  # fmt: skip
        assert found in text
        text = text.replace(found, wanted)
    scenario = tmp_path / "ibc.toml"
    scenario.write_text(text.replace("[[program]]", f"{KILLED}\n[[program]]", 1))
    ended = skyloom("run", scenario, "--duration", "15s", "--no-tui", "--runs", tmp_path)
    summary = load_run(tmp_path / "ibc" / "latest").verdict.summary
    assert summary["sent"] > 50, ended.stdout
    assert summary["acknowledged"] == summary["sent"]
    assert [summary[name] for name in ("stuck", "lost", "duplicated", "escrow_errors")] == [0, 0, 0, 0]
    assert "action-failed" not in load_run(tmp_path / "ibc" / "latest").events["kind"].to_list()
