"""The zygote and its children: ready, records, failures at the start, ends of every kind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from emulator.model.errors import EmulationError
from emulator.runtime.programs.launch import Introduction, Launch
from emulator.runtime.programs.launches import Resolved
from emulator.runtime.programs.processes import ENDED, READY, Processes
from emulator.runtime.programs.zygote_link import ZygoteLink

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace needs root outside a sandbox"),
]

PROGRAMS = """
import asyncio, os, time
from dataclasses import dataclass, field
from emulator.sdk.node import Node

@dataclass
class Inner:
    depth: int = 0

class Good(Node):
    @dataclass
    class Config:
        greeting: str = "hello"
        inner: Inner = field(default_factory=Inner)

    async def run(self):
        (self.context.store / "kept").write_text("kept")
        context = self.context
        draw = context.rng("x").random()
        context.emit("hello", text=self.config.greeting, depth=self.config.inner.depth, members=list(context.members),
                     peers=list(context.peers), before=context.now(), draw=draw)
        context.sample("answer", 42, "key")
        context.log.info("to the log")
        await context.stopping.wait()

class Hangs(Node):
    async def setup(self):
        print("waiting for a lock", flush=True)
        time.sleep(60)

class Raises(Node):
    async def setup(self):
        raise ValueError("no such port")

class Leaves(Node):
    async def setup(self):
        os._exit(3)

class Many(Node):
    async def run(self):
        for number in range(50_000):
            self.context.sample("n", number)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "zoo.py").write_text(PROGRAMS)
    return tmp_path


def live(folder: Path, body, programs=("Good",)) -> None:
    """Run the coroutine function `body(processes, spawn)` with a warm zygote."""
    netns = os.open("/proc/self/ns/net", os.O_RDONLY)
    configs = {}  # of the program that is launched next

    def resolve(launch):
        fields = {"command": launch.command} if launch.command else {"run": f"zoo:{launch.program}", "config": configs}
        return Resolved({"net": netns}, fields)

    zygote = ZygoteLink(7, folder, folder / "store", resolve)
    processes = Processes(zygote, folder)
    peers = [("a", "host", "127.0.0.1", "::1"), ("b", "host", "127.0.0.2", "::1")]
    names = [f"zoo:{name}" for name in programs]
    zygote.prepare(Introduction(peers, names, [str(folder)], {"p": ["a", "b"]}))

    def spawn(node: str, name: str, **config):
        configs.clear()
        configs.update(config)
        return processes.launch(Launch(0, "program", node, "p", name, log=f"{node}.txt"))

    async def main() -> None:
        processes.attach()
        try:
            async with asyncio.timeout(30):
                await body(processes, spawn)
        finally:
            processes.kill(processes.alive(), signal.SIGKILL)
            await processes.wait_ended(processes.all, 5)

    try:
        asyncio.run(main())
    finally:
        os.close(netns)
        zygote.close()


def nothing(done: int) -> None:
    pass


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110  the condition looks at what a callback or the kernel has done
        await asyncio.sleep(0.01)


def test_a_program_lives_and_tells(folder):
    heard = []

    async def body(processes, spawn):
        processes.on_record = lambda process, record: heard.append((process.node, record[1:]))
        process = spawn("a", "Good", greeting="hi", inner={"depth": 3})
        await processes.wait_ready([process], 10, nothing)
        assert process.state == READY
        assert not heard
        processes.start(process, time.monotonic_ns())
        await until(lambda: len(heard) >= 2)
        processes.kill([process], signal.SIGTERM)
        assert await processes.wait_ended([process], 5) == []
        assert (process.state, process.status) == (ENDED, 0)

    live(folder, body)
    (_, (kind, fields)), (_, sample) = heard
    assert kind == "hello"
    assert (fields["text"], fields["depth"]) == ("hi", 3)
    assert (fields["members"], fields["peers"]) == (["b"], ["b"])
    assert 0 <= fields["before"] < 5
    assert sample == ["answer", 42.0, "key"]
    assert "to the log" in (folder / "a.txt").read_text()
    assert (folder / "store" / "a" / "p" / "kept").read_text() == "kept"


def test_randomness_follows_seed_and_names(folder):
    draws = []

    async def body(processes, spawn):
        processes.on_record = lambda process, record: draws.append(record[2]["draw"]) if len(record) == 3 else None
        for node in ("a", "a", "b"):
            process = spawn(node, "Good")
            await processes.wait_ready([process], 10, nothing)
            processes.start(process, time.monotonic_ns())
            processes.kill([process], signal.SIGTERM)
            await processes.wait_ended([process], 5)
        await until(lambda: len(draws) == 3)

    live(folder, body)
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Hangs", r"b: program p was not ready after 1 s; its setup hangs or is slow[\s\S]*waiting for a lock"),
        ("Raises", r"b: program p failed: ValueError: no such port \(in setup\)[\s\S]*b\.txt"),
        ("Leaves", r"b: program p failed: it exited with status 3 before it was ready; b.txt is empty"),
        ("Good", r"unexpected keyword argument 'colour'"),
    ],
)
def test_a_program_that_does_not_get_ready(folder, name, said):
    async def body(processes, spawn):
        odd = spawn("b", name, **({"colour": 1} if name == "Good" else {}))
        good = spawn("a", "Good")
        if name == "Hangs":
            await processes.wait_ready([good], 20, nothing)
        with pytest.raises(EmulationError, match=said):
            await processes.wait_ready([good, odd], 1 if name == "Hangs" else 20, nothing)

    live(folder, body, ("Good", name))


def test_a_program_that_cannot_be_imported(folder):
    async def body(processes, spawn):
        with pytest.raises(EmulationError, match=r"zoo:Unicorn.*has no attribute"):
            await processes.wait_ready([spawn("a", "Good")], 10, nothing)

    live(folder, body, ("Unicorn",))


def test_no_record_is_lost_in_silence(folder):
    heard, lost = [], []

    async def body(processes, spawn):
        processes.on_record = lambda process, record: heard.append(record[2])
        processes.on_dropped = lambda process, count: lost.append(count)
        process = spawn("a", "Many")
        await processes.wait_ready([process], 10, nothing)
        processes.start(process, time.monotonic_ns())
        await processes.wait_ended([process], 20)

    live(folder, body, ("Many",))
    assert len(heard) + sum(lost) == 50_000
    assert heard == sorted(heard)


def test_children_die_with_the_zygote(folder):
    async def body(processes, spawn):
        process = spawn("a", "Good")
        await processes.wait_ready([process], 10, nothing)
        processes._zygotes.close()
        await processes.lost.wait()
        await until(lambda: not _lives(process.pid))

    live(folder, body)


def test_a_command_with_streams_of_its_own(folder):
    async def body(processes, spawn):
        read_end, write_end = os.pipe()
        null = os.open(os.devnull, os.O_RDONLY)
        launch = Launch(0, "exec", "a", "exec", command=("sh", "-c", "echo out; sleep 60 & exit 5"))
        streams = {"stdin": null, "stdout": write_end, "stderr": write_end}
        process = processes.launch(launch, streams, supervised=False)
        for fd in (write_end, null):
            os.close(fd)
        await processes.wait_ended([process], 10)
        assert process.status == 5
        assert (os.read(read_end, 100), os.read(read_end, 100)) == (b"out\n", b"")  # what it left behind was killed too
        os.close(read_end)

    live(folder, body)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
