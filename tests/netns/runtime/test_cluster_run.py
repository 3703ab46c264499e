"""Runs over pseudo-hosts of this machine: what users get, and what comes of hosts that are lost."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from capture_streams import blocks
from host_topology import host_topology
from skyloom_command import SKYLOOM, skyloom

from emulator.model.errors import EXIT_PLATFORM

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

TOPOLOGY = host_topology("ab", "bc", "ca")
SCENARIO = """
name = "small"
topology = "topo.py"
[[program]]
name = "probe"
nodes = ["*"]
run = "nodes.traffic.probe:Probe"
config = { interval = "100 ms" }
"""
NAMED_S, GONE_S = 3.0, 5.0
SPARE_S = 2.0  # for a busy machine
LOST_RECORDS_S = 1.0  # of a host that is killed
AT_ONCE = 4  # runs that fail, which mostly wait


def small_in(folder: Path) -> Path:
    """The folder, with the scenario in it."""
    (folder / "topo.py").write_text(TOPOLOGY)
    (folder / "small.toml").write_text(SCENARIO)
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_in(tmp_path)


def verdict_of(runs: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((runs / "small" / "latest" / "verdict.json").read_text())
    return verdict


@pytest.mark.filterwarnings("ignore::DeprecationWarning:pcapng.*")
def test_three_hosts_make_one_run_without_rights_of_the_machine(small: Path) -> None:
    actions = """
[[action]]
do = "set"
at = "500 ms"
links = ["a:b"]
delay = "20 ms"
[[action]]
do = "exec"
at = "200 ms"
nodes = ["c"]
command = ["sh", "-c", "echo of {node}; exit 3"]
expect = "exit 3"
[[expect]]
figure = "trunks.lost"
at_most = 0
[[expect]]
figure = "machines.2.nodes"
equals = 1
[capture]
links = ["*"]
"""
    (small / "small.toml").write_text(SCENARIO.replace("100 ms", "20 ms") + actions)
    words = [*SKYLOOM, "run", str(small / "small.toml"), "--hosts", "3", "--duration", "1500ms", "--runs"]
    command = ["unshare", "--user", "--map-root-user", *words, str(small / "runs")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    verdict, folder = verdict_of(small / "runs"), small / "runs" / "small" / "latest"
    assert verdict["error"] == "", ended.stderr
    assert [machine["nodes"] for machine in verdict["machines"]] == [1, 1, 1]
    probes = {row["pair"]: row for row in verdict["probes"]}
    assert len(probes) == 6
    assert all(row["lost"] == 0 and row["sent"] > 30 for row in probes.values())
    assert probes["b → c"]["asked_ms"] == pytest.approx(20.1, abs=0.2)
    packets = pl.read_parquet(folder / "links.parquet").sum()
    (sent,), (delivered,) = packets["sent_packets"], packets["delivered_packets"]
    under_way = 4 * 1 + 2 * 2  # at most, as the run ends: each end takes 2 in 20 ms, for 10 ms or, where set, 20
    assert sent - under_way <= delivered <= verdict["trunks"]["crossings"] <= sent
    assert (verdict["trunks"]["lost"], verdict["trunks"]["mtu"]) == (0, 1500)
    assert not [text for text in verdict["warnings"] if text.startswith("conservation")]
    assert {outcome["figure"]: outcome["holds"] for outcome in verdict["expectations"]} == {
        "program probe": True,
        "exec sh -c 'echo of {node}; exit 3'": True,
        "trunks.lost": True,
        "machines.2.nodes": True,
    }
    packets = [block for block in blocks((folder / "capture.pcapng").read_bytes()) if hasattr(block, "packet_data")]
    assert verdict["capture"]["packets"] == len(packets) > 180
    assert verdict["capture"]["missed"] == 0
    assert {packet.interface.options["if_name"] for packet in packets} == {
        f"{here} -> {there}" for here in "abc" for there in "abc" if here != there
    }
    left_s = [packet.timestamp for packet in packets]
    assert left_s == sorted(left_s)
    hosts = pl.read_parquet(folder / "hosts.parquet")
    assert hosts["host"].unique().to_list() == [0, 1, 2]
    assert hosts.select("t_s", "host").is_unique().all()
    assert hosts["memory_bytes"].max() > 2**20
    trunks = pl.read_parquet(folder / "trunks.parquet")
    assert trunks.select("sender", "receiver").unique().height == 6
    late = pl.read_parquet(folder / "samples.parquet").filter((pl.col("t_s") > 0.6) & (pl.col("name") == "rtt_s"))
    slow = late.filter((pl.col("node") == "a") & (pl.col("key") == "b"))["value"]
    assert 0.0299 < slow.median() < 0.04  # it was 20 ms before the action; how exact it is says the run's fidelity


def test_a_network_that_cannot_be_cut_is_refused(small: Path) -> None:
    ended = skyloom("run", small / "small.toml", "--hosts", "4", "--runs", small / "runs")
    assert ended.returncode != 0
    assert "--hosts 4" in ended.stderr
    assert not list((small / "runs" / "small").glob("2*"))


class Cluster:
    """A live run over three hosts."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        command = [*SKYLOOM, "run", str(folder / "small.toml"), "--hosts", "3", "--duration", "30s", "--no-tui"]
        self._said = folder / "said.txt"
        with open(self._said, "w") as said:
            self.process = subprocess.Popen([*command, "--runs", str(self.runs)], stdout=said, stderr=said)
        self.until(lambda: "t0_utc_ns" in self._platform(), 30)
        self.until(lambda: len(self.runners()) == 3, 5)
        self.all = self._below(self.process.pid)

    @property
    def folder(self) -> Path:
        return self.runs / "small" / "latest"

    def _platform(self) -> str:
        try:
            return (self.folder / "platform.json").read_text()
        except OSError:
            return ""

    @property
    def run_id(self) -> str:
        return self.folder.resolve().name.rpartition("-")[2]

    def until(self, condition: Callable[[], object], within_s: float) -> float:
        """Wait for it; returns how long it took."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() < begun + within_s, "not in time"
            assert self.process.poll() is None, self._said.read_text()
            time.sleep(0.01)
        return time.monotonic() - begun

    @property
    def supervisor(self) -> int:
        return next(pid for pid in self._below(self.process.pid) if _name(pid) == "supervisor")

    def runners(self) -> list[int]:
        """In the order of their hosts."""
        lead = self.supervisor
        found = {_name(pid): pid for pid in _children(lead) if _name(pid).startswith("host ")}
        return [found[name] for name in sorted(found)]

    def of_host(self, host: int) -> list[int]:
        """All processes of one."""
        return [self.runners()[host], *self._below(self.runners()[host])]

    def in_lead_network(self, *command: str) -> None:
        subprocess.run(["nsenter", "-t", str(self.supervisor), "-n", *command], check=True)

    def ended(self, within_s: float) -> tuple[int, dict[str, Any]]:
        """Exit code and verdict; nothing is left."""
        deadline_s = time.monotonic() + within_s
        code = self.process.wait(within_s)
        self._gone(deadline_s)
        return code, verdict_of(self.runs)

    def gone_without(self, pid: int) -> None:
        """Kill one process, and nothing is left."""
        os.kill(pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 1.0 + SPARE_S
        self.process.wait(GONE_S)
        self._gone(deadline_s)

    def _gone(self, deadline_s: float) -> None:
        while left := [pid for pid in self.all if _name(pid)]:
            assert time.monotonic() < deadline_s, [(pid, _name(pid)) for pid in left]
            time.sleep(0.01)

    def _below(self, pid: int) -> list[int]:
        found = []
        for child in _children(pid):
            found += [child, *self._below(child)]
        return found

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def _children(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    """The name of a process; "" where it is gone, or only waits for its parent."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    name, _, rest = status.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] == "Z" else name


