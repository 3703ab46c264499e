"""Chains, a relayer and a sender of messages over a transit, as processes over emulated links."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

SCENARIO = """
name = "xroute-line"
description = "Three chains in a row; messages from the first to the last"
duration = "24 s"
topology = "topologies.wan"

[wan]
map = "five-regions"
places = { a-0 = "us-east-1", b-0 = "us-east-1", c-0 = "us-east-1", relayer-1 = "us-east-1" }

[fidelity]
lateness_p99 = "100 ms"

[[program]]
name = "chain"
run = "nodes.xroute.chain:Chain"
nodes = ["a-0", "b-0", "c-0"]
config = { block = "500 ms", accounts = ["alice", "bob", "relayer", "relayer-b"] }

[[program]]
name = "relayer"
run = "nodes.xroute.relayer.process:Relayer"
nodes = "relayer-1"
config = { chains = ["a-0", "b-0", "c-0"], opens = ["a-0 b-0", "b-0 c-0"], accounts = ["relayer", "relayer-b"] }

[[program]]
name = "load"
run = "nodes.xroute.load:Load"
nodes = "a-0"
config = { to = ["c-0"], policy = "xroute/1; require each chain nakamoto >= 2", start = "8 s", stop = "11 s" }
"""


def test_messages_cross_a_transit_and_are_answered(tmp_path: Path) -> None:
    from emulator.record.load import load_run

    scenario = tmp_path / "line.toml"
    scenario.write_text(SCENARIO)
    ended = skyloom("run", scenario, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    run = load_run(tmp_path / "xroute-line" / "latest")
    (told,) = run.events.filter(kind="load")["data"]
    sent = json.loads(told)["sent"]
    assert sent >= 10
    assert len(run.samples.filter(name="latency_s")) == sent, "each is settled, once"
    assert run.samples.filter(name="jobs")["value"][-1] == 0
