"""Rounds in whole runs: slots over real links, barriers, actions by programs, carrier, the kill switch, early ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_topology import host_topology
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.alone, pytest.mark.usefixtures("with_root")]

TOPOLOGY = host_topology("ab", "bc", "ac", delay_s=0.020, carrier=True)
PROGRAMS = """
from dataclasses import dataclass
from emulator.model.errors import UsageError
from emulator.sdk.node import Node
from emulator.sdk.rounds import RoundSocket, Slots

class Slotted(Node):
    "Sends to both others in every round."
    @dataclass(frozen=True, slots=True)
    class Config:
        rounds: int = 5
        delay_rounds: int = 0

    async def setup(self):
        self.socket = RoundSocket(self.context, 7000, Slots(0.3, 0.08))
        self.heard = 0

    async def run(self):
        await self.socket.play(1, self.config.rounds + 1, self.step)

    def step(self, round, arrivals):
        self.heard += len(arrivals)
        if round > self.config.rounds:
            self.context.emit("heard", count=self.heard)
            return True
        for name in self.context.peers:
            self.socket.send(name, round, round + self.config.delay_rounds, b"x" * round)

class Cutter(Node):
    "Cuts the link to b in odd steps, and looks at its interface."
    async def run(self):
        for step in range(6):
            totals = await self.context.meet(2 * step, {self.context.name: 1, "all": 1})
            assert totals == {"a": 1, "b": 1, "c": 1, "all": 3}, totals
            if self.context.name == "a":
                await self.context.act("link-down" if step % 2 else "link-up", links=["a:b"])
            await self.context.meet(2 * step + 1)
            self.context.emit("port", step=step, up={n: self.context.port_up(n) for n in self.context.peers})
        if self.context.name == "c":
            try:
                await self.context.act("link-down", links=["nowhere:x"])
            except UsageError as error:
                self.context.emit("refused", text=str(error))

class Endless(Node):
    async def run(self):
        round = 0
        while not self.context.stopping.is_set():
            await self.context.meet(round)
            self.context.note_round(round, sent=1)
            round += 1
"""


def play(folder: Path, body: str, duration: str = "20 s") -> tuple[int, dict[str, Any], Path]:
    """Exit code, verdict and folder of a run."""
    (folder / "topo.py").write_text(TOPOLOGY)
    (folder / "programs.py").write_text(PROGRAMS)
    head = (
        f'name = "rounds"\ntopology = "topo.py"\nrouting = "neighbours"\nends = "programs"\nduration = "{duration}"\n'
    )
    (folder / "rounds.toml").write_text(head + body + '\n[fidelity]\nlateness_p99 = "200 ms"\n')
    done = skyloom("run", folder / "rounds.toml", "--no-tui", "--json", "--runs", folder / "runs")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), folder / "runs" / "rounds" / "latest"


def events(run: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    rows = load_run(run).events.iter_rows(named=True)
    return [(row["node"], json.loads(row["data"])) for row in rows if row["kind"] == kind]


def program(run: str, **keys: Any) -> str:
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items() if key != "config")
    config = keys.get("config", {})
    table = ", ".join(f"{key} = {json.dumps(value)}" for key, value in config.items())
    return f'[[program]]\nname = "p"\nnodes = ["*"]\nrun = "programs:{run}"\nconfig = {{ {table} }}\n{more}'


def test_slots_over_links_count_every_message(tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        code, verdict, run = play(folder, program("Slotted", expect="exit 0", config={"rounds": 5}))
        if verdict["rounds"]["fidelity"] == 1.0:
            break
    assert code == 0, verdict
    assert verdict["duration_s"] < 5.0, "the run goes on after its programs"
    rounds = verdict["rounds"]
    assert (rounds["rounds"], rounds["messages"], rounds["received"], rounds["in_slot"]) == (6, 30, 30, 30)
    assert rounds["interface_packets"] == 30
    assert rounds["counts_agree"] is True
    assert [data["count"] for _, data in events(run, "heard")] == [10, 10, 10]


def test_a_message_in_another_slot_than_planned_ends_with_75(tmp_path: Path) -> None:
    code, verdict, _ = play(tmp_path, program("Slotted", expect="exit 0", config={"rounds": 3, "delay_rounds": 1}))
    assert code == 75
    assert verdict["rounds"]["in_slot"] < verdict["rounds"]["received"]
    assert any("another round than planned" in warning for warning in verdict["warnings"])


def test_barriers_and_actions_and_what_the_kernel_shows(tmp_path: Path) -> None:
    code, verdict, run = play(tmp_path, program("Cutter", expect="exit 0"))
    assert code == 0, verdict
    for node, data in events(run, "port"):
        cut = data["step"] % 2 == 1
        for other, up in data["up"].items():
            assert up == (not (cut and {node, other} == {"a", "b"})), (node, data)
    changes = [(data["link"], data["up"]) for _, data in events(run, "carrier")]
    assert changes == [("a:b", step % 2 == 0) for step in range(1, 6)]
    ((_, refused),) = events(run, "refused")
    assert "nowhere:x" in refused["text"]


@pytest.mark.parametrize(("bound", "value"), [("max_rounds", 40), ("max_messages", 120)])
def test_the_kill_switch_ends_the_run(tmp_path: Path, bound: str, value: int) -> None:
    code, verdict, _ = play(tmp_path, program("Endless") + f"[rounds]\n{bound} = {value}\n")
    assert code == 1, verdict
    assert verdict["duration_s"] < 10.0
    (outcome,) = [outcome for outcome in verdict["expectations"] if outcome["figure"] == f"rounds.{bound}"]
    assert not outcome["holds"]
    assert outcome["observed"] > value
    assert bound in verdict["rounds"]["stopped"]


def test_a_crashed_process_does_not_hold_up_the_others(tmp_path: Path) -> None:
    body = program("Endless", expect="any") + (
        '[rounds]\nmax_messages = 3000\n[[action]]\nat = "200 ms"\ndo = "crash"\nnodes = ["b"]\n'
    )
    code, verdict, _ = play(tmp_path, body)
    assert code == 1
    assert "max_messages" in verdict["rounds"]["stopped"]
