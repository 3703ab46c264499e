"""TCP between node programs in real runs: a link that was down loses nothing, the traffic programs use streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, needs_sandbox]

PROGRAM = '''
"""Says a number every 20 ms to all others over links, and greets its listener once over a stream."""
import asyncio
from contextlib import closing

from emulator.sdk.node import Node
from emulator.sdk.transport.codec import BytesCodec
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.links import Links

COUNT = 100


class Talker(Node):
    async def setup(self):
        context = self.context
        self.heard = {}
        config = LinkConfig(retry_least_s=0.1, retry_most_s=0.4, heartbeat_s=0.2, silence_s=0.8)
        self.links = Links(context, BytesCodec(8), self.hear, peers=context.members, service="talk", port=6000,
                           config=config)
        context.exit_stack.callback(self.links.close)
        await self.links.open()
        self.listener = context.listen(6001)

    def hear(self, peer, message):
        self.heard.setdefault(peer, []).append(int(message))

    async def run(self):
        context = self.context
        tasks = [asyncio.ensure_future(self.links.run()), asyncio.ensure_future(self.listener.serve(self.answer))]
        await context.sleep_until(0.2)
        for peer in context.members:
            with closing(await context.connect(peer, 6001)) as stream:
                await stream.send(context.name.encode())
                context.emit("greeted", peer=peer, by=(await stream.receive_exactly(2)).decode())
        for number in range(COUNT):
            await context.sleep_until(0.5 + 0.02 * number)
            self.links.broadcast(b"%d" % number)
        await context.sleep_until(4.5)
        for peer, numbers in self.heard.items():
            context.emit("heard", peer=peer, numbers=numbers)
        context.emit("counters", **self.links.counters(), refused=sum(self.listener.rejected.values()))
        for task in tasks:
            task.cancel()

    async def answer(self, stream):
        assert (await stream.receive_exactly(2)).decode() == stream.peer
        await stream.send(self.context.name.encode())
'''
HEAD = """
name = "talk"
topology = "topologies.graph"
routing = "neighbours"
duration = "{duration}"
ends = "{ends}"
[graph]
spec = "complete:3"
delay = "20 ms"
[fidelity]
lateness_p99 = "500 ms"
"""


def play(folder: Path, ends: str, duration: str, rest: str) -> Path:
    """The folder of a run."""
    (folder / "talker.py").write_text(PROGRAM)
    (folder / "talk.toml").write_text(HEAD.format(duration=duration, ends=ends) + rest)
    done = skyloom_in_time("run", folder / "talk.toml", "--no-tui", "--json", "--runs", folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "runs" / "talk" / "latest"


def events(run: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = load_run(run).events.iter_rows(named=True)
    return [(row["node"], json.loads(row["data"])) for row in rows if row["kind"] == kind]


def test_a_link_that_was_down_delivers_everything_once_and_in_order(tmp_path: Path) -> None:
    """Down for 1.4 s, longer than the silence after which a connection is given up."""
    run = play(
        tmp_path, "programs", "12 s",
        '[[program]]\nname = "talk"\nnodes = ["*"]\nrun = "talker:Talker"\nexpect = "exit 0"\n'
        '[[action]]\nat = "0.9 s"\nfor = "1.4 s"\ndo = "link-down"\nlinks = ["n0:n1"]\n',
    )  # fmt: skip
    heard = events(run, "heard")
    assert len(heard) == 6
    for node, data in heard:
        assert data["numbers"] == list(range(100)), (node, data["peer"])
    counters = dict(events(run, "counters"))
    assert counters["n0"]["reconnects"] >= 1
    assert counters["n2"]["reconnects"] == 0
    assert all(each["rejected"] == each["refused"] == 0 for each in counters.values())
    greeted = {(node, data["peer"], data["by"]) for node, data in events(run, "greeted")}
    assert greeted == {(node, peer, peer) for node in counters for peer in counters if peer != node}


def test_the_traffic_programs_transfer_over_streams(tmp_path: Path) -> None:
    run = play(
        tmp_path, "duration", "3 s",
        '[[program]]\nname = "bulk"\nnodes = ["*"]\nrun = "nodes.traffic.bulk:Bulk"\n'
        'config = { flows = ["n0 -> n1"], rate = "2 Mbit/s", total = "200 kB" }\n'
        '[[program]]\nname = "request"\nnodes = ["*"]\nrun = "nodes.traffic.request:Request"\n'
        'config = { pairs = ["n2 -> n0"], think = "50 ms" }\n',
    )  # fmt: skip
    ((receiver, flow),) = events(run, "flow")
    assert (receiver, flow["peer"], flow["flow"], flow["bytes"]) == ("n1", "n0", 0, 200_000)
    ((sender, sent),) = events(run, "flow-sent")
    assert (sender, sent["peer"], sent["bytes"]) == ("n0", "n1", 200_000)
    assert sent["rtt_ms"] >= 40
    assert events(run, "flow-broken") == events(run, "request-failed") == []
    ((client, asked),) = events(run, "requests")
    assert (client, asked["peer"], asked["failed"]) == ("n2", "n0", 0)
    assert asked["count"] > 5
