"""A live run for a Mininet prompt in another terminal: its network, and commands started in its nodes.

Invariant: this process holds no namespace and no privilege; the run itself starts every command, with descriptors of
this process.
"""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from emulator.client.exec import environment
from emulator.client.watch import Connection, ask, choose
from emulator.model.errors import EmulationError
from emulator.model.network import LinkSpec, Network, NodeSpec
from emulator.runtime.control.messages import (
    Act,
    DescribeNetwork,
    Done,
    Execute,
    Exited,
    LinkRows,
    NetworkEnd,
    NodeRows,
    Signal,
    Started,
)  # fmt: skip

NETWORK: tuple[type[NodeRows | LinkRows | NetworkEnd], ...] = (NodeRows, LinkRows, NetworkEnd)


class RemoteCommand:
    """A command that the run has started; the handle that `emulator.fabric.mininet.popen` wants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal, or None while it runs."""
        return self._receive_status(0.0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._receive_status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("command in a node", timeout or 0.0)
        return status

    def send_signal(self, signum: int) -> None:
        if self._status is None:
            self._connection.send(Signal(int(signum)))

    def _receive_status(self, timeout_s: float | None) -> int | None:
        if self._status is None:
            poll = select.poll()
            poll.register(self._connection, select.POLLIN)
            if poll.poll(None if timeout_s is None else timeout_s * 1e3):
                self._status = self._connection.receive((Exited,)).status
                self._connection.close()
        return self._status


def executor(run: str | None) -> Callable[[str, Sequence[str], int, int, int], RemoteCommand]:
    """Starts commands in nodes of one run: node, words, stdin, stdout, stderr."""
    run_id = choose(run)

    def execute(node: str, argv: Sequence[str], stdin: int, stdout: int, stderr: int) -> RemoteCommand:
        connection = Connection(run_id)
        request = Execute(node, tuple(argv), environment(), str(Path.cwd()))
        connection.ask(request, Started, (stdin, stdout, stderr))
        return RemoteCommand(connection)

    return execute


def switcher(run: str | None) -> Callable[[list[str], bool], None]:
    """Switches link ends of one run on and off, by their names."""
    run_id = choose(run)

    def switch(ends: list[str], up: bool) -> None:
        ask(Act({"do": "link-up" if up else "link-down", "links": ends}), Done, run_id)

    return switch


def network_of(run: str | None) -> Network:
    """The run's nodes and links, without schedules."""
    connection = Connection(run)
    nodes: list[NodeSpec] = []
    links: list[LinkSpec] = []
    deadline = time.monotonic() + 10.0
    try:
        connection.send(DescribeNetwork())
        while time.monotonic() < deadline:
            match connection.receive(NETWORK):
                case NodeRows(rows):
                    nodes += [
                        NodeSpec(name, role, live, ipv4, ipv6, bridge=bridge)
                        for name, role, live, ipv4, ipv6, bridge in rows
                    ]
                case LinkRows(link_rows):
                    links += [_link(*row) for row in link_rows]
                case _:
                    return Network(tuple(nodes), tuple(links))
    finally:
        connection.close()
    raise EmulationError(f"run {connection.run_id} does not answer in time")


def _link(
    name: str, a: int, b: int, a_port: str, b_port: str, moving: bool, ethernet: bool, a_address: str, b_address: str
) -> LinkSpec:
    return LinkSpec(
        name, a, b, a_port, b_port, moving=moving, ethernet=ethernet, a_address=a_address, b_address=b_address
    )
