"""Real Ray nodes, each in a network namespace, and namespaces beside them, on one bridge; with a token."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from emulator.fabric.kernel import netlink, syscalls

CABLE = 100  # number of the first namespace's, at the bridge
PORT = 6379  # of the head, for machines of the cluster
START_S = 180  # for a node, on a machine that has other work
AHEAD_S = 1000  # by which the monotonic clock of every node but the first is ahead


def address(host: int) -> str:
    return f"198.18.1.{host + 1}"


class Nodes:
    """`count` Ray nodes, each in a namespace with a cable to one bridge, and so many more namespaces without one."""

    def __init__(self, count: int, folder: Path, token: str, beside: int = 0) -> None:
        self.environment = {
            **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0",
            "TMPDIR": str(folder / "temporary"), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        (folder / "temporary").mkdir()
        self._tell([netlink.add_bridge("hosts", 10), netlink.set_link(10, up=True)])
        self.spaces = [self._space(host) for host in range(count + beside)]
        ray = str(Path(sys.executable).with_name("ray"))
        start = [ray, "start", "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
        for host in range(count):
            where = f"--address={address(0)}:{PORT}" if host else "--head"
            more = [] if host else [f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
            ahead = ["--monotonic", str(AHEAD_S), "--boottime", str(AHEAD_S)]
            other_clock = ["unshare", "--fork", "--time", *ahead] if host else []
            self.run(host, [*other_clock, *start, where, f"--node-ip-address={address(host)}", *more], START_S)

    def _tell(self, messages: list[bytes]) -> None:
        with closing(netlink.Socket()) as route_socket:
            route_socket.send(messages, "test")

    def _space(self, host: int) -> int:
        home = syscalls.open_netns()
        syscalls.unshare(syscalls.CLONE_NEWNET)
        space = syscalls.open_netns()
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        self._tell([netlink.add_veth(CABLE + host, f"host{host}", 10, "eth0", space)])
        with syscalls.inside(space):
            index = socket.if_nametoindex("eth0")
            up = [netlink.set_link(1, up=True), netlink.set_link(index, up=True)]
            self._tell([*up, netlink.add_address(index, address(host), 16)])
        return space

    def cut(self, host: int) -> None:
        """Cut the cable of a namespace, for good."""
        self._tell([netlink.set_link(CABLE + host, up=False)])

    def started(self, host: int, words: list[str], **environment: str) -> subprocess.Popen[str]:
        with syscalls.inside(self.spaces[host]):
            return subprocess.Popen(
                words, env=self.environment | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )

    def run(self, host: int, words: list[str], timeout_s: float, **environment: str) -> tuple[int, str, float]:
        began_s = time.monotonic()
        process = self.started(host, words, **environment)
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output, time.monotonic() - began_s
