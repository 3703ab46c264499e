"""Relayers that flood over emulated links: a partition is healed, and all hold the same again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, needs_sandbox]

PROGRAM = '''
"""Says something of a client of its own, and changes it while half of the others cannot hear."""
import asyncio
from dataclasses import replace
from hashlib import sha256

from emulator.sdk.node import Node
from emulator.sdk.transport.config import LinkConfig
from nodes.xroute.flooding.ads import ClientStatus, EdgeAd
from nodes.xroute.flooding.flood import Settings
from nodes.xroute.flooding.process import Flooder
from nodes.xroute.keys import Key

RING = {"n0": ("n1", "n3"), "n1": ("n0", "n2"), "n2": ("n1", "n3"), "n3": ("n2", "n0")}


class Teller(Node):
    async def setup(self):
        name = self.context.name
        self.flooder = Flooder(
            self.context, Key.named(name), {Key.named(each).public: 10 for each in RING}, RING[name],
            settings=Settings(max_age_s=600, retransmit_ms=500, resync_ms=5_000),
            config=LinkConfig(retry_least_s=0.1, retry_most_s=0.3, heartbeat_s=0.1, silence_s=0.4),
        )
        await self.flooder.open()

    async def run(self):
        context, flooder = self.context, self.flooder
        running = asyncio.ensure_future(flooder.run())
        own = EdgeAd(sha256(context.name.encode()).digest(), bytes(32), "07-tendermint-0", client_type="07-tendermint",
                     status=ClientStatus.ACTIVE)
        await context.sleep_until(0.1)
        flooder.announce(own)
        await context.sleep_until(0.9)
        context.emit("before", heard=len(flooder.database))
        await context.sleep_until(1.4)
        flooder.announce(replace(own, status=ClientStatus.FROZEN))
        await context.sleep_until(1.9)
        context.emit("during", digests=flooder.database.digests().hex())
        await context.sleep_until(3.4)
        statuses = [each.ad.status.name for each in flooder.database.advertisements()]
        context.emit("after", digests=flooder.database.digests().hex(), statuses=statuses, **flooder.counters())
        running.cancel()
'''
SCENARIO = """
name = "flood"
topology = "topologies.graph"
routing = "neighbours"
duration = "4 s"
ends = "programs"
[graph]
spec = "cycle:4"
delay = "10 ms"
[fidelity]
lateness_p99 = "500 ms"
[[program]]
name = "flood"
nodes = ["*"]
run = "teller:Teller"
expect = "exit 0"
[[action]]
at = "0.95 s"
for = "1.0 s"
do = "partition"
groups = [["n0", "n1"], ["n2", "n3"]]
"""


def test_a_partition_is_healed(tmp_path: Path) -> None:
    (tmp_path / "teller.py").write_text(PROGRAM)
    (tmp_path / "flood.toml").write_text(SCENARIO)
    done = skyloom_in_time("run", tmp_path / "flood.toml", "--no-tui", "--json", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = load_run(tmp_path / "runs" / "flood" / "latest").events.iter_rows(named=True)
    told = {(row["kind"], row["node"]): json.loads(row["data"]) for row in rows}
    names = ("n0", "n1", "n2", "n3")
    assert [told["before", name]["heard"] for name in names] == [4] * 4
    during = [told["during", name]["digests"] for name in names]
    assert during[0] == during[1] != during[2] == during[3]
    after = [told["after", name] for name in names]
    assert len({each["digests"] for each in after}) == 1
    assert [each["statuses"] for each in after] == [["FROZEN"] * 4] * 4
    assert [each["refused"] for each in after] == [0] * 4
