"""Whole runs on nodes that are hosts: name, files and bounds, and programs that behave badly."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import in_sandbox
from skyloom_command import SKYLOOM

from emulator.fabric.host.cgroup import ControlGroups, NoControlGroups
from emulator.fabric.kernel import syscalls

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

LINES = 10_000
HEAD = 'topology = "topologies.wan"\nduration = "3 s"\n[wan]\nhosts = 2\n[fidelity]\nlateness_p99 = "200 ms"\n'
HOSTS = f"""
[[host]]
nodes = "*"
private = ["/run"]
limits = {{ nofile = 321 }}
[[host]]
nodes = "v1"
cpu = 0.2
memory = "32 MB"
[[file]]
nodes = "*"
path = "/run/app/peers"
content = "{{node}} of {{nodes:v*|{{node}}={{address}}}}"
[[program]]
name = "show"
nodes = "*"
command = "sh -c 'hostname; cat /run/app/peers; echo; ulimit -n; ls /sys/class/net; echo $SEEN; touch kept'"
environment = {{ SEEN = "{{index}} {{address:v1}}" }}
[[program]]
name = "leaves"
nodes = "v0"
command = "sh -c 'setsid sleep 987 & echo gone'"
[[program]]
name = "talks"
nodes = "v0"
command = ["{sys.executable}", "-c", "for i in range({LINES}): print('line', i)"]
[[program]]
name = "spins"
nodes = "v1"
command = "sh -c 'while :; do :; done'"
[[program]]
name = "swells"
nodes = "v1"
command = ["{sys.executable}", "-c", "x = bytearray(100_000_000)"]
expect = "any"
[[action]]
at = "700 ms"
do = "exec"
nodes = "v1"
command = "sh -c 'hostname; cat /run/app/peers'"
expect = "exit 0"
"""


def verdict_of(runs: Path) -> dict[str, Any]:
    [file] = runs.glob("lab/*-*/verdict.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def can_bound() -> bool:
    try:
        ControlGroups("probe").close()
    except NoControlGroups:
        return False
    return True


WITHOUT_ROOT = ["setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all"]
"""Root's files, but none of its rights, so that the run has a user namespace; setfcap is what maps user 0 needs."""


@pytest.mark.parametrize("before", [[], WITHOUT_ROOT], ids=["root", "user"])
def test_nodes_are_hosts(tmp_path: Path, before: list[str]) -> None:
    (tmp_path / "lab.toml").write_text(HEAD + HOSTS)
    words = [*before, *SKYLOOM, "run", tmp_path / "lab.toml", "--no-tui", "--runs", tmp_path / "runs"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folder = tmp_path / "runs" / "lab" / "latest"
    peers = "v0=10.128.0.1,v1=10.128.0.2"
    for index in (0, 1):
        shown = (folder / "logs" / f"v{index}" / "show.txt").read_text().splitlines()
        assert shown == [f"v{index}", f"v{index} of {peers}", "321", "lo", "up", f"{index} 10.128.0.2"]
        assert (folder / "nodes" / f"v{index}" / "kept").exists()
    assert (folder / "logs" / "v1.txt").read_text() == f"v1\nv1 of {peers}"
    assert (folder / "logs" / "v0" / "talks.txt").read_text().splitlines()[-1] == f"line {LINES - 1}"
    assert not Path("/run/app").exists()
    listed = subprocess.run(["pgrep", "-f", "^sleep 987$"], check=False, capture_output=True)
    assert not listed.stdout  # what left its session has died with the run
    [row] = verdict_of(tmp_path / "runs")["hosts"]
    assert (row["node"], row["cores_asked"], row["memory_asked_bytes"]) == ("v1", 0.2, 32e6)
    if can_bound():
        assert row["bounded"]
        assert row["throttled_s"] > 0
        assert 0 < row["cores_delivered"] < 0.3
        assert 1e6 < row["memory_peak_bytes"] <= 32e6
    else:
        assert any("not bounded" in each for each in verdict_of(tmp_path / "runs")["warnings"])


def test_groups_of_a_killed_run_are_removed_by_the_next() -> None:
    if not can_bound():
        pytest.skip("no control groups can be made here")
    alive, killed = ControlGroups("alive"), ControlGroups("killed")
    alive.add("n1", 0.5, 64e6)
    folders = [*killed.add("n1", 0.5, 64e6).folders.values()]
    killed.forget()  # as if its process had been killed
    ControlGroups("next").close()
    assert not any(folder.parent.exists() for folder in folders)
    kept = [folder for group in alive.nodes for folder in group.folders.values()]
    assert all(folder.exists() for folder in kept)
    left = subprocess.Popen(["sleep", "60"])
    for folder in kept:
        (folder / "cgroup.procs").write_text(str(left.pid))
    alive.close()  # ends what a program left behind
    assert not any(folder.exists() for folder in kept)
    assert left.wait(10) == -signal.SIGKILL


def test_without_control_groups_it_is_said_why() -> None:
    def body() -> str:
        syscalls.mount("tmpfs", "/sys", "tmpfs")
        try:
            ControlGroups("none")
        except NoControlGroups as error:
            return str(error)
        return ""

    assert in_sandbox(body)


def test_a_full_disk_under_the_run_folder_is_said(tmp_path: Path) -> None:
    program = "head -c 3000000 /dev/zero > big"
    (tmp_path / "lab.toml").write_text(
        HEAD + f'[[program]]\nname = "fills"\nnodes = "v0"\ncommand = ["sh", "-c", "{program}"]\n'
    )
    (tmp_path / "runs").mkdir()
    run = shlex.join([*SKYLOOM, "run", str(tmp_path / "lab.toml"), "--no-tui", "--runs", str(tmp_path / "runs")])
    script = f"mount -t tmpfs -o size=1500k tmpfs {tmp_path}/runs && {run}; echo exit $?"
    ended = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert "exit 1" in ended.stdout, ended.stdout + ended.stderr
    assert "v0: exited with status 1" in ended.stdout
    assert "No space left on device" in ended.stdout
