"""Which hosts a lead recognises, and what it makes of those that are lost, silent or of another schedule."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np
import pytest

from emulator.model.errors import EXIT_INTERNAL, EXIT_PLATFORM, PlatformError
from emulator.model.network import Network, NodeSpec
from emulator.runtime.cluster import lead as lead_module
from emulator.runtime.cluster import runner
from emulator.runtime.cluster.host_link import HostError
from emulator.runtime.cluster.lead import Lead
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.planes import SpreadZygotes
from emulator.runtime.control.cluster_messages import Beat, ClockTold, Final, HostFailed, HostReady
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.messages import FromZygote, ProcessExited
from emulator.runtime.control.remote import Kind
from emulator.runtime.control.tls import TlsConnection, context, new_identity
from emulator.runtime.programs.launch import Launch
from emulator.schedule.row_digest import Joined

NETWORK = Network((NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2")), ())


class Threads:
    """Two hosts that say hello, in threads of this process; `told` changes what each is told to do."""

    def __init__(self, told: Callable[[Task], Task] = lambda task: task) -> None:
        self.connections: dict[int, TlsConnection] = {}
        self.how = ""  # they ended
        self._told = told
        self._threads: list[threading.Thread] = []

    def names(self) -> Sequence[str]:
        return ["host 0", "host 1"]

    def listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    def start(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._threads.append(threading.Thread(target=self._introduce, args=(self._told(task),)))
            self._threads[-1].start()

    def _introduce(self, task: Task) -> None:
        end = socket.create_connection(task.lead)
        connection = self.connections[task.host] = TlsConnection(end, context(task.identity, listens=False))
        trunks = runner._trunks(task, "127.0.0.1")
        try:
            runner._introduce(task, "127.0.0.1", connection, trunks)
        except PlatformError:
            pass  # the lead has refused one of the two
        finally:
            for trunk in trunks.values():
                trunk.close()

    def join(self) -> None:
        """Wait until both have been told who is there, or refused: a connection is one thread's at a time."""
        for thread in self._threads:
            thread.join(10)

    def ended(self, host: int) -> str:
        return self.how

    def release(self, silent: Collection[int] = ()) -> tuple[str, ...]:
        self.silent = silent
        self.join()
        for connection in self.connections.values():
            connection.close()
        return ()


def lead_of(cluster: Threads) -> Lead:
    listener = cluster.listen()
    task = Task(
        0, SimpleNamespace(), NETWORK, np.array([0, 1], np.uint8), Path(), "run", None, b"secret",
        new_identity(), listener.getsockname()[:2],
    )  # type: ignore[arg-type]  # fmt: skip
    return Lead(cluster, listener, [task, replace(task, host=1)])


@pytest.fixture
def two() -> Iterator[Any]:
    cluster = Threads()
    lead = lead_of(cluster)
    lead.start()
    cluster.join()
    yield lead, cluster
    lead.close()


def heard(lead: Lead, host: int) -> None:
    """Take in what a host has said."""
    lead._take(lead.hosts[host], lead.hosts[host].connection.receive_within(5.0))


def test_hosts_of_the_run_are_recognised_and_wait_for_each_other(two: Any) -> None:
    lead, cluster = two
    assert [link.hello.host for link in lead.hosts] == [0, 1]
    assert [len(link.hello.ports) for link in lead.hosts] == [2, 2]
    for host in (0, 1):
        cluster.connections[host].say(HostReady((f"warning of {host}",)))
    lead.wait_until_ready(lambda done, total: None)
    assert lead.warnings == ["host 0: warning of 0", "host 1: warning of 1"]


def test_a_host_with_another_identity_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead_module, "HELLO_S", 2.0)
    cluster = Threads(lambda task: replace(task, identity=new_identity()) if task.host else task)
    lead = lead_of(cluster)
    with pytest.raises(PlatformError, match="host 1 has not come within 2 s; strangers that were turned away: 1"):
        lead.start()
    lead.close()


@pytest.mark.parametrize("told", [{"host": 7}, {"owner": np.array([0, 0], np.uint8)}], ids=["number", "trunks"])
def test_a_host_of_a_number_or_with_trunks_that_cannot_be_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    monkeypatch.setattr(lead_module, "HELLO_S", 2.0)
    lead = lead_of(Threads(lambda task: replace(task, **told) if task.host else task))
    with pytest.raises(PlatformError, match="host 1 has not come within 2 s; strangers that were turned away: 1"):
        lead.start()
    lead.close()


