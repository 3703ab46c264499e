"""Hosts and conductor over real TCP on loopback addresses, with links that a set of absent edges stands for."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from sdk_net import OWN_NET

from emulator.model.clock import MonotonicClock
from emulator.model.errors import EmulationError
from emulator.runtime.control.rounds import Barrier
from emulator.sdk.node import NodeContext, Peer
from nodes.explorer import meeting
from nodes.explorer.adversary import RingAdversary
from nodes.explorer.conductor import Conductor
from nodes.explorer.core import KT0, KT1, WALK, Agent
from nodes.explorer.engine import Edges, Play, play
from nodes.explorer.interval import Edge, edge
from nodes.explorer.process import Host
from nodes.explorer.schedules import Footprint, block_trees, ring_edges
from nodes.explorer.wire import HEADER, RECEIPT, frame, receipt

TIMEOUT_S = 5.0  # of moves that are answered at once, however busy the machine


class World:
    """What the run does for its processes: the barrier, the links, the records."""

    def __init__(self) -> None:
        self.absent: set[Edge] = set()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.counted = [0, 0, 0]
        self.late_turns: dict[int, int] = {}  # of the event loop, by which a process learns later that all have met
        self.barrier = Barrier()
        self._answers: dict[tuple[int, int], asyncio.Future[dict[str, int]]] = {}

    async def meet(self, process: int, round: int, tally: Mapping[str, int]) -> dict[str, int]:
        answer = self._answers[process, round] = asyncio.get_running_loop().create_future()
        opened = self.barrier.meet(process, round, tally)
        if opened is not None:
            for come in opened[2]:
                self._answers.pop((come, opened[0])).set_result(opened[1])
        totals = await answer
        for _ in range(self.late_turns.get(process, 0)):
            await asyncio.sleep(0)
        return totals

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.events if name == kind]


class WorldLine:
    """The line of one process to the world, and its records."""

    def __init__(self, world: World, process: int) -> None:
        self._world, self._process = world, process

    async def meet(self, round: int, tally: Mapping[str, int]) -> dict[str, int]:
        return await self._world.meet(self._process, round, tally)

    async def act(self, given: dict[str, Any]) -> None:
        for link in given["links"]:
            a, b = (int(part.removeprefix("n")) for part in link.split(":"))
            if given["do"] == "link-down":
                assert edge(a, b) not in self._world.absent
                self._world.absent.add(edge(a, b))
            else:
                self._world.absent.remove(edge(a, b))

    def note_round(self, round: int, sent: int, received: int, in_slot: int) -> None:
        for at, count in enumerate((sent, received, in_slot)):
            self._world.counted[at] += count

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None:
        self._world.events.append((kind, fields))

    def sample(self, t_s: float, name: str, value: float, key: str) -> None:
        raise AssertionError("explorers take no samples")


class Context(NodeContext):
    """A context whose interfaces are those of the world; they follow an order two looks late, as the kernel may."""

    world: World
    late_looks = 0

    def port_up(self, port: str) -> bool:
        pair = edge(int(self.name.removeprefix("n")), int(port.removeprefix("n")))
        if self.late_looks:
            self.late_looks -= 1
            return True
        return pair not in self.world.absent


def contexts(world: World, nodes: int, folder: Path) -> dict[str, Context]:
    """A context a node, each on a loopback address of its own, and one for the observer."""
    names = [*(f"n{node}" for node in range(nodes)), "observer"]
    peers = {name: Peer(name, "host", f"{OWN_NET}.{at + 1}") for at, name in enumerate(names)}
    found = {}
    for at, name in enumerate(names):
        line = WorldLine(world, at)
        context = Context(
            name=name, program="p", seed=1, address=peers[name],
            peers={other: peer for other, peer in peers.items() if other != name}, store=folder,
            clock=MonotonicClock(time.monotonic_ns()), sink=line, coordination=line,
        )  # fmt: skip
        context.world, context.late_looks = world, 2
        found[name] = context
    world.barrier.join(range(len(names)))
    return found


def explore(footprint: Footprint, told: Mapping[str, Any], folder: Path, **host: Any) -> World:
    """A whole exploration in mode barrier; returns when all programs have ended."""
    world = World()
    world.late_turns = host.pop("late_turns", {})
    common = {"nodes": footprint.nodes, "edges": sorted(footprint.edges), "max_steps": host.pop("max_steps", 60)}

    async def main() -> None:
        around = contexts(world, footprint.nodes, folder)
        hosts = [Host(Host.Config(**common, **host), context) for name, context in around.items() if name != "observer"]
        conductor = Conductor(Conductor.Config(**common, start=host.get("start", 0), **told), around["observer"])
        for each in hosts:
            await each.setup()
        try:
            await asyncio.gather(conductor.run(), *(each.run() for each in hosts))
        finally:
            for each in hosts:
                await each.close()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 30))
    return world


def toggles(footprint: Footprint, edges: Edges, steps: int) -> list[tuple[int, int, int]]:
    found, before = [], footprint.edges
    for step in range(steps):
        present = edges.present(step, -1)
        found += [(step, a, b) for a, b in sorted(before ^ present)]
        before = present
    return found


def agrees(world: World, predicted: Play) -> None:
    steps = sorted(world.events_of("explore"), key=lambda fields: fields["step"])
    assert [fields["step"] for fields in steps] == list(range(predicted.steps))
    assert [fields["node"] for fields in steps] == list(predicted.path[:-1])
    last = steps[-1]
    assert (last["moves"], last["waits"], last["replans"]) == (predicted.moves, predicted.waits, predicted.replans)
    assert world.counted == [predicted.moves] * 3
    assert not world.events_of("carry-failed")
    assert not world.events_of("explore-refused")


@pytest.mark.parametrize(("interval", "visibility"), [(2, KT0), (3, KT1), (4, KT0), (2, WALK)])
def test_ring_adversary(interval: int, visibility: str, tmp_path: Path) -> None:
    footprint = Footprint(5, ring_edges(5))
    predicted = play(footprint, RingAdversary(5, interval, 2), Agent(visibility, 7), 2, 20)
    world = explore(
        footprint, {"adversary_interval": interval}, tmp_path,
        visibility=visibility, start=2, agent_seed=7, max_steps=20,
    )  # fmt: skip
    agrees(world, predicted)
    assert predicted.seen <= interval + 1 or interval >= 4


def test_a_host_that_learns_late_of_the_meeting_is_no_host_of_that_step(tmp_path: Path) -> None:
    """The agent of a step may be next door before the neighbour knows that the step has begun."""
    footprint = Footprint(6, ring_edges(6))
    late_turns = {process: 40 * (process % 3) for process in range(7)}
    world = explore(footprint, {"adversary_interval": 3}, tmp_path, late_turns=late_turns, max_steps=24)
    agrees(world, play(footprint, RingAdversary(6, 3), Agent(KT0), 0, 24))


@pytest.mark.parametrize("visibility", [KT0, KT1])
def test_block_trees(visibility: str, tmp_path: Path) -> None:
    footprint = Footprint.of(7, combinations(range(7), 2))
    trees = block_trees(footprint, 2, random.Random(3))
    world = explore(footprint, {"toggles": toggles(footprint, trees, 60)}, tmp_path, visibility=visibility)
    agrees(world, play(footprint, trees, Agent(visibility), 0, 60))
    for fields in world.events_of("edges"):
        assert frozenset(fields["present"]) == trees.present(fields["step"])


def one_host(
    test: Callable[[World, Host], Coroutine[Any, Any, None]], folder: Path, timeout_s: float = TIMEOUT_S
) -> World:
    """Node 1 of a path 0-1-2, where the agent is not, in step 4; the test plays its neighbours."""
    world = World()

    async def main() -> None:
        config = Host.Config(nodes=4, edges=[(0, 1), (1, 2), (2, 3)], visibility=KT1, timeout_s=timeout_s)
        host = Host(config, contexts(world, 4, folder)["n1"])
        await host.setup()
        host.step = 4
        try:
            await test(world, host)
        finally:
            await host.close()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 10))
    return world


async def speak(data: bytes, sender: int) -> bytes:
    """What node 1 answers to bytes from the address of another node."""
    reader, writer = await asyncio.open_connection(f"{OWN_NET}.2", 4244, local_addr=(f"{OWN_NET}.{sender + 1}", 0))
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_host_takes_in_one_agent_of_a_neighbour_in_its_step(tmp_path: Path) -> None:
    agent = Agent(KT1)

    async def test(world: World, host: Host) -> None:
        assert await speak(frame(3, agent), 0) == b"", "another step"
        assert await speak(frame(4, agent), 3) == b"", "not next door"
        assert await speak(frame(4, Agent(KT0)), 0) == b"", "another kind of agent"
        assert await speak(frame(4, agent), 2) == receipt(4)
        assert host.came_from == 2
        assert await speak(frame(4, agent), 0) == b"", "a second one"
        assert host.came_from == 2

    world = one_host(test, tmp_path)
    assert world.events_of("explore-refused") == [{"count": 4}]
    assert world.counted == [0, 1, 1]


def test_garbage_is_refused_and_counted(tmp_path: Path) -> None:
    whole = frame(4, Agent(KT1))
    bad = [
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        whole[:-1],
        whole[: HEADER.size],
        b"\xff" * 64,
        HEADER.struct.pack(b"SkyX", 4, 1 << 31),
    ]
    bad.append(HEADER.struct.pack(b"SkyX", 4, 3) + b"abc")

    async def test(world: World, host: Host) -> None:
        for data in bad:
            assert await speak(data, 0) == b""
        assert host.agent is None

    assert one_host(test, tmp_path).events_of("explore-refused") == [{"count": len(bad)}]


def test_a_move_that_nobody_takes_in_leaves_the_agent_where_it_is(tmp_path: Path) -> None:
    async def test(world: World, host: Host) -> None:
        host.agent = Agent(KT1)
        assert await host._explore(TIMEOUT_S) == 1  # nobody listens at node 0
        assert host.agent is not None
        served = await asyncio.start_server(lie, f"{OWN_NET}.3", 4244)
        host.agent.visited.add(0)  # so that node 2 is the nearest
        host.agent.explored.add(0)
        assert await host._explore(TIMEOUT_S) == 1
        assert host.agent is not None, "the meeting decides"
        host.config = replace(host.config, mode="slotted")
        assert await host._explore(TIMEOUT_S) == 1
        assert host.agent is None, "there is no meeting, and there must not be two"
        served.close()

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4)
        writer.write(RECEIPT.pack(b"SkyY", 99))
        writer.close()

    failed = one_host(test, tmp_path).events_of("carry-failed")
    assert [(fields["to"], fields["unsure"]) for fields in failed] == [(0, False), (2, True), (2, True)]
    assert "receipt" in failed[1]["text"]


def test_an_agent_that_is_lost_is_an_error(tmp_path: Path) -> None:
    async def test(world: World, host: Host) -> None:
        with pytest.raises(EmulationError, match="the agent was lost at n1 before step 4"):
            await host._explore(TIMEOUT_S)

    one_host(test, tmp_path)


def test_ports_that_never_follow_the_order_are_an_error(tmp_path: Path) -> None:
    async def test(world: World, host: Host) -> None:
        with pytest.raises(EmulationError, match=r"links to \[0\] should be up at n1; up are \[0, 2\]"):
            await host._ports_show({0})

    one_host(test, tmp_path, timeout_s=0.2)


def test_the_meeting_knows_one_position() -> None:
    assert meeting.position({"at:3": 1, "edge:1": 1}) == 3
    assert meeting.neighbours({**meeting.around([4, 2]), "at:1": 1}) == {2, 4}
    for totals in ({}, {"at:1": 2}, {"at:1": 1, "at:2": 1}):
        with pytest.raises(EmulationError, match="expected it at one"):
            meeting.position(totals)


@pytest.mark.parametrize(
    ("program", "given", "message"),
    [
        (Host, {"visibility": "kt9"}, "visibility 'kt9'; expected one of kt0"),
        (Host, {"mode": "fast"}, "mode 'fast'; expected barrier or slotted"),
        (Host, {"start": 3}, "start 3; expected a node of 0 … 2"),
        (Host, {"edges": [(0, 1)]}, "2 cannot be reached from 0; expected a connected graph"),
        (Host, {"max_steps": 0}, "max_steps 0, port 4244, agent_seed 0; expected at least 1"),
        (Conductor, {"adversary_interval": 2}, "no ring"),
        (Conductor, {"toggles": [(0, 0, 2)]}, "toggle of 0-2 in step 0; expected an edge of the graph"),
        (Conductor, {"max_steps": 0}, "max_steps 0"),
    ],
)
def test_settings_that_cannot_be(program: Any, given: dict[str, Any], message: str) -> None:
    settings = {"nodes": 3, "edges": [(0, 1), (1, 2)]} | given
    with pytest.raises(ValueError, match=message):
        program.Config(**settings)
    assert asdict(program.Config(**settings | {key: value for key, value in VALID.items() if key in given}))


VALID: dict[str, Any] = {
    "visibility": KT1, "mode": "slotted", "start": 2, "edges": [(0, 1), (1, 2)], "max_steps": 1,
    "adversary_interval": 0, "toggles": [(0, 1, 2)],
}  # fmt: skip
