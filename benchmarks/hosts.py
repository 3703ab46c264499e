"""What a node's host costs: its namespaces and a command's start in them, bare, with private folders, and in an image.

Rounds take turns, in sandboxes of their own; figures are medians over rounds. Prints one line a kind.

    python benchmarks/hosts.py [NODES] [ROUNDS]        needs busybox (Debian: busybox-static)
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from emulator.fabric import sandbox
from emulator.fabric.build import allow_descriptors
from emulator.fabric.host.namespaces import make_namespaces
from emulator.fabric.host.settings import HostSettings, PrivateFolder
from emulator.fabric.image import read_image
from emulator.fabric.kernel import syscalls

BUSYBOX = Path("/usr/bin/busybox")
KINDS = ("bare", "host", "image")
SETTLE_S = 1.0  # in which the kernel gives back what the sandbox before had
STARTS = 50  # commands of which each kind's start is the median
_FLAGS = {"net": syscalls.CLONE_NEWNET, "uts": syscalls.CLONE_NEWUTS, "mnt": syscalls.CLONE_NEWNS}


def free_mb() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 1024


def settings_of(kind: str, node: str, folder: Path) -> HostSettings:
    """A node's host: two private folders, and with "image" files that are all the image's."""
    return HostSettings(
        name=node,
        private=(PrivateFolder("/tmp"), PrivateFolder("/run")),
        root=read_image(folder / "root").unpack(folder / "none").root if kind == "image" else None,
        run_folder=str(folder / "run"),
        working_folder=str(folder / "run"),
    )


def new_netns() -> int:
    syscalls.unshare(syscalls.CLONE_NEWNET)
    return syscalls.open_netns()


def start_s(namespaces: dict[str, int], program: str) -> float:
    """From the fork to the end of a program that does nothing, in namespaces that it joins."""
    begun = time.perf_counter()
    child = os.fork()
    if child == 0:
        for kind, descriptor in namespaces.items():
            syscalls.setns(descriptor, _FLAGS[kind])
        os.execv(program, [program, "true"])
    _, status = os.waitpid(child, 0)
    took_s = time.perf_counter() - begun
    assert status == 0, status
    return took_s


def measure(kind: str, nodes: int, folder: Path) -> dict[str, float]:
    """Milliseconds and megabytes a node, all hosts of `nodes` nodes alive at once."""
    time.sleep(SETTLE_S)
    allow_descriptors(4 * nodes)
    before_mb = free_mb()
    making_s, processor_s = 0.0, 0.0
    made = []
    for number in range(nodes):
        netns = new_netns()
        begun, busy = time.perf_counter(), time.process_time()
        namespaces = {"net": netns}
        if kind != "bare":
            found = make_namespaces(settings_of(kind, f"n{number}", folder), netns)
            namespaces |= {"uts": found.uts, "mnt": found.mnt}
        making_s += time.perf_counter() - begun
        processor_s += time.process_time() - busy
        made.append(namespaces)
    used_mb = before_mb - free_mb()
    program = "/bin/busybox" if kind == "image" else str(BUSYBOX)
    starts_s = [start_s(made[number % nodes], program) for number in range(STARTS)]
    return {
        "host_ms": making_s / nodes * 1e3,
        "processor_ms": processor_s / nodes * 1e3,
        "start_ms": statistics.median(starts_s) * 1e3,
        "memory_mb": used_mb / nodes,
    }


def in_sandbox(kind: str, nodes: int, folder: Path) -> dict[str, float]:
    answer = folder / "answer.json"

    def main() -> int:
        answer.write_text(json.dumps(measure(kind, nodes, folder)))
        return 0

    os.waitpid(sandbox.spawn(main, {}), 0)
    found: dict[str, float] = json.loads(answer.read_text())
    answer.unlink()
    return found


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    if not BUSYBOX.exists():
        sys.exit(f"{BUSYBOX} is missing; install busybox-static")
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "run").mkdir()
        for below in ("bin", "etc", "run"):
            (folder / "root" / below).mkdir(parents=True)
        shutil.copy(BUSYBOX, folder / "root" / "bin")
        for _ in range(rounds):
            for kind in KINDS:
                found[kind].append(in_sandbox(kind, nodes, folder))
    for kind in KINDS:
        medians = {key: statistics.median(one[key] for one in found[kind]) for key in found[kind][0]}
        print(
            f"{kind:6} host made in {medians['host_ms']:6.2f} ms ({medians['processor_ms']:.2f} ms of a processor),"
            f" command from fork to end {medians['start_ms']:6.2f} ms, memory {medians['memory_mb']:6.3f} MB a node"
        )


if __name__ == "__main__":
    main()
