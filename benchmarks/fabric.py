"""What the fabric costs: namespaces, ports, a whole shell of live satellites, and a ring against Mininet's own build.

Everything is built in a sandbox of its own and gone afterwards. Prints one JSON object a line.

    python benchmarks/fabric.py [--planes 72] [--hosts 200] [--only parts|shell|ring]
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from emulator.fabric import Fabric, sandbox
from emulator.fabric.kernel import syscalls, tun
from emulator.model.network import BuildOptions

PARTS = 200
TIMEOUT_S = 120.0


def free_mb() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 1024


def own_mb() -> float:
    """Memory of this process that no other shares."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return (int(fields["Private_Dirty"].split()[0]) + int(fields["Private_Clean"].split()[0])) / 1024


class Stage:
    """Wall time, processor time and memory of a block."""

    def __enter__(self) -> Stage:
        self._wall, self._cpu, self._free = time.perf_counter(), time.process_time(), free_mb()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu
        self.mb = self._free - free_mb()


def parts() -> dict[str, Any]:
    """One namespace, and one TUN port, at a time."""
    held = []
    with Stage() as namespaces:
        for _ in range(PARTS):
            syscalls.unshare(syscalls.CLONE_NEWNET)
            held.append(syscalls.open_netns())
    with Stage() as ports:
        held += [tun.open_port(f"p{number}", tun.FIRST_INDEX + number) for number in range(4 * PARTS)]
    return {
        "what": "parts",
        "namespace_ms": namespaces.wall_s / PARTS * 1e3,
        "namespace_mb": namespaces.mb / PARTS,
        "tun_ms": ports.wall_s / (4 * PARTS) * 1e3,
        "tun_kb": ports.mb / (4 * PARTS) * 1024,
    }


def shell(planes: int) -> dict[str, Any]:
    """Starlink's first shell with every satellite live, and the first step's routes in the kernel."""
    from emulator.schedule.fib import FibCompiler
    from topologies import leo

    before_mb = free_mb()
    with Stage() as describe:
        config = leo.Config.model_validate({"shell": {"planes": planes}}) if planes != 72 else leo.Config()
        network = leo.build(config, BuildOptions(materialise="all")).network()
    with Stage() as schedule:
        assert network.timeline is not None
        row = next(iter(network.timeline.rows(0, 1)))
        deltas = FibCompiler(network).update(row.next_end)
    fabric = Fabric(network)
    with Stage() as build:
        ports = fabric.build()
    with Stage() as routes:
        refused = fabric.apply_routes(deltas)
    total_mb = before_mb - free_mb()
    with Stage() as read:
        fabric.counters()
    return {
        "what": "shell",
        "live_nodes": len(network.live),
        "ports": len(ports),
        "routes": sum(len(delta.add) for delta in deltas),
        "refused": len(refused),
        "describe_s": describe.wall_s,
        "schedule_s": schedule.wall_s,
        "build_s": build.wall_s,
        "build_cpu_s": build.cpu_s,
        "build_mb": build.mb,
        "routes_s": routes.wall_s,
        "routes_cpu_s": routes.cpu_s,
        "routes_mb": routes.mb,
        "counters_s": read.wall_s,
        "build_and_routes_s": build.wall_s + routes.wall_s,
        "all_mb": total_mb,
        "process_mb": own_mb(),
    }


class Ring(Topo):  # type: ignore[misc]
    """Hosts in a ring."""

    def build(self, hosts: int) -> None:
        names = [self.addHost(f"h{number}") for number in range(hosts)]
        for number, name in enumerate(names):
            self.addLink(name, names[(number + 1) % hosts])


def ring(hosts: int) -> dict[str, Any]:
    from emulator.fabric.mininet.net import Net

    with Stage() as build:
        net = Net(Ring(hosts))
    assert len(net.hosts) == hosts
    return {"what": "ring", "hosts": hosts, "build_s": build.wall_s, "build_cpu_s": build.cpu_s, "mb": build.mb}


def ring_of_mininet(hosts: int) -> dict[str, Any]:
    from mininet.net import Mininet

    Mininet.inited = True  # else it would rewrite settings of the host
    with Stage() as build:
        net = Mininet(Ring(hosts), controller=None)
    assert len(net.hosts) == hosts
    return {"what": "ring of Mininet", "hosts": hosts, "build_s": build.wall_s, "mb": build.mb}


def measured(body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of `body` in a sandbox, and how long the kernel takes to remove what is left by `kill -9`."""
    read, write = os.pipe()

    def main() -> int:
        result = body()
        os.write(write, json.dumps(result).encode())
        time.sleep(3600)
        return 0

    pid = sandbox.spawn(main, {}, keep_fds={write})
    os.close(write)
    text = os.read(read, 65536).decode() if select.select([read], [], [], TIMEOUT_S)[0] else ""
    started = time.perf_counter()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    if not text:
        raise SystemExit("the benchmark died or hung in its sandbox")
    result: dict[str, Any] = json.loads(text)
    result["gone_after_s"] = _until_freed(started)
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in result.items()}


def _until_freed(started: float) -> float:
    """Seconds until the kernel's worker that frees network namespaces has been idle for half a second."""
    last = time.perf_counter()
    before = free_mb()
    while time.perf_counter() - last < 0.5:
        time.sleep(0.02)
        now = free_mb()
        if now > before + 2:
            before, last = now, time.perf_counter()
    return last - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planes", type=int, default=72, help="of 22 satellites each")
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--only", choices=["parts", "shell", "ring"])
    options = parser.parse_args()
    if options.only in (None, "parts"):
        print(json.dumps(measured(parts)), flush=True)
    if options.only in (None, "shell"):
        print(json.dumps(measured(lambda: shell(options.planes))), flush=True)
    if options.only in (None, "ring"):
        ours = measured(lambda: ring(options.hosts))
        print(json.dumps(ours), flush=True)
        if shutil.which("mnexec") and shutil.which("ifconfig"):
            theirs = measured(lambda: ring_of_mininet(options.hosts))
            print(json.dumps(theirs), flush=True)
            print(json.dumps({"what": "ratio", "times_faster": round(theirs["build_s"] / ours["build_s"], 1)}))
        else:
            print(
                json.dumps({"what": "ring of Mininet", "skipped": "mnexec or ifconfig is missing: apt install mininet"})
            )


if __name__ == "__main__":
    main()
