"""Machines in network namespaces, joined by the bridge of pseudo-hosts, on which tests start programs as users do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from emulator.fabric.kernel import netlink, syscalls
from emulator.runtime.cluster import pseudo_hosts
from emulator.runtime.cluster.pseudo_hosts import address

__all__ = ["Machines", "address", "processes", "runners", "scenario", "within"]

_SCENARIO = """
topology = "topologies.wan"
duration = "{duration}"
[wan]
hosts = 4
map = "five-regions"
[fidelity]
lateness_p99 = "500 ms"
[[program]]
name = "said"
nodes = "v*"
command = ["sh", "-c", "{said}"]
[[program]]
name = "probe"
nodes = "v*"
run = "nodes.traffic.probe:Probe"
"""


class Machines:
    """`count` of them, which share the folder `temporary`. `environment`: of all their programs, beside our own."""

    def __init__(self, count: int, temporary: Path, **environment: str) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": paths, **environment}
        temporary.mkdir()
        pseudo_hosts.make_bridge()
        self._spaces = [pseudo_hosts.namespace(host) for host in range(count)]

    def started(self, host: int, words: list[str], **environment: str) -> subprocess.Popen[str]:
        with syscalls.inside(self._spaces[host]):
            return subprocess.Popen(
                words, env=self._environment | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )

    def run(self, host: int, words: list[str], timeout_s: float = 120, **environment: str) -> tuple[int, str, float]:
        """Exit code, output, and how long it took."""
        began_s = time.monotonic()
        process = self.started(host, words, **environment)
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output, time.monotonic() - began_s

    def cut(self, host: int) -> None:
        """Cut the cable of a machine, for good."""
        with closing(netlink.Socket()) as route_socket:
            route_socket.send([netlink.set_link(pseudo_hosts.CABLE_INDEX + host, up=False)], "test")


def scenario(duration: str, said: str) -> str:
    """One of four nodes that probe each other, each of which runs the shell command `said`."""
    return _SCENARIO.replace("{duration}", duration).replace("{said}", said)


def processes(*modules: bytes) -> list[int]:
    """Those that were started as one of these modules."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if any(module in path.read_bytes() for module in modules):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def runners() -> list[int]:
    """Processes that play hosts."""
    return processes(b"emulator.runtime.cluster.runner_process")


def within(seconds: float, holds: Callable[[], object]) -> float | None:
    """How long it took until something held; None where it took longer."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < seconds:
        if holds():
            return passed_s
        time.sleep(0.02)
    return None
