"""Memory and start latency of Python node processes: prints one line a figure.

python benchmarks/nodes.py [COUNT]     idle programs forked from a warm zygote, each with uvloop and one UDP socket
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from emulator.runtime.programs.launch import Launch
from emulator.runtime.programs.launches import Resolved
from emulator.runtime.programs.processes import Processes
from emulator.runtime.programs.zygote_link import ZygoteLink

IDLE = {"run": "benchmarks.idle_node:Idle", "config": {}}


def idle(number: int) -> Launch:
    """The idle program on a node."""
    return Launch(0, "program", f"n{number}", "idle", log=f"n{number}.txt")


def memory_kb(pid: int) -> tuple[int, int]:
    """Proportional and unique set size."""
    pss = unique = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        words = line.split()
        if words[0] == "Pss:":
            pss = int(words[1])
        elif words[0] in ("Private_Clean:", "Private_Dirty:"):
            unique += int(words[1])
    return pss, unique


async def measure(count: int, processes: Processes, begun: float) -> None:
    processes.attach()
    await processes.warm.wait()
    print(f"zygote warm after            {time.monotonic() - begun:8.3f} s")
    begun = time.monotonic()
    spawned = []
    latencies_ms = []
    for number in range(min(count, 20)):  # one after the other: the latency of a single start
        process = processes.launch(idle(number))
        await processes.wait_ready([process], 20, lambda done: None)
        latencies_ms.append((process.ready_at - process.spawned_at) * 1e3)
        spawned.append(process)
    latencies_ms.sort()
    print(
        f"start, one at a time         {latencies_ms[len(latencies_ms) // 2]:8.2f} ms median,"
        f" {latencies_ms[-1]:.2f} max"
    )
    begun = time.monotonic()
    rest = [processes.launch(idle(number)) for number in range(len(spawned), count)]
    await processes.wait_ready(rest, 120, lambda done: None)
    took_s = time.monotonic() - begun
    if rest:
        print(f"start, {len(rest)} at once        {took_s / len(rest) * 1e3:8.2f} ms each")
    spawned += rest
    for process in spawned:
        processes.start(process, time.monotonic_ns())
    await asyncio.sleep(1)
    sizes = [memory_kb(process.pid) for process in spawned]
    print(f"memory, proportional (PSS)   {sum(pss for pss, _ in sizes) / len(sizes) / 1024:8.2f} MB each")
    print(f"memory, its own (USS)        {sum(unique for _, unique in sizes) / len(sizes) / 1024:8.2f} MB each")
    begun = time.monotonic()
    processes.kill(spawned, signal.SIGTERM)
    left = await processes.wait_ended(spawned, 60)
    print(f"stop of all                  {time.monotonic() - begun:8.3f} s, {len(left)} left")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        netns = os.open("/proc/self/ns/net", os.O_RDONLY)
        zygote = ZygoteLink(1, Path(folder), Path(folder), lambda launch: Resolved({"net": netns}, IDLE))
        processes = Processes(zygote, Path(folder))
        peers = [(f"n{number}", "host", "127.0.0.1", "::1") for number in range(count)]
        zygote.prepare(peers, ["benchmarks.idle_node:Idle"], [str(Path(__file__).resolve().parent.parent)])
        asyncio.run(measure(count, processes, begun))


if __name__ == "__main__":
    main()
