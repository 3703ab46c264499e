"""What a capture costs: packets/s of the relay and TCP goodput with and without, in turns within one run.

python -m benchmarks capture          (SECONDS=4 makes each measurement shorter)

The load never stops; capturing is switched on and off in turns, each of which settles before it counts (a writer that
starts takes a core for some tenths of a second). The kernel's counters of the far interface tell what came through. The
writer is the one of a run, with its own process and a real file, which is thrown away. Two figures, of medians: packets
that came through a second, for which sender, relay, receiving kernel and writer share the cores; and the processor time
that the relay alone took for each: the engine's tee, and its Python thread that hands the batches to the writer.
"""

from __future__ import annotations

import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

import msgpack

from benchmarks.chain import Chain, in_sandbox
from benchmarks.figures import SECONDS, shown
from benchmarks.load import HEADERS, deaf, flood
from emulator.fabric.kernel import syscalls
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule
from emulator.record.folder import RunFolder
from emulator.runtime.capture.writer import CaptureWriter
from emulator.scenario.schema.capture import Capture

WINDOW_S, SETTLE_S = 1.0, 0.5


def turns(chain: Chain, wanted: Capture, ends: list[int], read: Callable[[], int]) -> list[str]:
    """Rates of `read` per second without and with a capture of `ends`, and what the capture came to."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    costs: dict[bool, list[float]] = {False: [], True: []}  # relay's processor time
    packets = missed = size = 0
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2 * max(2, round(SECONDS / 2 / WINDOW_S))):
            capturing = turn % 2 == 1
            if capturing:
                run = RunFolder.create(Path(folder), "bench", run_id=str(turn))
                writer = CaptureWriter(run, chain.network, wanted, ends, None, [])
                time.sleep(SETTLE_S)  # in a run, too, the writer is there before the first packet
                order = msgpack.packb({**writer.order, "id": turn})
                send_with(chain, order, writer.write_end)
                writer.start(time.time_ns())
            time.sleep(SETTLE_S)
            before, began, spent = read(), time.monotonic(), chain.relay_cpu_s()
            time.sleep(WINDOW_S)
            count = read() - before
            rates[capturing].append(count / (time.monotonic() - began))
            costs[capturing].append((chain.relay_cpu_s() - spent) / count)
            if capturing:
                send(chain, {"op": "uncapture", "id": turn})
                writer.finish()
                row = writer.row()
                packets, missed, size = packets + row["packets"], missed + row["missed"], size + row["bytes"]
                run.remove()
    without, with_ = statistics.median(rates[False]), statistics.median(rates[True])
    cheap, dear = statistics.median(costs[False]), statistics.median(costs[True])
    share = (
        f"{(1 - with_ / without) * 100:+.1f} % slower, relay CPU each {(dear / cheap - 1) * 100:+.1f} %, target 10 %"
    )
    kept = f"{packets:,} packets, {size / 1e6:.0f} MB captured, {missed / max(1, packets + missed) * 100:.1f} % missed"
    return [f"{without:12,.0f} without, {with_:12,.0f} with", share, kept]


def table(snaplen_bytes: float) -> Capture:
    return Capture.model_validate({"max_size": "unlimited", "snaplen": f"{snaplen_bytes:g} B"})


def send(chain: Chain, order: dict[str, object]) -> None:
    chain.controls[0].send(msgpack.packb(order))


def send_with(chain: Chain, order: bytes, fd: int) -> None:
    """An order with a descriptor."""
    socket.send_fds(chain.controls[0], [order], [fd])


def small_packets(transit: int, rate_bps: float, ends: str) -> None:
    """64-byte datagrams at full rate."""
    chain = Chain(transit, EndSpec(schedule=PiecewiseSchedule.constant(0.001, rate_bps)))
    seconds = 4 * max(2, round(SECONDS / 2)) * (WINDOW_S + 2 * SETTLE_S) + 20
    chain.fork(lambda: deaf(seconds), chain.last)
    chain.fork(lambda: flood(chain.address, 64 - HEADERS, seconds), 0)
    time.sleep(0.5)
    wanted = [0] if ends == "one end" else list(range(0, 2 * (transit + 1), 2))
    words = turns(chain, table(100e3), wanted, chain.received)
    what = f"64-byte UDP, {transit:2d} transit hops, {shown(rate_bps)}, {ends}"
    print(f"{what}: packets/s {'; '.join(words)}", flush=True)
    chain.stop()


def bulk(rate_bps: float, snaplen_bytes: float) -> None:
    """One TCP flow."""
    if shutil.which("iperf3") is None:
        print("TCP: iperf3 is not installed")
        return
    chain = Chain(0, EndSpec(Effects(queue_s=0.02), PiecewiseSchedule.constant(0.005, rate_bps)))
    with syscalls.inside(chain.fabric.netns(1)):
        server = subprocess.Popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    with syscalls.inside(chain.fabric.netns(0)):
        client = subprocess.Popen(["iperf3", "-c", chain.address, "-t", "600"], stdout=subprocess.DEVNULL)
    time.sleep(2.0)
    words = turns(chain, table(snaplen_bytes), [0, 1], lambda: chain.received_bytes() * 8)
    print(f"TCP, {shown(rate_bps)}, {snaplen_bytes:g} bytes kept of each packet: bit/s {'; '.join(words)}", flush=True)
    for process in (client, server):
        process.kill()
        process.wait()
    chain.stop()


def capture() -> None:
    small_packets(0, inf, "one end")
    small_packets(0, 1e9, "one end")
    small_packets(4, inf, "one end")
    small_packets(4, inf, "all ends of the way")
    for rate_bps, snaplen_bytes in ((1e9, 100e3), (1e9, 96), (inf, 96)):
        bulk(rate_bps, snaplen_bytes)


if __name__ == "__main__":
    in_sandbox(capture)
