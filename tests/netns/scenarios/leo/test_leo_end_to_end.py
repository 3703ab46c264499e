"""`skyloom run leo` as a user types it: the whole shell, real processes, and what other terminals can do meanwhile.

What is asserted are bounds that physics and the plan set. A packet that is late past a change of the plan breaks them,
so the run that measures is `alone`.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import SKYLOOM, skyloom

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300), needs_sandbox]

QUIET = [
    word
    for setting in ("program.bulk.config.rate=2 Mbit/s", "program.probe.config.interval=1 s", "expect.2.at_least=0.1")
    for word in ("--set", setting)
]


class Live:
    """A run in the background; `play` returns once its nodes answer."""

    def __init__(self, runs: Path, *arguments: str) -> None:
        self.runs = runs
        self.process = subprocess.Popen(
            [*SKYLOOM, "run", "leo", "--no-tui", "--runs", str(runs), *QUIET, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 60
        while self.run_id is None or skyloom("exec", "--run", self.run_id, "gs-tokyo", "--", "true").returncode:
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "the run did not come alive"

    @property
    def run_id(self) -> str | None:
        folders = list(self.runs.glob("leo/2*"))
        return folders[0].name.rsplit("-", 1)[1] if folders else None

    def execute(self, node: str, *command: str) -> subprocess.CompletedProcess[str]:
        assert self.run_id
        return skyloom("exec", "--run", self.run_id, node, "--", *command)

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    run = Live(tmp_path_factory.mktemp("runs"), "--duration", "150s")
    yield run
    if run.process.poll() is None:
        run.process.kill()
    run.process.communicate()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished short run with a capture; played again, at most three times, while it reports lateness."""
    runs = tmp_path_factory.mktemp("runs")
    for _ in range(3):
        done = skyloom(
            "run", "leo", "--duration", "6s", "--no-tui", "--runs", str(runs), "--capture", "gs-tokyo:*", *QUIET
        )
        assert done.returncode in (0, 1, 75), done.stdout + done.stderr
        if done.returncode == 0:
            break
    return (runs / "leo" / "latest").resolve()


@pytest.mark.alone
def test_probes_are_never_faster_than_the_plan(finished: Path) -> None:
    verdict = json.loads((finished / "verdict.json").read_text())
    assert verdict["scenario"] == "leo"
    pairs = [probe for probe in verdict["probes"] if probe["seen_ms"] is not None]
    assert len(pairs) >= 100, "12 stations probe each other"
    for probe in pairs:
        assert probe["seen_ms"] >= probe["asked_ms"] - 0.05, probe


@pytest.mark.alone
def test_london_and_paris_meet_at_one_satellite(finished: Path) -> None:
    """As seen by the probes' own clocks, of packets that crossed real interfaces."""
    verdict = json.loads((finished / "verdict.json").read_text())
    near = {"gs-london → gs-paris", "gs-paris → gs-london"}
    seen = [probe["seen_ms"] for probe in verdict["probes"] if probe["pair"] in near]
    assert len(seen) == 2
    assert max(seen) <= 15.0


@pytest.mark.alone
def test_flows_and_samples_are_recorded(finished: Path) -> None:
    from emulator.record import load_run

    run = load_run(finished)
    flows = json.loads((finished / "verdict.json").read_text())["summary"]["flows"]
    assert {(flow["from"], flow["to"]) for flow in flows} == {
        ("gs-tokyo", "gs-paris"),
        ("gs-new-york", "gs-london"),
        ("gs-sao-paulo", "gs-johannesburg"),
        ("gs-sydney", "gs-los-angeles"),
    }
    assert all(flow["mbytes"] > 0 for flow in flows)
    assert set(run.samples["name"].unique()) >= {"rtt_s", "owd_s", "goodput_bps", "latency_s"}
    assert run.links.height > 0
    assert 'preset = "starlink-1"' in run.scenario


