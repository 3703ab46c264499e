"""A host that says anything to the lead, and a lead that says anything to a host: an error that names the host, or a
counted rejection; nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import fields
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.link.engine.structures import TrunkReport
from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.link.taps import HEAD, MAGIC, ROW_BYTES
from emulator.model.errors import EmulationError, SkyloomError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.record import RunFolder
from emulator.record.verdict import Verdict
from emulator.runtime.cluster.beginning import Beginning
from emulator.runtime.cluster.host import Host
from emulator.runtime.cluster.host_link import HostLink
from emulator.runtime.cluster.host_play import HostPlay
from emulator.runtime.cluster.lead import AT_ONCE, Lead
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.planes import SpreadHosts, SpreadPlane, SpreadZygotes
from emulator.runtime.cluster.streams import GONE, HostStreams
from emulator.runtime.cluster.tees import HostTees
from emulator.runtime.control.cluster_messages import FROM_HOST, TO_HOST, Final, Hello
from emulator.runtime.control.encoding import VERSION
from emulator.runtime.control.messages import Ready
from emulator.runtime.control.remote import HEAD as FRAME
from emulator.runtime.control.remote import Connection, Kind
from emulator.runtime.control.tls import new_identity
from emulator.runtime.programs.launch import Launch
from emulator.runtime.programs.processes import Processes
from emulator.runtime.supervisor.collector import Collector

END = EndSpec(schedule=PiecewiseSchedule.constant(rate_bps=1e9))
NODES = tuple(NodeSpec(name, "host", True, f"10.0.0.{number + 1}") for number, name in enumerate("abc"))
LINKS = tuple(LinkSpec(f"{name}:up", number, 2, "up", f"down{number}", END, END) for number, name in enumerate("ab"))
NETWORK = Network(NODES, LINKS)
OWNER = np.array([0, 1, 1], np.uint8)
SCENARIO: Any = SimpleNamespace(duration_s=10.0, fidelity=SimpleNamespace(trunk_lost=1e-5), hosts={})
IDENTITY = new_identity()

# -- what is said ------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(0, 3), st.integers(-2, 2**31), st.sampled_from([-(2**63), 2**63, 2**64 - 1]))
FLOATS = st.one_of(st.floats(), st.floats(0, 10), st.integers(0, 5))
WORDS = st.one_of(st.sampled_from(["", "a", "b", "links", "set", "\x1b[2J\n"]), st.text(max_size=20))
ANY = st.recursive(
    st.one_of(NUMBERS, FLOATS, WORDS, st.none(), st.booleans(), st.binary(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(WORDS, NUMBERS), inner, max_size=4)),
    max_leaves=8,
)
ACTIONS = st.fixed_dictionaries(
    {"do": st.sampled_from(["set", "hold", "partition", "link-down", "heal", "crash"])},
    optional={"links": ANY, "nodes": ANY, "groups": ANY, "delay": ANY, "loss": ANY, "delay_s": ANY, "up": ANY},
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that messages have."""
    arguments = get_args(hint)
    if get_origin(hint) is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values, arguments))
    if get_origin(hint) in (tuple, list):
        return st.lists(values(arguments[0]), max_size=3)
    if hint == dict[str, Any]:
        return ACTIONS
    if get_origin(hint) is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if get_origin(hint) in (Union, UnionType) and NoneType in arguments:
        return st.none() | values(arguments[0])
    return {str: WORDS, bytes: st.binary(max_size=40), int: NUMBERS, float: FLOATS, bool: st.booleans()}[hint]


def message(kinds: tuple[type, ...]) -> st.SearchStrategy[bytes]:
    """A message of one of these kinds, whose fields have their types, but for one now and then."""

    def one(kind: type) -> st.SearchStrategy[bytes]:
        hints = get_type_hints(kind)
        named = {each.name: values(hints[each.name]) for each in fields(kind)}  # type: ignore[arg-type]
        other = dict.fromkeys(named, ANY)
        given = st.one_of(st.fixed_dictionaries(named), st.fixed_dictionaries(named), st.fixed_dictionaries(other))
        return given.map(lambda found: msgpack.packb([VERSION, kind.__name__, found]))

    return st.one_of(*map(one, kinds))


