"""What a trunk between two hosts adds to the times of packets, and what it carries.

python -m benchmarks cluster_trunk    (SECONDS=3 makes each measurement shorter, REPEAT=3 makes three)

Two relays on this machine play one chain of nodes as two hosts would. For times the network between them is a program
that holds each datagram for 0.2 ms, give or take 0.05 (native.c); beside it stands the same chain in one relay, in the
same run: what the trunk adds is the difference. For TCP it is a veth pair with an MTU of 1,500 bytes. One clock serves
both relays, so errors of clocks are not in here.
"""

from __future__ import annotations

import socket
import subprocess
import time
from math import inf

import numpy as np
from numpy.typing import NDArray

from benchmarks.chain import Chain, Final, in_sandbox
from benchmarks.direct import Direct
from benchmarks.figures import REPEAT, SECONDS, spread, tell
from benchmarks.load import iperf, one_way
from benchmarks.native import native
from emulator.fabric.kernel import syscalls
from emulator.link.health import be_urgent
from emulator.model.network import EndSpec, PiecewiseSchedule

APART_S, JITTER_S = 0.2e-3, 0.05e-3
DELAYS_S = (0.5e-3, 1e-3, 2e-3, 5e-3)
TARGET_S = 2e-3  # the shortest delay for which targets hold
RATE = 1000  # packets/s


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("", 0))
    return made


def _connect(a: socket.socket, b: socket.socket, b_address: str = "127.0.0.1", a_address: str = "127.0.0.1") -> None:
    a.connect((b_address, b.getsockname()[1]))
    b.connect((a_address, a.getsockname()[1]))


def apart(delay_s: float) -> tuple[NDArray[np.float64], Final]:
    """Errors of one-way times over a link that crosses, in ms, with a network between the hosts."""
    ends, inner = [_socket() for _ in range(2)], [_socket() for _ in range(2)]
    for end, other in zip(ends, inner, strict=True):
        _connect(end, other)
        other.setblocking(False)
    chain = Chain(0, EndSpec(schedule=PiecewiseSchedule.constant(delay_s)), trunk=(ends[0].fileno(), ends[1].fileno()))
    chain.fork(lambda: _between(inner[0].fileno(), inner[1].fileno()))
    found = _errors(chain, delay_s)
    final = chain.stop()
    for each in (*ends, *inner):
        each.close()
    return found, final


def together(delay_s: float) -> NDArray[np.float64]:
    chain = Chain(0, EndSpec(schedule=PiecewiseSchedule.constant(delay_s)))
    found = _errors(chain, delay_s)
    chain.stop()
    return found


def _between(a: int, b: int) -> None:
    be_urgent()
    native().delay_datagrams(a, b, APART_S, JITTER_S)


def _errors(chain: Chain, delay_s: float) -> NDArray[np.float64]:
    time.sleep(0.3)  # beats and probes have told what the trunk is like
    return (one_way(chain, round(SECONDS * RATE), 1 / RATE) - delay_s) * 1e3


def times(delay_s: float) -> None:
    added: dict[float, list[float]] = {0.5: [], 0.99: []}
    whole: dict[float, list[float]] = {0.5: [], 0.99: []}
    late = []
    lost = 0
    for _ in range(REPEAT):
        alone, (crossing, final) = together(delay_s), apart(delay_s)
        for share in added:
            whole[share].append(float(np.quantile(crossing, share)))
            added[share].append(whole[share][-1] - float(np.quantile(alone, share)))
        told = final.trunks[1]
        late.append(100 * told["late"] / max(1, told["records_received"]))
        lost += told["peer_sent"] - told["records_received"]
    hosts = f"hosts {APART_S * 1e3:g} ± {JITTER_S * 1e3:g} ms apart"
    found = f"p50 {spread(added[0.5], 3)}, p99 {spread(added[0.99], 3)} ms"
    tell(
        f"link of {delay_s * 1e3:g} ms across {hosts}, added to one-way times",
        f"{found}; late on arrival {spread(late, 2)} %, lost {lost}",
        f"errors of p50 {spread(whole[0.5], 3)}, p99 {spread(whole[0.99], 3)} ms in all",
        "p50 <= 0.03, p99 <= 0.15 ms, late <= 0.1 %" if delay_s >= TARGET_S else "",
    )


def bulk(direct: Direct) -> None:
    """One TCP flow without a rate over a link of 1 ms: one that crosses, and one that does not."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    shares: dict[bool, list[float]] = {True: [], False: []}
    repaired, trouble = 0, direct.trouble
    for crossing in (True, False) * (0 if trouble else REPEAT):
        pair = [_socket_in(netns) for netns in direct.netns]
        _connect(pair[0], pair[1], direct.address, "10.9.0.1")
        trunk = (pair[0].fileno(), pair[1].fileno()) if crossing else None
        chain = Chain(0, EndSpec(schedule=PiecewiseSchedule.constant(1e-3, inf)), trunk=trunk)
        found = iperf(chain.fabric.netns(chain.last), chain.fabric.netns(0), chain.address, 1, SECONDS)
        final = chain.stop()
        for each in pair:
            each.close()
        trouble = trouble or found.trouble
        rates[crossing].append(found.mbit_s)
        shares[crossing].append(final.engine_share * 100)
        repaired += sum(one["repaired"] for one in final.trunks.values())
    what = "one TCP flow over a link of 1 ms across hosts, a veth pair of MTU 1,500 between them"
    if trouble:
        tell(what, trouble)
        return
    tell(
        what,
        f"{spread(rates[True])} Mbit/s, both engines {spread(shares[True])} % of a core, {repaired} datagrams repaired",
        f"one relay {spread(rates[False])} Mbit/s, {spread(shares[False])} %",
        ">= 2,000 Mbit/s",
    )


def _socket_in(netns: int) -> socket.socket:
    with syscalls.inside(netns):
        return _socket()


def measure() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for delay_s in DELAYS_S:
        times(delay_s)
    direct = Direct()
    bulk(direct)
    direct.close()


if __name__ == "__main__":
    in_sandbox(measure)