@pytest.mark.alone
@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark (Debian package tshark)")
def test_capture_opens_in_tshark(finished: Path) -> None:
    fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "ip.src", "-e", "udp.port"]
    done = subprocess.run(
        ["tshark", "-r", str(finished / "capture.pcapng"), *fields], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    complaints = [line for line in done.stderr.splitlines() if "root" not in line and line.strip()]
    assert not complaints
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    ends = {tuple(row[0].split(" -> ")) for row in rows}
    satellites = {name for pair in ends for name in pair if name.startswith("sat-")}
    assert len(satellites) > 1, "routes choose among the satellites in view"
    assert ends <= {pair for sat in satellites for pair in (("gs-tokyo", sat), (sat, "gs-tokyo"))}
    assert any("4242" in row[2] for row in rows), "probes are in the capture"


@pytest.mark.skipif(not shutil.which("ping"), reason="needs ping (Debian package iputils-ping)")
@pytest.mark.parametrize("version", ["-4", "-6"])
def test_exec_ping_by_name(live: Live, version: str) -> None:
    done = live.execute("gs-tokyo", "ping", version, "-c", "3", "-i", "0.2", "gs-paris")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0% packet loss" in done.stdout


@pytest.mark.skipif(not shutil.which("traceroute"), reason="needs traceroute (Debian package traceroute)")
def test_traceroute_shows_the_satellites(live: Live) -> None:
    """Every satellite on the way answers, though none has a namespace, and each is a neighbour of the one before."""
    for _ in range(3):  # a handover, or a route that changes on the way, is a reason to ask again
        done = live.execute("gs-new-york", "traceroute", "-n", "-q", "1", "-w", "3", "-m", "60", "gs-london")
        assert done.returncode == 0, done.stderr
        hops = [line.split()[1] for line in done.stdout.splitlines()[1:]]
        planes = [int(hop.split(".")[1]) for hop in hops[:-1] if hop != "*"]
        steps = {(after - before) % 72 for before, after in itertools.pairwise(planes)}
        if "*" not in hops and len(planes) >= 3 and steps <= {0, 1, 71}:
            break
    assert "*" not in hops
    assert len(set(hops)) == len(hops) >= 4
    assert all(1 <= plane <= 72 for plane in planes), hops
    assert steps <= {0, 1, 71}, "an ISL joins satellites of one plane or of adjacent planes"
    assert hops[-1].startswith("10.255."), "the last hop is the station"


@pytest.mark.skipif(not shutil.which("ping"), reason="needs ping (Debian package iputils-ping)")
@pytest.mark.parametrize("version", ["-4", "-6"])
def test_satellites_without_a_namespace_answer_pings_by_name(live: Live, version: str) -> None:
    done = live.execute("gs-delhi", "ping", version, "-c", "3", "-i", "0.2", "sat-3005")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("ping"), reason="needs ping (Debian package iputils-ping)")
def test_satellites_with_a_namespace_pass_pings_on_and_an_interrupt_gives_a_verdict(tmp_path: Path) -> None:
    """sat-3218 and its neighbour sat-3219 are live; the kernel of each has more than one way to the others."""
    run = Live(tmp_path, "--duration", "150s", "--set", 'materialise=["sat-3218", "sat-3219"]')
    try:
        for other in ("sat-3220", "sat-3217", "sat-0101"):  # behind the live neighbour, beside it, far away
            for version in ("-4", "-6"):
                done = run.execute("sat-3218", "ping", version, "-c", "3", "-i", "0.2", other)
                assert done.returncode == 0, done.stdout + done.stderr
    finally:
        code, output = run.end()
    assert code == 130, output
    verdict = json.loads((tmp_path / "leo" / "latest" / "verdict.json").read_text())
    assert verdict["exit_code"] == 130


def test_exec_passes_the_exit_code_on(live: Live) -> None:
    assert live.execute("gs-tokyo", "sh", "-c", "exit 7").returncode == 7
    unknown = live.execute("gs-tokio", "true")
    assert unknown.returncode == 64
    assert "gs-tokyo" in unknown.stderr


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark (Debian package tshark)")
def test_live_capture(live: Live) -> None:
    assert live.run_id
    capture = subprocess.Popen(
        [*SKYLOOM, "capture", "--run", live.run_id, "gs-tokyo:up", "--live"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown = subprocess.run(
        ["tshark", "-l", "-r", "-", "-c", "5"],
        stdin=capture.stdout,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    capture.terminate()
    capture.communicate(timeout=30)
    assert len(shown.stdout.splitlines()) == 5, shown.stderr


def processes_with(marker: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_kill_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYLOOM_TEST_MARK", f"{os.getpid()}-kill")
    marker = f"SKYLOOM_TEST_MARK={os.getpid()}-kill".encode()
    run = Live(tmp_path, "--duration", "150s")
    run.process.kill()
    run.process.communicate()
    deadline = time.monotonic() + 30
    while left := [pid for pid in processes_with(marker) if pid != os.getpid()]:
        assert time.monotonic() < deadline, left
