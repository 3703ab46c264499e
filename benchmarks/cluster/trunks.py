"""What a trunk between two hosts adds to the times of packets, and what it carries.

Two relays on this machine play one chain of nodes as two hosts would; beside each stands the same chain in one relay,
in the same run. For times the network between hosts is a program that holds each datagram for 0.2 ms, give or take
0.05, and may lose some (native.c); for flows it is a veth pair. One clock serves both relays, so errors of clocks are
not in here.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.chain import Chain, Final
from benchmarks.direct import Direct
from benchmarks.figures import REPEAT, shown, spread, tell
from benchmarks.load import PORT, deaf, flood, iperf, one_way
from benchmarks.native import native
from emulator.fabric.kernel import syscalls
from emulator.link.health import be_urgent
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule

SECONDS = float(os.environ.get("SECONDS", "2.5"))
APART_S, JITTER_S = 0.2e-3, 0.05e-3
DELAYS_S = (0.5e-3, 1e-3, 2e-3, 5e-3)
TARGET_S = 2e-3  # the shortest delay for which targets hold
RATE = 1000  # packets/s
SETTLE_S = 0.3  # in which beats tell what room there is
LOSSES = (0.001, 0.01)
USUAL_MTU, LARGE_MTU = 1500, 9000
PAYLOADS = (64, 1400)


def _link(delay_s: float, rate_bps: float = inf, **effects: float) -> EndSpec:
    return EndSpec(Effects(**effects), PiecewiseSchedule.constant(delay_s, rate_bps))  # type: ignore[arg-type]


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("", 0))
    return made


def _connect(a: socket.socket, b: socket.socket, b_address: str = "127.0.0.1", a_address: str = "127.0.0.1") -> None:
    a.connect((b_address, b.getsockname()[1]))
    b.connect((a_address, a.getsockname()[1]))


def _between(a: int, b: int, loss: float = 0.0) -> None:
    be_urgent()
    native().delay_datagrams(a, b, APART_S, JITTER_S, loss)


# -- times -------------------------------------------------------------------------------------------------------------


def _times(chain: Chain, wire: socket.socket | None = None) -> NDArray[np.float64]:
    """One-way times in ms."""
    time.sleep(SETTLE_S)
    return one_way(chain, round(SECONDS * RATE), 1 / RATE, wire) * 1e3


def across(delay_s: float, loss: float = 0.0) -> tuple[NDArray[np.float64], Final]:
    """One-way times over a link that crosses, with a network between the hosts."""
    ends, inner = [_socket() for _ in range(2)], [_socket() for _ in range(2)]
    for end, other in zip(ends, inner, strict=True):
        _connect(end, other)
        other.setblocking(False)
    network = os.fork()
    if not network:
        _between(inner[0].fileno(), inner[1].fileno(), loss)
    chain = Chain(0, _link(delay_s), trunk=(ends[0].fileno(), ends[1].fileno()))
    found = _times(chain)
    final = chain.stop()
    os.kill(network, 9)
    os.waitpid(network, 0)
    for each in (*ends, *inner):
        each.close()
    return found, final


def together(delay_s: float) -> NDArray[np.float64]:
    chain = Chain(0, _link(delay_s))
    found = _times(chain)
    chain.stop()
    return found


def compensated(delay_s: float) -> NDArray[np.float64]:
    """Without due instants: packets cross the network between hosts, and wait at the far host for the link's delay less
    what crossing takes in the mean."""
    chain = Chain(0, _link(max(0.0, delay_s - APART_S)))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with syscalls.inside(chain.fabric.netns(0)):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((chain.address, PORT))
    for each in (theirs, out):
        each.setblocking(False)
    chain.fork(lambda: _between(theirs.fileno(), out.fileno()))
    found = _times(chain, ours)
    chain.stop()
    for each in (ours, theirs, out):
        each.close()
    return found


def times() -> None:
    """Errors of one-way times with due instants and without, and what crossing so adds to those of one relay."""
    for delay_s in DELAYS_S:
        errors: dict[str, dict[float, list[float]]] = {
            how: {0.5: [], 0.99: []} for how in ("with", "without", "one", "added")
        }
        late: list[float] = []
        lost = 0
        for _ in range(REPEAT):
            one, (crossing, final), without = together(delay_s), across(delay_s), compensated(delay_s)
            middle = float(np.median(one))  # how long the kernel and a relay take is not in these errors
            found = {
                "one": np.abs(one - middle), "with": np.abs(crossing - middle),
                "without": np.abs(without - np.mean(without) + np.mean(one) - middle),
            }  # fmt: skip
            for share in (0.5, 0.99):
                for how, values in found.items():
                    errors[how][share].append(float(np.quantile(values, share)))
                errors["added"][share].append(errors["with"][share][-1] - errors["one"][share][-1])
            told = final.trunks[1]
            late.append(100 * told["late"] / max(1, told["records_received"]))
            lost += told["peer_sent"] - told["records_received"]
        words = {how: " / ".join(spread(values, 3) for values in both.values()) for how, both in errors.items()}
        tell(
            f"link of {delay_s * 1e3:g} ms across hosts {APART_S * 1e3:g} ± {JITTER_S * 1e3:g} ms apart, "
            "error p50 / p99",
            f"{words['with']} ms, {words['added']} more than one relay, late on arrival {spread(late, 2)} %, "
            f"lost {lost}",
            f"without due instants {words['without']}, one relay {words['one']} ms",
            "0.03 / 0.15 ms more, late 0.1 %" if delay_s >= TARGET_S else "",
        )


def losses() -> None:
    """Packets over a network that loses datagrams."""
    for loss in LOSSES:
        found, final = across(TARGET_S, loss)
        told, sender = final.trunks[1], final.trunks[0]
        sent = told["peer_sent"]
        tell(
            f"link of {TARGET_S * 1e3:g} ms across hosts whose network loses {loss:.1%} of datagrams, {sent} packets",
            f"lost {sent - told['records_received']}, repaired {sender['repaired']}, late {told['late']}, "
            f"{int((found > 2 * TARGET_S * 1e3).sum())} took more than {2 * TARGET_S * 1e3:g} ms in all",
            target="lost 0",
        )


# -- what a trunk carries ----------------------------------------------------------------------------------------------


@contextmanager
def _chain(direct: Direct, spec: EndSpec, crossing: bool) -> Iterator[Chain]:
    """Two hosts on both sides of a cable, or one."""
    pair = []
    for netns in direct.netns if crossing else ():
        with syscalls.inside(netns):
            pair.append(_socket())
    if pair:
        _connect(pair[0], pair[1], direct.address, "10.9.0.1")
    chain = Chain(0, spec, trunk=(pair[0].fileno(), pair[1].fileno()) if pair else None)
    try:
        yield chain
    finally:
        for each in pair:
            each.close()


def _flow(what: str, mtu: int, spec: EndSpec, target: str = "") -> None:
    """One TCP flow that crosses, and one that does not."""
    direct = Direct(mtu=mtu)
    rates: dict[bool, list[float]] = {True: [], False: []}
    shares: dict[bool, list[float]] = {True: [], False: []}
    repaired, size, trouble = 0, 0, direct.trouble
    for crossing in (True, False) * (0 if trouble else REPEAT):
        with _chain(direct, spec, crossing) as chain:
            found = iperf(chain.fabric.netns(chain.last), chain.fabric.netns(0), chain.address, 1, SECONDS)
            final = chain.stop()
        trouble = trouble or found.trouble
        rates[crossing].append(found.mbit_s)
        shares[crossing].append(final.engine_share * 100)
        repaired += sum(one["repaired"] for one in final.trunks.values())
        size = max([size, *(one["datagram_bytes"] for one in final.trunks.values())])
    direct.close()
    tell(
        f"one TCP flow {what}, a link of 1 ms across hosts, cable of MTU {mtu:,}",
        trouble
        or f"{spread(rates[True])} Mbit/s, both engines {spread(shares[True])} % of a core, datagrams of {size:,} "
        f"bytes, {repaired} repaired",
        "" if trouble else f"one relay {spread(rates[False])} Mbit/s, {spread(shares[False])} %",
        target,
    )


def _packets(payload: int) -> None:
    """Datagrams without a rate."""
    direct = Direct()
    told: dict[bool, tuple[float, float]] = {}
    for crossing in (True, False):
        with _chain(direct, _link(1e-3), crossing) as chain:
            chain.fork(lambda chain=chain: deaf(60.0), chain.last)  # type: ignore[misc]
            began, before, cpu_s = time.monotonic(), chain.received(), chain.relay_cpu_s()
            chain.wait(chain.fork(lambda chain=chain: flood(chain.address, payload, SECONDS), 0))  # type: ignore[misc]
            count, took_s, cpu_s = chain.received() - before, time.monotonic() - began, chain.relay_cpu_s() - cpu_s
            told[crossing] = count / took_s / 1e3, cpu_s / max(1, count) * 1e6
            chain.stop()
    direct.close()
    words = {
        crossing: f"{kpps:.0f} kpps, {each_us:.1f} us of a core each" for crossing, (kpps, each_us) in told.items()
    }
    tell(f"UDP packets of {payload:,} bytes without a rate across hosts", words[True], f"one relay {words[False]}")


def flows() -> None:
    """Bulk TCP by MTU, merged by the kernel or packet by packet, with a rate and without; datagrams by size."""
    merged, single = _link(1e-3), _link(1e-3, queue_packets=1e6)  # a queue that counts packets has them one by one
    gigabit: Any = _link(1e-3, 1e9, queue_s=0.05)
    _flow("without a rate", USUAL_MTU, merged, ">= 2,000 Mbit/s")
    _flow("without a rate", LARGE_MTU, merged)
    _flow("without a rate, packet by packet", USUAL_MTU, single)
    _flow(f"through {shown(1e9)}", USUAL_MTU, gigabit, ">= 950 Mbit/s")
    for payload in PAYLOADS:
        _packets(payload)