def test_commands_captures_and_live_actions_reach_every_host(small: Path) -> None:
    with Cluster(small) as cluster:
        for node, other in ("ab", "bc", "ca"):
            ended = skyloom("exec", "--run", cluster.run_id, node, "--", "ping", "-c", "1", "-W", "5", other)
            assert ended.returncode == 0, ended.stdout + ended.stderr
        command = ["sh", "-c", "cat; hostname; echo wrong >&2; exit 7"]
        words = [*SKYLOOM, "exec", "--run", cluster.run_id, "b", "--", *command]
        told = subprocess.run(words, input="given\n", capture_output=True, text=True, timeout=60)
        assert (told.returncode, told.stdout, told.stderr) == (7, "given\nb\n", "wrong\n")
        unknown = skyloom("exec", "--run", cluster.run_id, "d", "--", "true")
        assert "there is no node 'd'" in unknown.stderr
        capture = small / "live.pcapng"
        taken = skyloom("capture", "--run", cluster.run_id, "a:b", "b:a", "--to", capture, "--count", "20")
        assert taken.returncode == 0, taken.stderr
        assert capture.stat().st_size > 20 * 60
        os.kill(cluster.process.pid, signal.SIGINT)
        code, verdict = cluster.ended(GONE_S + SPARE_S)
        assert code == 130
        assert verdict["interrupted"]


