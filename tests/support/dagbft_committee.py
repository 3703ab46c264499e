"""Four validators over emulated links, each with a client: the scenario, a run of it, and what its events say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from skyloom_command import skyloom

from emulator.record.load import load_run

CLIENT = '''
"""Hands a transaction to its worker every 20 ms, and counts the final replies of its primary."""
import asyncio
from dataclasses import dataclass

from emulator.sdk.node import Node
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Operation, Transaction, encode, key_of
from nodes.dagbft.messages import CODEC, FinalReply, SubmitTx, Subscribe
from nodes.dagbft.ports import PRIMARY_LOCAL_PORT, WORKER_LOCAL_PORT
from emulator.sdk.transport.local import LocalLink


class Client(Node):
    @dataclass(frozen=True, slots=True)
    class Config:
        until: float = 5.0

    async def setup(self):
        self.mine = int(self.context.name[1:]) + 1
        self.final = {}
        self.worker = self.call("worker-0", WORKER_LOCAL_PORT)
        self.primary = self.call("primary", PRIMARY_LOCAL_PORT)

    def call(self, service, port):
        return LocalLink(self.context, CODEC, self.on_reply, service=service, label="client", port=port)

    def on_reply(self, service, message):
        for id, hash in message.results if isinstance(message, FinalReply) else ():
            self.final.setdefault(id, hash)
            assert self.final[id] == hash

    async def run(self):
        tasks = [asyncio.ensure_future(each.run()) for each in (self.worker, self.primary)]
        self.primary.send("primary", Subscribe(self.mine))
        sent = 0
        while self.context.now() < self.config.until and not self.context.stopping.is_set():
            id = self.mine.to_bytes(8, "big") + sent.to_bytes(8, "big")
            self.worker.send("worker-0", SubmitTx(transaction(sent % 4, id, sent)))
            sent += 1
            await self.context.sleep(0.02)
        await self.context.stopping.wait()
        self.context.emit("client", sent=sent, final=len(self.final))
        for task in tasks:
            task.cancel()

    async def close(self):
        self.worker.close()
        self.primary.close()


def transaction(shard, id, number):
    operations = (Operation(Code.ADD, key_of(shard, number % 3), 0, 1),)
    return encode(Transaction(Kind.ALPHA, 0, shard, id, NOTHING, 0, 1, 0, operations))
'''
SCENARIO = """
name = "committee"
topology = "topologies.regions"
duration = "{duration} s"
[regions]
hosts = 4
count = 2
latency = "4 ms"
between = "30 ms"
[fidelity]
lateness_p99 = "500 ms"
[[program]]
name = "primary"
nodes = ["a*"]
run = "nodes.dagbft.primary.process:Primary"
[program.config]
validators = ["a0", "a1", "a2", "a3"]
leader_timeout = "500 ms"
grace = "20 ms"
header_delay = "20 ms"
{more}
[[program]]
name = "worker"
nodes = ["a*"]
run = "nodes.dagbft.worker.process:Worker"
config = {{ validators = ["a0", "a1", "a2", "a3"], batch_delay = "20 ms" }}
"""
LOAD = """
[[program]]
name = "client"
nodes = ["a*"]
run = "client:Client"
config = {{ until = {until} }}
"""


def play(folder: Path, text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Verdict and events of a run."""
    (folder / "client.py").write_text(CLIENT)
    (folder / "committee.toml").write_text(text)
    done = skyloom("run", folder / "committee.toml", "--no-tui", "--json", "--runs", folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = load_run(folder / "runs" / "committee" / "latest").events.iter_rows(named=True)
    return json.loads(done.stdout), [{**row, "data": json.loads(row["data"] or "{}")} for row in rows]


def commits(events: list[dict[str, Any]]) -> dict[str, dict[int, Any]]:
    """By node: what it committed under each index. A second time is an error."""
    found: dict[str, dict[int, Any]] = {}
    for event in events:
        if event["kind"] == "commit":
            log = found.setdefault(event["node"], {})
            assert event["data"]["index"] not in log
            log[event["data"]["index"]] = (event["data"]["leader"], event["data"]["blocks"])
    return found


def assert_agree(logs: dict[str, dict[int, Any]], least: int) -> None:
    merged: dict[int, Any] = {}
    for log in logs.values():
        assert len(log) >= least
        for index, entry in log.items():
            assert merged.setdefault(index, entry) == entry


def of_kind(events: list[dict[str, Any]], kind: str, program: str) -> dict[str, dict[str, Any]]:
    return {each["node"]: each["data"] for each in events if each["kind"] == kind and each["program"] == program}
