"""Pseudo-hosts: machines of a cluster that are network namespaces of this one, joined by a bridge.

    lead's namespace: bridge 198.18.0.1 ── veth ── host 0: eth0 198.18.1.0, host 1: eth0 198.18.1.1, …

Invariant: all of it is made inside the sandbox of the run, without rights outside it, and goes with it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection, Sequence
from contextlib import closing

from emulator.fabric.kernel import netlink, syscalls
from emulator.model.errors import EmulationError, PlatformError
from emulator.runtime.cluster import runner
from emulator.runtime.cluster.machines import Task
from emulator.runtime.programs.child import Child

LEAD, NETWORK_BITS = "198.18.0.1", 16  # of the range for benchmarks of networks (RFC 2544)
BRIDGE, BRIDGE_INDEX = "hosts", 10
BRIDGE_MAC = "02:00:00:00:00:01"  # without one a bridge takes a new one as cables come, and hosts write to the old one
CABLE_INDEX = 100  # of host 0; those of the others follow
END_S = 0.5  # for runners to end by themselves, when all is said


def address(host: int) -> str:
    return f"198.18.1.{host}"


class PseudoHosts:
    """A cluster of `count` of them. `close`: descriptors that they must not keep."""

    def __init__(self, count: int, close: Collection[int] = ()) -> None:
        self._names = [f"host {host}" for host in range(count)]
        self._close = list(close)
        self._children: list[Child] = []

    def names(self) -> Sequence[str]:
        return self._names

    def listen(self) -> socket.socket:
        """Make the bridge; the lead listens on it."""
        make_bridge()
        return socket.create_server((LEAD, 0), backlog=len(self._names))

    def start(self, tasks: Sequence[Task]) -> None:
        """Fork a runner into a namespace of its own for each task."""
        for task in tasks:
            netns = namespace(task.host)

            def run(task: Task = task, netns: int = netns) -> None:
                syscalls.setns(netns, syscalls.CLONE_NEWNET)
                os.close(netns)
                self.enter(task.host)
                os._exit(runner.run(task, address(task.host)))

            self._children.append(Child(self._names[task.host], run, self._close))
            os.close(netns)

    def enter(self, host: int) -> None:
        """Called in the process of a host before its runner begins."""

    def ended(self, host: int) -> str:
        child = self._children[host]
        return child.describe_end() if child.wait(0.0) else ""

    def release(self, silent: Collection[int] = ()) -> Sequence[str]:
        for host in silent:
            self._children[host].kill()
        deadline = time.monotonic() + END_S
        for child in self._children:
            if not child.wait(max(0.0, deadline - time.monotonic())):
                child.kill()
        return ()


def make_bridge() -> None:
    """Make the bridge in this network namespace, with the address of the lead."""
    _tell_kernel(
        [
            netlink.set_link(1, up=True),
            netlink.add_bridge(BRIDGE, BRIDGE_INDEX),
            netlink.set_link(BRIDGE_INDEX, up=True, mac=BRIDGE_MAC),
            netlink.add_address(BRIDGE_INDEX, LEAD, NETWORK_BITS),
        ]
    )


def namespace(host: int) -> int:
    """A network namespace with a cable to the bridge of this one."""
    home = syscalls.open_netns()
    try:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        netns = syscalls.open_netns()
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        _tell_kernel([netlink.add_veth(CABLE_INDEX + host, f"host{host}", BRIDGE_INDEX, "eth0", netns)])
        with syscalls.inside(netns):
            index = socket.if_nametoindex("eth0")
            _tell_kernel(
                [
                    netlink.set_link(1, up=True),
                    netlink.set_link(index, up=True),
                    netlink.add_address(index, address(host), NETWORK_BITS),
                ]
            )
    except OSError as error:
        raise PlatformError(f"no namespace for host {host} can be made: {error}") from None
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)
    return netns


def _tell_kernel(messages: list[bytes]) -> None:
    with closing(netlink.Socket()) as route_socket:
        try:
            route_socket.send(messages, "pseudo-hosts")
        except EmulationError as error:
            raise PlatformError(f"{error}; expected a kernel with bridges and veth devices") from None