def genuine_report() -> dict[str, Any]:
    late = Lateness()
    late.add(0.001, 10)
    counters = {name: 3 for name, kind in TrunkReport._fields_ if "array" not in kind.__name__.lower()}
    trunk = {**counters, "heard_s": 1.0, "least_rtt_s": 1e-4, "latency": [[10, 3]], "probes": [[1, 5, 9, 9, 7]]}
    return {
        "op": "stats", "t_s": 1.0, "ends": {0: [1.0] * len(EndStats), 2: [2.0] * len(EndStats)},
        "lateness": late.pack(), "late": {"packets": 1, "engine_s": 0.1, "scheduler_s": 0.1, "capture_s": 0.0},
        "cpu_s": 1.0, "engine_cpu_s": 0.5, "wakeups": 1, "turn_max_s": 0.1, "overloaded_s": 0.0, "saturated": False,
        "realtime": False, "late_rows": 1, "late_handovers": 0, "held": 0, "late_queues": 0, "untold": 0,
        "host_cpu": 0.5, "host_memory_bytes": 9,
        "told_s": 1.0, "unrouted": {1: 2}, "captures_lost": {0: 1}, "trunks": {0: trunk},
    }  # fmt: skip


@st.composite
def report(draw: Any) -> bytes:
    """A report of a relay of which some part is another thing."""
    made: Any = {"tree": draw(st.sampled_from([
        genuine_report(), genuine_report(), {"op": "trunks", "trunks": genuine_report()["trunks"]},
        {"op": "carrier", "t_s": 1.0, "at_s": 1.0, "changes": [[0, True]]}, {"op": "done", "number": 1},
        {"op": "error", "message": "no", "number": 1},
    ]))}  # fmt: skip
    for _ in range(draw(st.integers(0, 2))):
        inside, place = made, "tree"
        while isinstance(inside[place], dict | list) and inside[place] and draw(st.integers(0, 4)):
            inside = inside[place]
            place = draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))))
        if isinstance(inside, dict) and place != "tree" and draw(st.booleans()):
            inside[draw(st.one_of(NUMBERS, WORDS))] = inside.pop(place)
        else:
            inside[place] = draw(ANY)
    return bytes(msgpack.packb(made["tree"]))


