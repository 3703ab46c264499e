"""What a node program sees, without a run: clock, randomness, peers, records, datagrams."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from emulator.model.clock import MonotonicClock
from emulator.model.errors import EXIT_DATA, DataError
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import decode
from emulator.runtime.control.messages import Failed, Spawn
from emulator.runtime.programs import node_runner
from emulator.sdk.node import Node, NodeContext, Peer


class Heard:
    def __init__(self):
        self.events, self.samples = [], []

    def event(self, t_s, kind, fields):
        self.events.append((kind, fields))

    def sample(self, t_s, name, value, key):
        self.samples.append((t_s, name, value, key))


def context(tmp_path, heard=None, name="a", seed=1, program="p"):
    peers = {name: Peer(name, "host", "127.0.0.1", "::1") for name in ("gs-b", "gs-c", "sat-1")}
    return NodeContext(
        name=name, program=program, seed=seed, address=Peer(name, "host", "127.0.0.1", "::1"), peers=peers,
        store=tmp_path, clock=MonotonicClock(time.monotonic_ns()), sink=heard or Heard(),
    )  # fmt: skip


def test_random_streams_are_told_apart_by_every_name(tmp_path):
    streams = [
        context(tmp_path).rng("x"), context(tmp_path).rng("y"), context(tmp_path, name="b").rng("x"),
        context(tmp_path, seed=2).rng("x"), context(tmp_path, program="q").rng("x"),
    ]  # fmt: skip
    first = [stream.random() for stream in streams]
    assert len(set(first)) == len(first)
    assert context(tmp_path).rng("x").random() == first[0]


def test_the_store_is_made_when_it_is_first_asked_for(tmp_path):
    node = context(tmp_path / "store" / "a")
    assert not (tmp_path / "store").exists()
    assert node.store == tmp_path / "store" / "a"
    assert node.store.is_dir()


def test_peers_by_glob(tmp_path):
    assert [peer.name for peer in context(tmp_path).matching(["gs-*"])] == ["gs-b", "gs-c"]
    assert context(tmp_path).matching([]) == []


def test_records_carry_scenario_time(tmp_path):
    heard = Heard()
    node = context(tmp_path, heard)
    node.emit("hello", n=1)
    node.sample("rtt_s", 0.5, "gs-b", t_s=-3.0)
    assert heard.events == [("hello", {"n": 1})]
    assert heard.samples == [(-3.0, "rtt_s", 0.5, "gs-b")]


def test_sleep_is_never_early(tmp_path):
    async def main():
        node = context(tmp_path)
        begun = node.now()
        await node.sleep(0.01)
        assert node.now() >= begun + 0.01
        await node.sleep_until(begun + 0.02)
        assert node.now() >= begun + 0.02
        await node.sleep_until(begun - 5)

    asyncio.run(main())


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_carry_the_time_of_their_arrival(tmp_path, version):
    async def main():
        node = context(tmp_path)
        arrivals = asyncio.Queue(8)
        receiver = node.datagrams(0, lambda *what: arrivals.put_nowait(what), version=version)
        sender = node.datagrams(0, lambda *what: None, version=version)
        try:
            host = "::1" if version == 6 else "127.0.0.1"
            for _ in range(20):  # the kernel begins to stamp arrivals a moment after the first socket asks for it
                before = node.now()
                assert sender.send(b"hello", host, receiver.port)
                time.sleep(0.05)  # noqa: ASYNC251  the process is busy; the kernel's stamp must not be
                async with asyncio.timeout(5):
                    data, address, t_s = await arrivals.get()
                assert data == b"hello"
                assert address == (host, sender.port)
                assert before - 0.001 <= t_s
                if t_s < before + 0.05:
                    break
            else:
                pytest.fail("no arrival was stamped by the kernel")
        finally:
            receiver.close()
            sender.close()

    asyncio.run(main())


def test_a_stepped_time_of_day_changes_no_arrival(tmp_path, monkeypatch):
    """The kernel's stamp of what came before the step means another time after it."""

    async def main():
        node = context(tmp_path)
        arrivals = asyncio.Queue(8)
        receiver = node.datagrams(0, lambda *what: arrivals.put_nowait(what))
        sender = node.datagrams(0, lambda *what: None)
        try:
            for step_ns in (3600 * 10**9, -3600 * 10**9):
                before = node.now()
                assert sender.send(b"hello", "127.0.0.1", receiver.port)
                read = time.time_ns
                monkeypatch.setattr(time, "time_ns", lambda read=read, step_ns=step_ns: read() + step_ns)
                async with asyncio.timeout(5):
                    _, _, t_s = await arrivals.get()
                assert before <= t_s <= node.now()
        finally:
            receiver.close()
            sender.close()

    asyncio.run(main())


CLOSED = []
ERRORS = {"fault": ValueError("no more"), "file": DataError("a.json: empty; expected more")}  # by program


class Broken(Node):
    """Opens something, and then cannot go on."""

    async def setup(self):
        self.context.exit_stack.callback(CLOSED.append, "first")
        self.context.exit_stack.callback(CLOSED.append, "second")
        raise ERRORS[self.context.program]

    async def close(self):
        CLOSED.append("close")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("fault", Failed("setup", "ValueError: no more")),
        ("file", Failed("setup", "a.json: empty; expected more", EXIT_DATA)),
    ],
)
def test_what_setup_has_opened_is_closed_however_far_it_came(tmp_path, program, told):
    mine, theirs = Channel.pair()
    spec = Spawn(
        id=1, node="a", program=program, seed=1, log="", store=str(tmp_path), key_log="", fds=(),
        run=f"{__name__}:Broken",
    )  # fmt: skip
    runner = node_runner.NodeRunner(spec, mine, {"a": Peer("a", "host", "127.0.0.1")}, ())
    CLOSED.clear()
    with pytest.raises(type(ERRORS[program])):
        asyncio.run(runner.run())
    assert CLOSED == ["close", "second", "first"]
    assert decode(theirs.receive_bytes()[0], (Failed,)) == told
    mine.close()
    theirs.close()


def test_a_node_program_loads_nothing_heavy():
    plain = "emulator.sdk.node, emulator.sdk.rounds, emulator.sdk.driver, emulator.sdk.durable, emulator.sdk.disk"
    links = "emulator.sdk.transport.links, emulator.sdk.transport.local, emulator.sdk.transport.inside"
    programs = "nodes.traffic.probe, nodes.traffic.bulk, nodes.traffic.request"
    names = f"sys, emulator.runtime.programs.node_runner, {plain}, {links}, {programs}"
    code = f"import {names}; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {
        "numpy", "pydantic", "scipy", "polars", "typer", "rich", "mininet", "cryptography", "nacl", "lmdb",
    }  # fmt: skip