def test_a_runner_says_that_its_lead_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ANSWER_S", 2.0)
    lead = lead_of(Threads())
    task = lead._tasks[1]
    ours, theirs = socket.socketpair()
    connection = TlsConnection(ours, context(task.identity, listens=False))
    silent = TlsConnection(theirs, context(task.identity, listens=True))
    shaking = threading.Thread(target=silent.receive_within, args=(10,))
    shaking.start()
    with pytest.raises(PlatformError, match="the lead has not answered within 2 s"):
        runner._introduce(task, "127.0.0.1", connection, {})
    shaking.join()
    for each in (connection, silent, lead):
        each.close()


def test_strangers_neither_end_nor_hold_up_the_start() -> None:
    cluster = Threads()
    lead = lead_of(cluster)
    silent, hasty, wrong = (socket.create_connection(lead._tasks[0].lead) for _ in range(3))
    hasty.close()
    wrong.send(b"GET / HTTP/1.1")
    began_s = time.monotonic()
    lead.start()
    assert time.monotonic() - began_s < lead_module.HELLO_S / 2
    assert [link.number for link in lead.hosts] == [0, 1]
    assert lead.warnings == ["connections to the lead that no host of this run made: 3"]
    assert silent.recv(1) == b"", "its end"
    for end in (silent, wrong):
        end.close()
    lead.close()


def test_a_host_with_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = runner.versions()
    monkeypatch.setattr(runner, "versions", lambda: {**ours, "sgp4": "0.1"})
    cluster = Threads()
    lead = lead_of(cluster)
    with pytest.raises(PlatformError, match=r"host \d: sgp4 0\.1; expected "):
        lead.start()
    lead.close()


def test_a_runner_that_ends_before_it_was_there_is_named() -> None:
    cluster = Threads()
    cluster.start = lambda tasks: None  # type: ignore[method-assign]
    cluster.how = "the host 0 process ended with status 69"
    lead = lead_of(cluster)
    with pytest.raises(PlatformError, match="host 0: the host 0 process ended with status 69 before it was there"):
        lead.start()
    lead.close()


def test_a_host_that_says_nothing_while_nodes_are_built_is_named(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead_module, "BUILD_S", 0.2)
    lead, cluster = two
    cluster.connections[0].say(HostReady())
    with pytest.raises(HostError, match=r"host 1: silent for 0\.2 s while its nodes are built"):
        lead.wait_until_ready(lambda done, total: None)


def test_the_first_failure_is_that_of_the_run(two: Any) -> None:
    lead, cluster = two
    told: list[Any] = []
    lead.on_failure.append(told.append)
    cluster.connections[1].say(HostFailed("the relay process ended with status 1", EXIT_INTERNAL))
    heard(lead, 1)
    cluster.connections[0].socket.shutdown(socket.SHUT_RDWR)
    heard(lead, 0)
    (failure,) = told
    assert isinstance(failure, HostError)
    assert (str(failure), failure.exit_code) == ("host 1: the relay process ended with status 1", EXIT_INTERNAL)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.MESSAGE, b"no message"),
        (Kind.REPORT, b"no report"),
        (Kind.REPORT, msgpack.packb({"op": "stats", "t_s": 1.0})),
        (Kind.REPORT, msgpack.packb({"op": "stats", "t_s": 1.0, "ends": {}, "trunks": {9: {"heard_s": 0.0}}})),
    ],
)
def test_a_host_whose_message_or_report_is_malformed_is_named(two: Any, kind: Kind, data: bytes) -> None:
    lead, cluster = two
    cluster.connections[1].send(kind, 0, data)
    select.select([lead.hosts[1].connection], [], [], 5.0)
    lead._heard(lead.hosts[1])
    assert str(lead.failure).startswith("host 1: ")
    assert lead.failure.exit_code == EXIT_PLATFORM


def test_a_host_that_says_its_last_words_during_play_is_named(two: Any) -> None:
    lead, cluster = two
    cluster.connections[1].say(Final(True))
    select.select([lead.hosts[1].connection], [], [], 5.0)
    lead._heard(lead.hosts[1])
    assert str(lead.failure) == "host 1: said its last words before it was asked for them"


def test_a_host_that_tells_a_clock_that_nobody_asked_for_is_named(two: Any) -> None:
    lead, cluster = two
    cluster.connections[1].say(ClockTold(1, 2, 3))
    select.select([lead.hosts[1].connection], [], [], 5.0)
    lead._heard(lead.hosts[1])
    assert str(lead.failure) == "host 1: tells its clock, which nobody asked it for"


