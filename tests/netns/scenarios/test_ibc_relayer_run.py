"""A relayer between two chains over a wide-area network is killed in the middle of transfers, and asked afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

KILLED = """
[[action]]
at = "9 s"
do = "crash"
nodes = "relayer-1"

[[action]]
at = "10 s"
do = "restart"
nodes = "relayer-1"
"""
METRICS = f"""
[[action]]
at = "16 s"
do = "exec"
nodes = "relayer-1"
command = ["{sys.executable}", "-c", "import urllib.request as u; p = u.urlopen('http://127.0.0.1:3001/metrics').read(); assert b'wallet_balance' in p"]
expect = "exit 0"
"""  # noqa: E501
SHORT = ("--duration", "24s", "--set", "block=300ms", "--set", "load.drain=11s")
COMMANDS = {  # of the relayer, by what the scenario expects of them
    "status": 0, "pending": 0, "why a-0/07-tendermint-0/1": 0, "clear a-0:b-0": 0, "clear a-0:c-0": 64,
}  # fmt: skip


def test_a_relayer_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The path, its clients and what was on the way are found again on disk and on the chains."""
    text = (Path(__file__).parents[3] / "scenarios/ibc/scenario.toml").read_text()
    asked = [
        f'[[action]]\nat = "16 s"\ndo = "exec"\nnodes = "relayer-1"\ncommand = "{words}"\nexpect = "exit {status}"\n'
        for words, status in COMMANDS.items()
    ]
    scenario = tmp_path / "ibc.toml"
    scenario.write_text("\n".join([text, KILLED, METRICS, *asked]))
    ended = skyloom("run", scenario, *SHORT, "--no-tui", "--runs", tmp_path)
    run = load_run(tmp_path / "ibc" / "latest")
    summary = run.verdict.summary
    assert summary["sent"] > 50, ended.stdout
    assert summary["acknowledged"] == summary["sent"]
    assert [summary[name] for name in ("stuck", "lost", "duplicated", "wrongly_refunded")] == [0, 0, 0, 0]
    assert summary["escrow_ok"]
    kept = {row.figure.removeprefix("exec "): row.holds for row in run.verdict.expectations}
    assert {words: kept[words] for words in COMMANDS} == dict.fromkeys(COMMANDS, True)
    assert all(row.holds for row in run.verdict.expectations if row.figure.startswith("exec ")), ended.stdout
