"""Runs on real Ray nodes: two in network namespaces of one sandbox, joined by a bridge, with a token; the second one
has a monotonic clock of its own. A third namespace is a laptop, which reaches the head's port for clients.

Skipped where Ray is not installed (`pip install 'skyloom[cluster]'`). One sandbox plays everything, because Ray takes
seconds to start; the tests look at what came of it.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bridged_machines import Machines, address, processes, runners, scenario, within
from fabric_sandbox import in_sandbox
from skyloom_command import SKYLOOM

from emulator.fabric.kernel import syscalls

pytest.importorskip("ray", reason="Ray is not installed: pip install 'skyloom[cluster]'")
pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root"), pytest.mark.timeout(400)]

SPARE_S = 5.0  # for a machine that has other work
LAPTOP = 2  # the namespace that is no node of the cluster
PORT = 6379  # of the head, for machines of the cluster
START_S = 180  # for a node, on a machine that has other work
AHEAD_S = 1000  # by which the monotonic clock of every node but the first is ahead


def start_nodes(machines: Machines, count: int, temporary: Path) -> None:
    """Have the first machines be a Ray cluster, of which the first is the head."""
    ray = str(Path(sys.executable).with_name("ray"))
    start = [ray, "start", "--num-cpus=2", "--object-store-memory=80000000", "--disable-usage-stats"]
    for host in range(count):
        where = f"--address={address(0)}:{PORT}" if host else "--head"
        more = [] if host else [f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={temporary}"]
        ahead = ["--monotonic", str(AHEAD_S), "--boottime", str(AHEAD_S)]
        other_clock = ["unshare", "--fork", "--time", *ahead] if host else []
        machines.run(host, [*other_clock, *start, where, f"--node-ip-address={address(host)}", *more], START_S)


def led() -> list[int]:
    """All processes of a run that a laptop has started."""
    return runners() + processes(b"emulator.client.ray_led")


def play(folder: Path) -> dict:
    """Everything, in a sandbox."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
    nodes = Machines(3, folder / "temporary", **token)
    start_nodes(nodes, 2, folder / "ray")
    for name, duration in (("short", "3 s"), ("long", "60 s")):
        (folder / f"{name}.toml").write_text(scenario(duration, "echo on {node}; sleep 1"))
    run = [*SKYLOOM, "run", "--no-tui", "--runs", str(folder / "runs"), "--cluster", f"{address(0)}:{PORT}"]
    found: dict = {}
    found["token"] = nodes.run(0, [*run, str(folder / "short.toml")], RAY_AUTH_TOKEN=secrets.token_hex(16))
    found["open"] = nodes.run(0, [*run, str(folder / "short.toml")], RAY_AUTH_MODE="disabled")
    found["many"] = nodes.run(0, [*run, str(folder / "short.toml"), "--hosts", "3"])
    found["check"] = nodes.run(1, [*SKYLOOM, "cluster", "check"], 90, RAY_ADDRESS=f"{address(0)}:{PORT}")
    found["run"] = nodes.run(0, [*run, str(folder / "short.toml")], 90)
    found["left"] = within(5.0, lambda: not runners())
    command = nodes.started(0, [*run, str(folder / "long.toml")])
    found["began"] = within(60.0, lambda: len(runners()) == 2)
    time.sleep(1.0)
    command.send_signal(signal.SIGKILL)
    found["gone"] = within(20.0, lambda: not runners())
    found["swept"] = within(5.0, lambda: not list((folder / "temporary").glob("skyloom-*")))
    return found | play_from_a_laptop(nodes, folder) | play_cut_off(nodes, folder, run)


def play_from_a_laptop(nodes: Machines, folder: Path) -> dict:
    """What the laptop does, one thing after the other."""
    head = f"ray://{address(0)}:10001"
    run = [*SKYLOOM, "run", "--no-tui", "--runs", str(folder / "laptop"), "--cluster", head]
    inside = [*SKYLOOM, "exec", "v3", "--", "sh", "-c", "hostname; exit 7"]
    found: dict = {}

    def begun() -> subprocess.Popen[str]:
        command = nodes.started(LAPTOP, [*run, str(folder / "long.toml")])
        assert within(60.0, lambda: nodes.run(LAPTOP, inside, 20)[0] == 7) is not None
        return command

    found["laptop token"] = nodes.run(LAPTOP, [*run, str(folder / "short.toml")], RAY_AUTH_TOKEN="0" * 32)
    found["laptop check"] = nodes.run(LAPTOP, [*SKYLOOM, "cluster", "check", "--cluster", head], 90)
    found["laptop run"] = nodes.run(LAPTOP, [*run, str(folder / "short.toml")], 90)
    command = begun()
    found["laptop exec"] = nodes.run(LAPTOP, inside, 20)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=30)
    found["laptop interrupt"] = command.returncode, output
    found["laptop left"] = within(6.0, lambda: not led())
    command = begun()
    command.send_signal(signal.SIGKILL)
    found["laptop gone"] = within(20.0, lambda: not led())
    found["laptop kept"] = list((folder / "temporary").glob("skyloom-runs-*/*/verdict.json"))
    return found