def test_a_host_that_says_nothing_in_play_is_named(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lead_module, "LOST_S", 1.0)
    monkeypatch.setattr(lead_module, "BEAT_S", 0.01)
    lead, cluster = two

    async def play() -> None:
        lead.attach()
        async with asyncio.timeout(10.0):
            while lead.failure is None:
                cluster.connections[0].say(Beat())
                await asyncio.sleep(0.01)
        cluster.connections[0].say(Final(True))
        lead.finish(quickly=True)

    asyncio.run(play())
    assert str(lead.failure) == "host 1: silent for 1 s"
    assert not lead.hosts[0].gone
    lead.close()
    assert cluster.silent == [1], "nobody waits for its files"


def test_a_fault_of_the_lead_in_play_is_the_failure_of_the_run(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lead, _ = two
    monkeypatch.setattr(lead, "say_all", {}.__getitem__)

    async def play() -> None:
        failed = asyncio.Event()
        lead.on_failure.append(lambda error: failed.set())
        lead.attach()
        await asyncio.wait_for(failed.wait(), 10)
        lead.finish(quickly=True)

    asyncio.run(play())
    assert str(lead.failure).startswith("KeyError: Beat(")
    assert lead.failure.exit_code == EXIT_INTERNAL


def test_warnings_of_hosts_are_bounded_and_a_failure_has_an_exit_code(two: Any) -> None:
    lead, cluster = two
    for number in range(20):
        cluster.connections[0].say(HostReady(tuple(f"{number} {each}" for each in range(100))))
        heard(lead, 0)
    assert len(lead.warnings) == lead_module.MOST_WARNINGS
    cluster.connections[1].say(HostFailed("as if nothing were", 0))
    heard(lead, 1)
    assert lead.failure.exit_code == EXIT_PLATFORM


def test_a_host_of_another_schedule_is_named_with_its_versions(two: Any) -> None:
    lead, cluster = two
    lead.row = {7: Joined("aa", 1.0)}.get
    lead.hosts[1].hello.versions["numpy"] = "9.9"
    cluster.connections[0].say(Beat(7, "aa", 1.0 + 1e-12))
    heard(lead, 0)
    assert lead.failure is None
    cluster.connections[1].say(Beat(7, "bb", 1.0))
    heard(lead, 1)
    assert str(lead.failure).startswith("host 1: computed another schedule for step 7: numpy 9.9 against ")
    assert lead.failure.exit_code == EXIT_PLATFORM


def test_a_trunk_is_dead_only_between_hosts_that_are_here(two: Any) -> None:
    lead, _ = two
    report = {"op": "stats", "t_s": 5.0, "trunks": {0: {"heard_s": 2.5}}}
    lead.hosts[0].heard_s = time.monotonic() - 1.0
    lead._check_trunks(lead.hosts[1], report)
    assert lead.failure is None
    lead.hosts[0].heard_s = time.monotonic()
    lead._check_trunks(lead.hosts[1], {**report, "t_s": 4.0})
    assert lead.failure is None
    lead._check_trunks(lead.hosts[1], report | {"final": True})
    assert lead.failure is None, "the other host may have ended"
    lead._check_trunks(lead.hosts[1], report)
    assert str(lead.failure) == "no trunk between host 0 and host 1: nothing came for 2 s"


def test_a_host_speaks_for_processes_that_were_started_there_and_have_not_ended(two: Any) -> None:
    lead, _ = two
    plane: Any = SimpleNamespace(live_node="ab".index)
    zygotes = SpreadZygotes(plane, lead, [0, 1])
    heard_of: list[FromZygote] = []
    zygotes.on_message = heard_of.append
    zygotes.launch(Launch(7, "program", "a", "x"), {}, True)
    with pytest.raises(BadMessage, match="speaks of process 7, which was not started there"):
        lead.on_packet(1, 7, b"x")
    with pytest.raises(BadMessage, match="process 8"):
        lead.on_zygote(0, ProcessExited(8, 0))
    lead.on_zygote(0, ProcessExited(7, 0))
    with pytest.raises(BadMessage, match="speaks of process 7, which has ended"):
        lead.on_zygote(0, ProcessExited(7, 0))
    assert heard_of == [ProcessExited(7, 0)]
