"""What a capture costs: packets/s of the relay and TCP goodput with and without, in turns within one run.

python -m benchmarks capture          (SECONDS=4 makes each measurement shorter)

The load never stops; capturing is switched on and off in turns, each of which settles before it counts (a writer that
starts takes a core for some tenths of a second). The kernel's counters of the far interface tell what came through. The
writer is the one of a run, with its own process and a real file, which is thrown away. Two figures, of medians: packets
that came through a second, for which sender, relay, receiving kernel and writer share the cores; and the processor time
that the relay alone took for each, which is the tee's own cost.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

import msgpack

from benchmarks.relay import HEADERS, SECONDS, Chain, deaf, flood, shown
from emulator.errors import SkyloomError
from emulator.fabric import kernel, netlink, sandbox
from emulator.network import Effects, EndSpec, Knots, Network
from emulator.record.folder import RunFolder
from emulator.runtime.capturing import CaptureWriter
from emulator.scenario.capture import Capture

WINDOW_S, SETTLE_S = 1.0, 0.5


def turns(chain: Chain, network: Network, capture: Capture, ends: list[int], read: Callable[[], int]) -> list[str]:
    """Rates of `read` per second without and with a capture of `ends`, and what the capture came to."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    costs: dict[bool, list[float]] = {False: [], True: []}  # relay's processor time
    packets = missed = size = 0
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2 * max(2, round(SECONDS / 2 / WINDOW_S))):
            capturing = turn % 2 == 1
            if capturing:
                run = RunFolder.create(Path(folder), "bench", run_id=str(turn))
                writer = CaptureWriter(run, network, capture, ends, None, [])
                time.sleep(SETTLE_S)  # in a run, too, the writer is there before the first packet
                order = msgpack.packb({**writer.order, "id": turn})
                send_with(chain, order, writer.write_end)
                writer.start(time.time_ns())
            time.sleep(SETTLE_S)
            before, began, spent = read(), time.monotonic(), on_processor_s(chain.relay)
            time.sleep(WINDOW_S)
            count = read() - before
            rates[capturing].append(count / (time.monotonic() - began))
            costs[capturing].append((on_processor_s(chain.relay) - spent) / count)
            if capturing:
                chain.control.send(msgpack.packb({"op": "uncapture", "id": turn}))
                writer.finish()
                row = writer.row()
                packets, missed, size = packets + row["packets"], missed + row["missed"], size + row["bytes"]
                run.remove()
    without, with_ = statistics.median(rates[False]), statistics.median(rates[True])
    cheap, dear = statistics.median(costs[False]), statistics.median(costs[True])
    share = (
        f"{(1 - with_ / without) * 100:+.1f} % slower, relay CPU each {(dear / cheap - 1) * 100:+.1f} %, target 20 %"
    )
    kept = f"{packets:,} packets, {size / 1e6:.0f} MB captured, {missed / max(1, packets + missed) * 100:.1f} % missed"
    return [f"{without:12,.0f} without, {with_:12,.0f} with", share, kept]


def on_processor_s(pid: int) -> float:
    """Time that a process has had a processor, as the scheduler says."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) * 1e-9


def table(snaplen_bytes: float) -> Capture:
    return Capture.model_validate({"max_size": "unlimited", "snaplen": f"{snaplen_bytes:g} B"})


def send_with(chain: Chain, order: bytes, fd: int) -> None:
    """An order with a descriptor."""
    import socket

    socket.send_fds(chain.control, [order], [fd])


def make(transit: int, spec: EndSpec) -> tuple[Chain, Network]:
    chain = Chain(transit, spec)
    return chain, chain.fabric.network


def small_packets(transit: int, rate_bps: float, ends: str) -> None:
    """64-byte datagrams at full rate."""
    chain, network = make(transit, EndSpec(knots=Knots.constant(0.001, rate_bps)))
    seconds = 4 * max(2, round(SECONDS / 2)) * (WINDOW_S + 2 * SETTLE_S) + 20
    sink = chain.fork(lambda: deaf(seconds), chain.last)
    source = chain.fork(lambda: flood(chain.address, 64 - HEADERS, seconds), 0)
    time.sleep(0.5)
    wanted = [0] if ends == "one end" else list(range(0, 2 * (transit + 1), 2))
    words = turns(chain, network, table(100e3), wanted, lambda: received(chain).rx_packets)
    what = f"64-byte UDP, {transit:2d} transit hops, {shown(rate_bps)}, {ends}"
    print(f"{what}: packets/s {'; '.join(words)}", flush=True)
    finish(chain, source, sink)


def bulk(rate_bps: float, snaplen_bytes: float) -> None:
    """One TCP flow."""
    if shutil.which("iperf3") is None:
        print("TCP: iperf3 is not installed")
        return
    chain, network = make(0, EndSpec(Effects(queue_s=0.02), Knots.constant(0.005, rate_bps)))
    with kernel.inside(chain.fabric.netns(1)):
        server = subprocess.Popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    with kernel.inside(chain.fabric.netns(0)):
        client = subprocess.Popen(["iperf3", "-c", chain.address, "-t", "600"], stdout=subprocess.DEVNULL)
    time.sleep(2.0)
    words = turns(chain, network, table(snaplen_bytes), [0, 1], lambda: received(chain).rx_bytes * 8)
    print(f"TCP, {shown(rate_bps)}, {snaplen_bytes:g} bytes kept of each packet: bit/s {'; '.join(words)}", flush=True)
    for process in (client, server):
        process.kill()
        process.wait()
    chain.stop()


def received(chain: Chain) -> netlink.LinkStats:
    """Counters of the far interface."""
    return chain.fabric.counters()[f"n{chain.last}:left"]


def finish(chain: Chain, *pids: int) -> None:
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    chain.stop()


def measure() -> int:
    try:
        small_packets(0, inf, "one end")
        small_packets(0, 1e9, "one end")
        small_packets(4, inf, "one end")
        small_packets(4, inf, "all ends of the way")
        for rate_bps, snaplen_bytes in ((1e9, 100e3), (1e9, 96), (inf, 96)):
            bulk(rate_bps, snaplen_bytes)
    except SkyloomError as error:
        print(error)
        return error.exit_code
    return 0


def main() -> None:
    _, status = os.waitpid(sandbox.spawn(measure, {}), 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
