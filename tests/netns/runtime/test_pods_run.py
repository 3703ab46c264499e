"""Runs on real pods: two in network namespaces of one sandbox, joined by a bridge, with a secret of their own.

One sandbox plays everything, one run after another; the tests look at what came of it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from bridged_machines import Machines, address, runners, scenario, within
from fabric_sandbox import in_sandbox
from skyloom_command import SKYLOOM

from benchmarks.memory import tree
from emulator.fabric.kernel import syscalls
from emulator.runtime.cluster.lead import LOST_S
from emulator.runtime.cluster.pod import make_secret
from emulator.runtime.cluster.pods import RELEASE_S

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root"), pytest.mark.timeout(400)]

SAID = "echo on {node}; cat {directory}/beside.txt; sleep 60"


def signalled(processes: Iterable[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def play(folder: Path) -> dict:
    """Everything, in a sandbox."""
    syscalls.unshare(syscalls.CLONE_NEWNET)
    make_secret(folder / "secret")
    make_secret(folder / "other")
    machines = Machines(2, folder / "temporary", SKYLOOM_SECRET=str(folder / "secret"))
    waiting = [machines.started(host, [*SKYLOOM, "cluster", "pod"]) for host in range(2)]
    found: dict = {"first": [pod.stdout.readline() for pod in waiting]}
    (folder / "beside.txt").write_text("from beside\n")
    for name, duration in (("short", "2 s"), ("long", "60 s")):
        (folder / f"{name}.toml").write_text(scenario(duration, SAID))
    pods = f"pods:{address(0)},{address(1)}"
    run = [*SKYLOOM, "run", "--no-tui", "--runs", str(folder / "runs"), "--cluster"]
    short, long = str(folder / "short.toml"), str(folder / "long.toml")

    def nothing_left() -> bool:
        return not runners() and not list((folder / "temporary").glob("skyloom-*"))

    found["identity"] = machines.run(0, [*run, pods, short], SKYLOOM_SECRET=str(folder / "other"))
    found["port"] = machines.run(0, [*run, pods + ":9", short])
    found["run"] = machines.run(0, [*run, pods, short])
    found["left"] = within(5.0, nothing_left)
    command = machines.started(0, [*run, pods, long])
    found["began"] = within(20.0, lambda: len(runners()) == 2)
    found["busy"] = machines.run(0, [*run, pods, short])
    command.send_signal(signal.SIGKILL)
    found["gone"] = within(5.0, nothing_left)
    command = machines.started(0, [*run, pods, long])
    before = next((line for line in command.stdout if " play " in line), "")
    frozen, began_s = tree(waiting[1].pid), time.monotonic()
    signalled(frozen, signal.SIGSTOP)
    output, _ = command.communicate(timeout=120)
    found["frozen"] = command.returncode, before + output, time.monotonic() - began_s
    signalled(frozen, signal.SIGCONT)
    found["thawed"] = within(10.0, nothing_left)
    command = machines.started(0, [*run, pods, long])
    before = next((line for line in command.stdout if " play " in line), "")
    waiting[1].send_signal(signal.SIGKILL)
    output, _ = command.communicate(timeout=30)
    found["killed"] = command.returncode, before + output
    found["swept"] = within(5.0, nothing_left)
    waiting[0].send_signal(signal.SIGTERM)
    found["told"], _ = waiting[0].communicate(timeout=5)
    found["code"] = waiting[0].returncode
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("pods")
    return folder, in_sandbox(lambda: play(folder))


def test_a_run_on_two_pods(played):
    _, found = played
    assert found["first"] == ["waiting for runs on port 7464\n"] * 2
    code, output, _ = found["run"]
    assert code == 0, output
    run = Path(output.rsplit("run folder", 1)[1].strip())
    verdict = json.loads((run / "verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    pairs = {row["pair"] for row in verdict["probes"]}
    assert {pair.split(" ")[0] for pair in pairs} >= {f"v{number}" for number in range(4)}, "records of both pods"
    for number in range(4):
        said = (run / "logs" / f"v{number}" / "said.txt").read_text()
        assert f"on v{number}" in said, "files of both pods come back"
        assert "from beside" in said, "those of the scenario's directory went there"
    assert found["left"] is not None


def test_who_cannot_play_is_told_why(played):
    _, found = played
    code, output, took_s = found["identity"]
    assert code == 69
    assert f"{address(0)}: whoever answers has not the identity of SKYLOOM_SECRET" in output
    assert took_s < 10
    code, output, _ = found["port"]
    assert code == 69
    assert "nothing answers at port 9" in output
    code, output, _ = found["busy"]
    assert code == 69
    assert f"{address(0)}: plays another run" in output


def test_nothing_is_left_of_a_command_that_is_killed(played):
    _, found = played
    assert found["began"] is not None
    assert found["gone"] is not None


def test_a_pod_that_dies_ends_the_run_in_words(played):
    _, found = played
    code, output = found["killed"]
    assert code == 69, output
    assert address(1) in output
    assert found["swept"] is not None


def test_a_pod_that_stands_still_is_named_and_not_waited_for(played):
    _, found = played
    code, output, took_s = found["frozen"]
    print(f"a frozen pod ended the run after {took_s:.2f} s")
    assert code == 69, output
    assert f"{address(1)}: silent for {LOST_S:g} s" in output
    assert took_s < LOST_S + RELEASE_S
    assert found["thawed"] is not None


def test_the_pod_waits_for_the_next_run_until_it_is_asked_to_end(played):
    _, found = played
    assert found["code"] == 0
    assert found["told"].count("a run begins") == 4
    assert "turned away" in found["told"]
