"""A relayer is away for longer than clients trust, and all validators are replaced: its order recovers both clients."""

from __future__ import annotations

from pathlib import Path

import pytest
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

AWAY = """
[[action]]
at = "6 s"
for = "7 s"
do = "crash"
nodes = "relayer-1"
"""
ORDER = """
[[action]]
at = "16 s"
do = "exec"
nodes = "relayer-1"
command = "recover {client}"
expect = "exit 0"
"""
CLIENTS = ("a-0/07-tendermint-0", "b-0/07-tendermint-0")
CHAIN = {"authority": "relayer-1", "churn_blocks": 3}  # a quarter of the validators every 0.6 s
SETTINGS = {
    "block": "200ms", "load.drain": "15s", "wan.places.b-0": "us-east-1", "program.relayer-1.config.trusting": "5s",
    **{f"program.chain-{name}.config.{key}": value for name in "ab" for key, value in CHAIN.items()},
}  # fmt: skip


def test_clients_that_expired_are_recovered_by_order(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "scenarios/ibc/scenario.toml").read_text()
    scenario = tmp_path / "ibc.toml"
    scenario.write_text("\n".join([text, AWAY, *(ORDER.format(client=client) for client in CLIENTS)]))
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    ended = skyloom("run", scenario, "--duration", "26s", *words, "--no-tui", "--runs", tmp_path)
    run = load_run(tmp_path / "ibc" / "latest")
    told = run.events.filter(run.events["kind"] == "recover")["data"].to_list()
    assert {client for client in CLIENTS for text in told if f"{client} has the state of" in text} == {*CLIENTS}, told
    summary = run.verdict.summary
    assert summary["acknowledged"] > 20, ended.stdout
    assert summary["acknowledged"] + summary["timed_out"] == summary["sent"]
    assert [summary[name] for name in ("stuck", "lost", "duplicated", "wrongly_refunded")] == [0, 0, 0, 0]
    assert summary["escrow_ok"]