def a_runner_that_is_killed_is_named_at_once(small: Path) -> None:
    with Cluster(small) as cluster:
        cluster.until(lambda: (cluster.folder / "samples.spool").stat().st_size > 0, 10)
        t0_s = json.loads((cluster.folder / "platform.json").read_text())["t0_monotonic_ns"] * 1e-9
        killed_s = time.monotonic() - t0_s
        os.kill(cluster.runners()[1], signal.SIGKILL)
        code, verdict = cluster.ended(GONE_S + SPARE_S)
        assert code == EXIT_PLATFORM
        assert verdict["error"].startswith("host 1: ")
        assert "SIGKILL" in verdict["error"]
        samples = pl.read_parquet(cluster.folder / "samples.parquet").filter(pl.col("node") == "b")
        assert samples["t_s"].max() > killed_s - LOST_RECORDS_S


def a_host_that_is_cut_off_is_named_and_ends_itself(small: Path) -> None:
    with Cluster(small) as cluster:
        inside = cluster.of_host(2)
        cluster.in_lead_network("ip", "link", "set", "host2", "down")
        cut_s = time.monotonic()
        code, verdict = cluster.ended(NAMED_S + GONE_S + SPARE_S)
        assert code == EXIT_PLATFORM
        assert verdict["error"] == "host 2: silent for 2 s"
        assert time.monotonic() - cut_s < GONE_S + SPARE_S
        assert not [pid for pid in inside if _name(pid)]


def a_frozen_host_is_named(small: Path) -> None:
    with Cluster(small) as cluster:
        for pid in cluster.of_host(0):
            os.kill(pid, signal.SIGSTOP)
        code, verdict = cluster.ended(GONE_S + SPARE_S)
        assert code == EXIT_PLATFORM
        assert verdict["error"] == "host 0: silent for 2 s"


def a_dead_trunk_between_two_living_hosts_ends_the_run(small: Path) -> None:
    if shutil.which("bridge") is None:
        pytest.skip("needs bridge (Debian's iproute2)")
    with Cluster(small) as cluster:
        for host in (0, 1):
            cluster.in_lead_network("bridge", "link", "set", "dev", f"host{host}", "isolated", "on")
        code, verdict = cluster.ended(GONE_S + SPARE_S)
        assert code == EXIT_PLATFORM
        assert verdict["error"] == "no trunk between host 0 and host 1: nothing came for 2 s"


def hosts_end_themselves_when_the_lead_says_nothing(small: Path) -> None:
    with Cluster(small) as cluster:
        hosts = [pid for host in range(3) for pid in cluster.of_host(host)[1:]]
        os.kill(cluster.supervisor, signal.SIGSTOP)
        took_s = cluster.until(lambda: not [pid for pid in hosts if _name(pid)], GONE_S + SPARE_S)
        assert took_s > 2.5
        os.kill(cluster.supervisor, signal.SIGCONT)
        code, verdict = cluster.ended(GONE_S + SPARE_S)
        assert code == EXIT_PLATFORM
        assert verdict["error"].startswith("host ")


def nothing_outlives_the_lead(small: Path) -> None:
    with Cluster(small) as cluster:
        cluster.gone_without(cluster.supervisor)


def nothing_outlives_the_command(small: Path) -> None:
    with Cluster(small) as cluster:
        cluster.gone_without(cluster.process.pid)


def a_full_disk_is_said_and_there_is_a_verdict(small: Path) -> None:
    fills = 'command = ["sh", "-c", "head -c 3000000 /dev/zero > big"]'
    (small / "small.toml").write_text(f'{SCENARIO}[[program]]\nname = "fills"\nnodes = "*"\n{fills}\n')
    (small / "runs").mkdir()
    words = [*SKYLOOM, "run", str(small / "small.toml"), "--hosts", "3", "--duration", "1s", "--no-tui"]
    words += ["--set", "fidelity.lateness_p99=1 s"]
    run = shlex.join([*words, "--runs", str(small / "runs")])
    script = f"mount -t tmpfs -o size=1500k tmpfs {small}/runs && {run}; echo exit $?"
    ended = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert "exit 1" in ended.stdout, ended.stdout + ended.stderr
    assert "No space left on device" in ended.stdout


FAILURES: list[Callable[[Path], None]] = [
    hosts_end_themselves_when_the_lead_says_nothing,
    a_host_that_is_cut_off_is_named_and_ends_itself,
    a_dead_trunk_between_two_living_hosts_ends_the_run,
    a_frozen_host_is_named,
    nothing_outlives_the_lead,
    nothing_outlives_the_command,
    a_runner_that_is_killed_is_named_at_once,
    a_full_disk_is_said_and_there_is_a_verdict,
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """The checks of FAILURES by name, of which AT_ONCE go on together."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            failure.__name__: pool.submit(failure, small_in(tmp_path_factory.mktemp(failure.__name__)))
            for failure in FAILURES
        }


@pytest.mark.parametrize("name", [failure.__name__ for failure in FAILURES])
def test_run_that_fails(failures: dict[str, Future[None]], name: str) -> None:
    failures[name].result()