BATCHES = st.one_of(
    st.builds(HEAD.pack, st.just(MAGIC), st.integers(0, 2**32 - 1), NUMBERS.filter(lambda n: n >= 0), st.just(0)),
    st.binary(max_size=60),
    st.just(HEAD.pack(MAGIC, 1, 4, 0) + bytes(ROW_BYTES + 4)),
    st.binary(max_size=40).map(lambda columns: HEAD.pack(MAGIC, len(columns) // ROW_BYTES, 0, 0) + columns),
)
STREAMS = st.builds(lambda kind, rest: bytes((kind,)) + rest, st.integers(0, GONE + 1), st.binary(max_size=12))
SOME = st.integers(0, 3) | st.integers(0, 2**32 - 1)  # number of a process or capture
RAW = st.binary(max_size=60)


def frames(typed: st.SearchStrategy[bytes], reports: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Whole frames of every kind, and bytes that are none."""
    kinds = st.one_of(
        st.tuples(st.just(Kind.MESSAGE), SOME, typed),
        st.tuples(st.just(Kind.REPORT), SOME, reports),
        st.tuples(st.just(Kind.PACKET), SOME, RAW | st.just(msgpack.packb([VERSION, Ready.__name__, {}]))),
        st.tuples(st.just(Kind.CAPTURE), SOME, BATCHES),
        st.tuples(st.just(Kind.STREAM), SOME, STREAMS),
        st.tuples(st.sampled_from(list(Kind)), SOME, RAW),
    )
    whole = kinds.map(lambda frame: FRAME.pack(len(frame[2]), frame[0], frame[1]) + frame[2])
    return st.one_of(whole, whole, whole, whole, whole, RAW)


# -- to the lead -------------------------------------------------------------------------------------------------------


class Stack:
    """A lead of two hosts, with all that takes in what they say."""

    def __init__(self, folder: RunFolder) -> None:
        self.pairs = [socket.socketpair() for _ in range(2)]
        cluster: Any = SimpleNamespace(names=lambda: ["host 0", "host 1"], ended=lambda host: "", release=lambda: None)
        task = Task(0, SCENARIO, NETWORK, OWNER, folder.path, "run", None, b"secret", IDENTITY, ("127.0.0.1", 1))
        self.lead = Lead(cluster, socket.create_server(("127.0.0.1", 0)), [task, task])
        self.lead.beginning = Beginning(self.lead.names, self.lead.say, True, lambda: self.lead.failure)
        for number, (here, _) in enumerate(self.pairs):
            hello = Hello(number, {}, "clock", "127.0.0.1", (1, 2))
            self.lead.hosts.append(HostLink(number, Connection(here), hello, ready=True))
        self.plane = SpreadPlane(SCENARIO, NETWORK, folder, self.lead)
        self.collector = Collector(folder, NETWORK)
        self.plane.on_report = self._said
        self.zygotes = SpreadZygotes(self.plane, self.lead, OWNER.tolist())
        self.processes = Processes(self.zygotes, folder.logs)
        self.processes.on_record = self.collector.record
        for node in "ab":
            self.processes.launch(Launch(0, "program", node, "x"))
        null = os.open(os.devnull, os.O_RDWR)
        self.plane.tell_relay({"op": "capture", "id": 0, "ends": [0]}, (null,))
        self.plane.tell_relay({"op": "set", "ends": [], "number": 1})
        os.close(null)

    def _said(self, told: dict[str, Any]) -> None:
        if told["op"] == "carrier":
            self.collector.carrier(told)
        elif told["op"] not in ("error", "done"):
            self.collector.relay_report(told)

    async def hear(self, stream: bytes) -> None:
        self.pairs[1][1].sendall(stream)
        self.lead._heard(self.lead.hosts[1])

    def sum_up(self) -> None:
        """What is made of it at the end."""
        verdict = Verdict("small", 1)
        for link in self.lead.hosts:
            link.final = link.final or Final(True)
        self.plane.judged(verdict, self.collector.counters)
        self.plane._log(1.0)
        SpreadHosts(SCENARIO, NETWORK, self.lead).rows(self.processes.all, 1.0)
        told = [verdict.machines, verdict.trunks, verdict.clock, self.collector.lateness_ms(), self.collector.drops()]
        json.dumps(told, allow_nan=False)

    def close(self) -> None:
        for here, there in self.pairs:
            here.close()
            there.close()
        self.lead._entrance.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder.create(tmp_path_factory.mktemp("hostile"), "hostile")


@settings(max_examples=300)
@given(stream=st.lists(frames(message(FROM_HOST), report()), min_size=1, max_size=8))
def test_whatever_a_host_says_the_lead_names_it_or_goes_on(folder: RunFolder, stream: list[bytes]) -> None:
    stack = Stack(folder)
    try:
        asyncio.run(stack.hear(b"".join(stream)))
        failure = stack.lead.failure
        assert failure is None or str(failure).startswith("host 1: ") or "no trunk between" in str(failure)
        assert failure is None or 0 < failure.exit_code < 256
        assert not stack.lead.hosts[0].gone
        stack.sum_up()
    finally:
        stack.close()


def test_a_host_that_floods_the_lead_does_not_keep_it_from_others(folder: RunFolder) -> None:
    """It says more than there is time for in a turn; what is left comes in later ones, between which others speak."""
    stack = Stack(folder)
    beat = msgpack.packb([VERSION, "Beat", {}])
    flood = (FRAME.pack(len(beat), Kind.MESSAGE, 0) + beat) * 20_000
    turns: list[int] = []
    link, take = stack.lead.hosts[1], stack.lead._take
    taken: list[int] = []
    stack.lead._take = lambda *words: (taken.append(len(turns)), take(*words))[1]  # type: ignore[method-assign]

    async def play() -> None:
        loop, (here, there) = asyncio.get_running_loop(), stack.pairs[1]
        flooding = loop.run_in_executor(None, there.sendall, flood)
        loop.add_reader(here, stack.lead._heard, link)
        while not flooding.done() or link.more:
            turns.append(1)
            await asyncio.sleep(0)

    asyncio.run(play())
    stack.close()
    assert stack.lead.failure is None
    assert max(Counter(taken).values()) <= AT_ONCE


# -- to a host ---------------------------------------------------------------------------------------------------------


def host_with(end: socket.socket) -> Host:
    """A host whose zygote and data plane do nothing."""
    host = Host.__new__(Host)

    def launch(launch: Launch, streams: Any, supervised: bool) -> None:
        if launch.node != "a":
            raise EmulationError(f"there is no node {launch.node!r}")

    nothing = lambda *_: None  # noqa: E731
    host._task = SimpleNamespace(host=1, scenario=SimpleNamespace(actions=[]), log_name="")  # type: ignore[assignment]
    host._connection = Connection(end)
    host._beat = os.open(os.devnull, os.O_WRONLY)
    host._folder = SimpleNamespace(warnings=[])  # type: ignore[assignment]
    host._zygote = SimpleNamespace(  # type: ignore[assignment]
        launch=launch, kill=nothing, tell=nothing, attach=nothing, resume=nothing, pause=nothing
    )
    host._data_plane = SimpleNamespace(  # type: ignore[assignment]
        joined={}, steps=0, ring=None, attach=nothing, detach=nothing, start=nothing, tell_relay=nothing,
        stop_relay=lambda quickly, meanwhile: True, packets_sent=dict, refused_routes=[], late_rows=0,
    )  # fmt: skip
    host._hosts = SimpleNamespace(used=dict, close=nothing)  # type: ignore[assignment]
    host._play = HostPlay(host._task.scenario, NETWORK, host._data_plane)
    host._follower, host._playing = None, ()
    host._streams, host._tees = HostStreams(host._connection), HostTees(host._connection)
    return host


def orders() -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.fixed_dictionaries({"op": WORDS, "id": ANY, "ends": ANY}).map(msgpack.packb), ANY.map(msgpack.packb), RAW
    )


@settings(max_examples=200)
@given(stream=st.lists(frames(message(TO_HOST), orders()), min_size=1, max_size=8))
def test_whatever_the_lead_says_a_host_ends_with_an_error_or_goes_on(stream: list[bytes]) -> None:
    here, there = socket.socketpair()

    async def play() -> None:
        host = host_with(here)
        there.sendall(b"".join(stream))
        asyncio.get_running_loop().call_later(0.003, there.shutdown, socket.SHUT_WR)  # after it has obeyed
        try:
            with suppress(SkyloomError):
                async with asyncio.timeout(5):
                    await host._serve()
        finally:
            for process in list(host._streams._unread):
                host._streams.drain(process)
            for capture in list(host._tees._pipes.values()):
                os.close(capture)
            os.close(host._beat)

    try:
        asyncio.run(play())
    finally:
        here.close()
        there.close()


def test_what_fails_in_a_callback_ends_a_host() -> None:
    here, there = socket.socketpair()

    async def play() -> None:
        host = host_with(here)
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        try:
            async with asyncio.timeout(5):
                await host._serve()
        finally:
            os.close(host._beat)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(play())
    here.close()
    there.close()
