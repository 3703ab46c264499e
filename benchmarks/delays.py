"""Error of round trips and of rates: what the relay adds to what the schedule asks.

python -m benchmarks delays           (SECONDS=3 makes each measurement shorter, REPEAT=3 makes three)

Round trips go over ten transit hops, on an idle relay and beside datagrams that take half of a core. The floor is a
loop that never sleeps, between the same ports with the same delay in the same run: what then remains are both kernels.
Rates are those that a receiver sees of a sender who offers a fifth more; beside them stands the kernel's token bucket.
"""

from __future__ import annotations

import os
import struct
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.chain import Chain, in_sandbox
from benchmarks.direct import Direct
from benchmarks.figures import REPEAT, SECONDS, shown, spread, tell
from benchmarks.load import HEADERS, deaf, echoes, flood, receive
from emulator.fabric.kernel import syscalls
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule

TRANSIT, DELAY_S = 10, 0.002  # of each link
ONE_WAY_S = DELAY_S * (TRANSIT + 1)
HALF_LOAD = 150_000  # packets/s: half of the target of benchmarks/packets.py
RATES_BPS = (1e6, 1e7, 1e8, 5e8)


def errors(chain: Chain) -> NDArray[np.float64]:
    """Round trips beyond what is asked, in ms."""
    return (echoes(chain, max(50, round(SECONDS * 15))) - 2 * ONE_WAY_S) * 1e3


def idle() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chain = Chain(TRANSIT, EndSpec(schedule=PiecewiseSchedule.constant(DELAY_S)))
    found = errors(chain)
    chain.stop()
    floor = Chain(0, EndSpec(), bare_s=ONE_WAY_S)
    lowest = errors(floor)
    floor.stop()
    return found, lowest


def loaded() -> tuple[NDArray[np.float64], float, float]:
    """Errors, the engine's share of a core, and packets/s beside the echoes."""
    chain = Chain(TRANSIT, EndSpec(schedule=PiecewiseSchedule.constant(DELAY_S)))
    chain.fork(lambda: deaf(1e4), chain.last)
    chain.fork(lambda: flood(chain.address, 64 - HEADERS, 1e4, HALF_LOAD), 0)
    time.sleep(0.5)
    began, received = time.monotonic(), chain.received()
    found = errors(chain)
    rate = (chain.received() - received) / (time.monotonic() - began)
    final = chain.stop()
    return found, final.engine_share, rate


def round_trips() -> None:
    quiet = [idle() for _ in range(REPEAT)]
    tell(
        f"RTT error, {TRANSIT} transit hops, idle",
        _quantiles([found for found, _ in quiet]),
        f"a loop that never sleeps {_quantiles([floor for _, floor in quiet])}",
        "median <= 0.2, p99 <= 0.8 ms",
    )
    busy = [loaded() for _ in range(REPEAT)]
    tell(
        f"RTT error, {TRANSIT} transit hops, beside {spread([rate for *_, rate in busy])} packets/s with the engine at "
        f"{spread([share * 100 for _, share, _ in busy])} % of a core",
        _quantiles([found for found, *_ in busy]),
        target="p99 <= 2 ms",
    )


def _quantiles(rounds: list[NDArray[np.float64]]) -> str:
    parts = [
        f"{name} {spread([float(np.quantile(found, share)) for found in rounds], 3)}"
        for name, share in (("median", 0.5), ("p99", 0.99), ("max", 1.0))
    ]
    return f"{', '.join(parts)} ms ({min(len(found) for found in rounds)} echoes)"


# --- rates ------------------------------------------------------------------------------------------------------------


def seen(payload: int, rate_bps: float, netns: tuple[int, int], address: str) -> float:
    """Error in % of the rate that a receiver sees of a fifth more than that."""
    reader, writer = os.pipe()
    offered = 1.2 * rate_bps / 8 / (payload + HEADERS)
    sink = _in(netns[1], lambda: receive(writer, SECONDS))
    os.close(writer)
    time.sleep(0.2)
    source = _in(netns[0], lambda: flood(address, payload, SECONDS + 1, offered, 8, 1.0))
    bits, took = struct.unpack("dd", os.read(reader, 16))
    for pid in (source, sink):
        os.waitpid(pid, 0)
    os.close(reader)
    return float((bits / took / rate_bps - 1) * 100)


def _in(netns: int, body: object) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.setns(netns, syscalls.CLONE_NEWNET)
            body()  # type: ignore[operator]
        finally:
            os._exit(0)
    return pid


def rates() -> None:
    for rate_bps in RATES_BPS:
        payload = 1472 if rate_bps > 2e6 else 472
        ours, engine, peers = [], [], []
        for _ in range(REPEAT):
            chain = Chain(0, EndSpec(Effects(queue_s=0.2), PiecewiseSchedule.constant(0.005, rate_bps)))
            ours.append(seen(payload, rate_bps, (chain.fabric.netns(0), chain.fabric.netns(1)), chain.address))
            engine.append(chain.stop().engine_share * 100)
            pair = Direct(rate_bps)
            if not pair.trouble:  # the token bucket counts the 14 bytes of Ethernet headers too
                exact = rate_bps * (payload + HEADERS) / (payload + HEADERS + 14)
                peers.append(seen(payload, exact, (pair.netns[0], pair.netns[1]), pair.address))
            pair.close()
        tell(
            f"rate error, {shown(rate_bps)} over {SECONDS:g} s",
            f"{spread(ours, 3)} %, engine {spread(engine)} % of a core",
            f"the kernel's token bucket {spread(peers, 3)} %" if peers else "",
            "1 %",
        )


def delays() -> None:
    round_trips()
    rates()


if __name__ == "__main__":
    in_sandbox(delays)
