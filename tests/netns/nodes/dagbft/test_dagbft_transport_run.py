"""The validators' mesh between real processes over emulated links: cuts, crashes, and a capture that can be read."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, needs_sandbox]

PROGRAM = '''
"""Every process tells every other numbers, one after another, and what it has heard in the end."""
import asyncio
from dataclasses import dataclass

from emulator.sdk.node import Node
from nodes.dagbft.identity import Identity
from nodes.dagbft.messages import Cleanup
from emulator.sdk.transport.config import LinkConfig
from nodes.dagbft.links import validator_mesh

NAMES = ["n0", "n1", "n2"]


class Talker(Node):
    @dataclass(frozen=True, slots=True)
    class Config:
        until: float = 3.0
        count: int = 100

    async def setup(self):
        self.heard = {}
        identity = Identity.of(self.context.seed, self.context.name)
        config = LinkConfig(retry_least_s=0.1, retry_most_s=0.4, heartbeat_s=0.2, silence_s=0.8)
        self.mesh = validator_mesh(self.context, identity, NAMES, self.hear, service="talk", port=6000, config=config)
        await self.mesh.open()

    def hear(self, peer, message):
        self.heard.setdefault(peer, []).append(message.round)

    async def run(self):
        running = asyncio.ensure_future(self.mesh.run())
        for number in range(self.config.count):
            await self.context.sleep_until(0.1 + 0.02 * number)
            self.mesh.broadcast(Cleanup(number))
        await self.context.sleep_until(self.config.until)
        for peer, numbers in self.heard.items():
            self.context.emit("heard", peer=peer, numbers=numbers)
        self.context.emit("counters", **self.mesh.counters())
        running.cancel()

    async def close(self):
        self.mesh.close()
'''
HEAD = """
name = "talk"
topology = "topologies.graph"
routing = "neighbours"
duration = "{duration} s"
ends = "programs"
[graph]
spec = "complete:3"
delay = "20 ms"
[fidelity]
lateness_p99 = "500 ms"
[[program]]
name = "talk"
nodes = ["*"]
run = "talker:Talker"
expect = "{expect}"
"""


def play(folder: Path, rest: str, duration: float = 12.0, expect: str = "exit 0") -> tuple[dict[str, Any], Path]:
    """Verdict and folder of a run."""
    (folder / "talker.py").write_text(PROGRAM)
    (folder / "talk.toml").write_text(HEAD.format(duration=duration, expect=expect) + rest)
    done = skyloom_in_time("run", folder / "talk.toml", "--no-tui", "--json", "--runs", folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout), folder / "runs" / "talk" / "latest"


def events(run: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = load_run(run).events.iter_rows(named=True)
    return [(row["node"], json.loads(row["data"])) for row in rows if row["kind"] == kind]


def test_a_link_that_was_down_delivers_everything_once_and_in_order(tmp_path: Path) -> None:
    """Down for 1.4 s, longer than the silence after which a connection is given up."""
    _, run = play(
        tmp_path,
        'config = { until = 4.5 }\n[[action]]\nat = "0.8 s"\nfor = "1.4 s"\ndo = "link-down"\nlinks = ["n0:n1"]\n',
    )
    heard = events(run, "heard")
    assert len(heard) == 6
    for node, data in heard:
        assert data["numbers"] == list(range(100)), (node, data["peer"])
    counters = dict(events(run, "counters"))
    assert counters["n0"]["reconnects"] >= 1
    assert counters["n2"]["reconnects"] == 0
    assert all(each["rejected"] == 0 for each in counters.values())


def test_a_process_that_crashes_and_restarts_is_talked_to_again(tmp_path: Path) -> None:
    _, run = play(
        tmp_path,
        'config = { until = 4.5 }\n[[action]]\nat = "0.8 s"\ndo = "crash"\nnodes = ["n1"]\n'
        '[[action]]\nat = "1.2 s"\ndo = "restart"\nnodes = ["n1"]\n',
        expect="any",
    )
    heard = {(node, data["peer"]): data["numbers"] for node, data in events(run, "heard")}
    for peer in (0, 2):  # the new process hears all that the old one had not acknowledged
        numbers = heard["n1", peer]
        assert numbers == list(range(numbers[0], 100))
        assert 20 < numbers[0] < 55
    assert heard["n0", 2] == heard["n2", 0] == list(range(100))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here")
def test_wireshark_can_decrypt_what_was_captured(tmp_path: Path) -> None:
    _, run = play(tmp_path, 'config = { until = 1.0, count = 5 }\n[capture]\nlinks = ["n0:n1", "n1:n0"]\n')
    done = subprocess.run(
        ["tshark", "-r", str(run / "capture.pcapng"), "-d", "tcp.port==6000,tls",
         "-q", "-z", "follow,tls,raw,0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    clear = "".join(done.stdout.split())
    assert b"SkyD".hex() in clear, done.stdout + done.stderr
    assert "02" + f"{1:016x}" + "23" + f"{0:016x}" in clear  # data, number 1: Cleanup(0)
