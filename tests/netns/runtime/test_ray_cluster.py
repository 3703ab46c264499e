"""Runs on real Ray nodes: two in network namespaces of one sandbox, joined by a bridge, with a token; the second one
has a monotonic clock of its own.

Skipped where Ray is not installed (`pip install 'skyloom[cluster]'`). One sandbox plays everything, because Ray takes
seconds to start; the tests look at what came of it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from fabric_sandbox import in_sandbox
from skyloom_command import SKYLOOM

from emulator.fabric.kernel import netlink, syscalls

pytest.importorskip("ray", reason="Ray is not installed: pip install 'skyloom[cluster]'")
pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root"), pytest.mark.timeout(300)]

PORT = 6379
AHEAD_S = 1000  # by which the second node's monotonic clock is ahead
SCENARIO = """
topology = "topologies.wan"
duration = "DURATION"
[wan]
hosts = 4
map = "five-regions"
[fidelity]
lateness_p99 = "500 ms"
[[program]]
name = "said"
nodes = "v*"
command = ["sh", "-c", "echo on {node}; sleep 1"]
[[program]]
name = "probe"
nodes = "v*"
run = "nodes.traffic.probe:Probe"
"""


def address(host: int) -> str:
    return f"198.18.1.{host + 1}"


class Nodes:
    """Ray nodes, each in a namespace with a cable to one bridge."""

    def __init__(self, count: int, folder: Path, token: str) -> None:
        self.environment = {
            **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0",
            "TMPDIR": str(folder / "temporary"), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        (folder / "temporary").mkdir()
        self._tell([netlink.add_bridge("hosts", 10), netlink.set_link(10, up=True)])
        self.spaces = [self._space(host) for host in range(count)]
        ray = str(Path(sys.executable).with_name("ray"))
        start = [ray, "start", "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
        for host in range(count):
            where = f"--address={address(0)}:{PORT}" if host else "--head"
            more = [] if host else [f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
            ahead = ["--monotonic", str(AHEAD_S), "--boottime", str(AHEAD_S)]
            other_clock = ["unshare", "--fork", "--time", *ahead] if host else []
            self.run(host, [*other_clock, *start, where, f"--node-ip-address={address(host)}", *more], timeout_s=60)

    def _tell(self, messages: list[bytes]) -> None:
        with closing(netlink.Socket()) as route_socket:
            route_socket.send(messages, "test")

    def _space(self, host: int) -> int:
        home = syscalls.open_netns()
        syscalls.unshare(syscalls.CLONE_NEWNET)
        space = syscalls.open_netns()
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        self._tell([netlink.add_veth(100 + host, f"host{host}", 10, "eth0", space)])
        with syscalls.inside(space):
            index = socket.if_nametoindex("eth0")
            up = [netlink.set_link(1, up=True), netlink.set_link(index, up=True)]
            self._tell([*up, netlink.add_address(index, address(host), 16)])
        return space

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


def runners() -> list[int]:
    """Processes that play hosts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"emulator.runtime.cluster.runner_process" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def within(seconds: float, holds) -> float | None:
    """How long it took until something held."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < seconds:
        if holds():
            return passed_s
        time.sleep(0.02)
    return None


def play(folder: Path) -> dict:
    """Everything, in a sandbox."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    nodes = Nodes(2, folder, secrets.token_hex(16))
    for name, duration in (("short", "3 s"), ("long", "60 s")):
        (folder / f"{name}.toml").write_text(SCENARIO.replace("DURATION", duration))
    run = [*SKYLOOM, "run", "--no-tui", "--runs", str(folder / "runs"), "--cluster", f"{address(0)}:{PORT}"]
    found: dict = {}
    found["token"] = nodes.run(0, [*run, str(folder / "short.toml")], 60, RAY_AUTH_TOKEN=secrets.token_hex(16))
    found["open"] = nodes.run(0, [*run, str(folder / "short.toml")], 60, RAY_AUTH_MODE="disabled")
    found["many"] = nodes.run(0, [*run, str(folder / "short.toml"), "--hosts", "3"], 60)
    found["check"] = nodes.run(1, [*SKYLOOM, "cluster", "check"], 90, RAY_ADDRESS=f"{address(0)}:{PORT}")
    found["run"] = nodes.run(0, [*run, str(folder / "short.toml")], 90)
    found["left"] = within(5.0, lambda: not runners())
    command = nodes.started(0, [*run, str(folder / "long.toml")])
    found["began"] = within(60.0, lambda: len(runners()) == 2)
    time.sleep(1.0)
    command.send_signal(signal.SIGKILL)
    found["gone"] = within(20.0, lambda: not runners())
    found["swept"] = within(5.0, lambda: not list((folder / "temporary").glob("skyloom-*")))
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("ray")
    return folder, in_sandbox(lambda: play(folder))


def test_a_run_on_two_machines(played):
    folder, found = played
    code, output, _ = found["run"]
    assert code == 0, output
    run = folder / "runs" / "short" / "latest"
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert {row["pair"] for row in verdict["probes"]}
    assert verdict["clock"]["offset_us"] == pytest.approx(AHEAD_S * 1e6, abs=1000)
    for number in range(4):
        said = (run / "logs" / f"v{number}" / "said.txt").read_text()
        assert f"on v{number}" in said, "files of both machines come back"
    assert found["left"] is not None


def test_who_may_not_come_is_told_why_and_soon(played):
    _, found = played
    code, output, took_s = found["token"]
    assert code == 69
    assert "token is missing or incorrect" in output
    assert took_s < 15
    code, output, _ = found["open"]
    assert code == 69
    assert "RAY_AUTH_MODE=token" in output
    code, output, _ = found["many"]
    assert code == 69
    assert "the Ray cluster has 2 machines" in output


def test_nothing_is_left_of_a_run_that_is_killed(played):
    _, found = played
    assert found["began"] is not None
    assert found["gone"] is not None
    assert found["gone"] < 5
    assert found["swept"] is not None


def test_a_check_says_what_machines_and_pairs_have(played):
    _, found = played
    code, output, _ = found["check"]
    assert code == 0, output
    machine = [line.split() for line in output.splitlines() if line.endswith("yes")]
    assert [words[1] for words in machine] == [f"({address(0)})", f"({address(1)})"]
    (pair,) = (line.split() for line in output.splitlines() if "50/50" in line)
    assert pair[-1] == "1500"