def play_cut_off(nodes: Machines, folder: Path, run: list[str]) -> dict:
    """A run that loses the cable of its second machine: how soon that is named and all is gone, after the cut."""
    runs = folder / "cut"
    command = nodes.started(0, [*run, str(folder / "long.toml"), "--runs", str(runs)])
    told: dict = {}

    def plays() -> bool:
        for path in runs.glob("long/2*/platform.json"):
            told.update(json.loads(path.read_text()))
        return "t0_monotonic_ns" in told

    assert within(120.0, plays) is not None
    time.sleep(1.0)
    nodes.cut(1)
    cut_s = time.monotonic()
    output, _ = command.communicate(timeout=60)
    ended_s = time.monotonic() - cut_s
    left: list[int] = []

    def gone() -> bool:
        left[:] = runners() + processes(bytes(runs))  # the agent is a fork of the command
        return not left

    within(20.0, gone)
    gone_s = time.monotonic() - cut_s
    verdict = json.loads(next(runs.glob("long/2*/verdict.json")).read_text())
    named_s = told["t0_monotonic_ns"] * 1e-9 + verdict["duration_s"] - cut_s
    found = {"code": command.returncode, "error": verdict["error"], "named_s": named_s}
    return {"cut": found | {"ended_s": ended_s, "gone_s": gone_s, "output": output, "left": left}}


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
    assert took_s < 5 + SPARE_S
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


def test_a_run_from_a_laptop_is_as_one_of_the_cluster(played):
    folder, found = played
    code, output, _ = found["laptop check"]
    assert code == 0, output
    code, output, _ = found["laptop run"]
    assert code == 0, output
    run = folder / "laptop" / "short" / "latest"
    assert json.loads((run / "verdict.json").read_text())["verdict"] == "pass"
    for number in range(4):
        assert f"on v{number}" in (run / "logs" / f"v{number}" / "said.txt").read_text()
    code, output, _ = found["laptop exec"]
    assert code == 7
    assert "v3" in output


def test_a_laptop_with_another_token_is_told_so_and_soon(played):
    _, found = played
    code, output, took_s = found["laptop token"]
    assert code == 69
    assert "token" in output
    assert took_s < 5 + SPARE_S


def test_an_interrupt_on_the_laptop_ends_the_run_and_brings_its_folder(played):
    folder, found = played
    code, output = found["laptop interrupt"]
    assert code == 130, output
    verdicts = [json.loads(path.read_text()) for path in (folder / "laptop" / "long").glob("*/verdict.json")]
    assert [verdict["interrupted"] for verdict in verdicts] == [True]
    assert found["laptop left"] is not None


def test_a_run_whose_laptop_is_gone_ends_soon_and_its_folder_stays_there(played):
    _, found = played
    assert found["laptop gone"] is not None
    print(f"nothing of a laptop's run was left after {found['laptop gone']:.2f} s")
    assert found["laptop gone"] < 6 + SPARE_S
    assert len(found["laptop kept"]) == 1
    assert json.loads(found["laptop kept"][0].read_text())["interrupted"]


def test_a_machine_whose_cable_is_cut_is_named_and_ends_the_run_everywhere(played):
    _, found = played
    cut = found["cut"]
    print({name: cut[name] for name in ("named_s", "ended_s", "gone_s")})
    assert cut["code"] == 69, cut["output"]
    assert f"({address(1)}): silent for 2 s" in cut["error"]
    assert cut["error"] in cut["output"]
    assert 1.5 < cut["named_s"] < 3 + SPARE_S
    assert cut["ended_s"] < 5 + SPARE_S
    assert cut["gone_s"] < 5 + SPARE_S
    assert not cut["left"]
