"""How soon a daemon sees that a link came or went: `python -m benchmarks carrier [--changes 300] [--links 1,20]`.

Two nodes are joined by some links that come and go together, by knots of their own or by the rows of a timeline, at
random times known beforehand. A process in the first node hears the kernel's link messages (RTM_NEWLINK, what
`ip monitor link` prints) and notes when each was read. Printed in milliseconds: from the scheduled instant to that, and
(`set`) until the relay had set the last interface, which leaves out how long that process waited for a core.
Everything is built in a sandbox and gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import struct
import threading
import time
from typing import Any

import msgpack
import numpy as np

from emulator.fabric import Fabric, sandbox
from emulator.fabric.kernel import syscalls
from emulator.link.relay import Relay
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.ring import RowRing

STEP_S = 0.05
LEAD_S = 0.3  # from the start message to time 0
RTMGRP_LINK, RTM_NEWLINK, IFF_RUNNING = 1, 16, 0x40


class Blinking:
    """A timeline whose links are down in every other step."""

    step_s = STEP_S
    rates, substep = None, None

    def __init__(self, links: int, steps: int) -> None:
        values, peer = np.zeros(2 * links), np.tile(np.array([1, 0], np.int32), links)
        routes = np.full((2, 2), -1, np.int32)
        self.rows_made = [
            ScheduleRow(step, values, values, values + np.inf, values, values + step % 2 < 1, peer, routes)
            for step in range(steps)
        ]

    def rows(self, first: int, count: int) -> Any:
        return iter(self.rows_made[first : first + count])


def network(links: int, changes: int, by_rows: bool) -> tuple[Network, list[float], Blinking]:
    """The network, when its links change, and its rows."""
    rng = random.Random(1)
    blinking = Blinking(links, changes + 1)
    if by_rows:
        times, end = [STEP_S * step for step in range(1, changes + 1)], EndSpec()
    else:
        times = np.cumsum([rng.uniform(0.03, 0.07) for _ in range(changes)]).tolist()
        t_s = np.array([0.0, *times])
        end = EndSpec(schedule=PiecewiseSchedule(t_s, t_s * 0, t_s + np.inf, t_s * 0, np.arange(len(t_s)) % 2 == 0))
    nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.0.0.{n + 1}") for n in (0, 1))
    made = [LinkSpec(f"n0:p{n}", 0, 1, f"p{n}", f"p{n}", end, end, carrier=True) for n in range(links)]
    return Network(nodes, tuple(made), blinking, routing="none"), times, blinking


def hear(netns: int, expected: int, until_s: float) -> list[tuple[int, bool, float]]:
    """Interface, running, and CLOCK_MONOTONIC of each change that the kernel tells in a namespace."""
    with syscalls.inside(netns):
        heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    heard.bind((0, RTMGRP_LINK))
    heard.settimeout(0.5)
    found: list[tuple[int, bool, float]] = []
    shown: dict[int, bool] = {}
    while len(found) < expected and time.monotonic() < until_s:
        try:
            data, at_s = heard.recv(1 << 16), time.monotonic()
        except TimeoutError:
            continue
        at = 0
        while at + 32 <= len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            index, flags = struct.unpack_from("=iI", data, at + 20)
            running = bool(flags & IFF_RUNNING)
            if kind == RTM_NEWLINK and shown.get(index, True) != running:
                shown[index] = running
                found.append((index, running, at_s))
            at += -(-length // 4) * 4
    return found


def listen(control: socket.socket, done: list[float]) -> None:
    """How late the relay was with each change, until it has ended."""
    while data := control.recv(1 << 20):
        message = msgpack.unpackb(data, strict_map_key=False)
        if message["op"] == "carrier" and message["changes"]:
            done.append(message["at_s"] - message["t_s"])


def measure(links: int, changes: int, by_rows: bool) -> dict[str, Any]:
    made, times, blinking = network(links, changes, by_rows)
    fabric = Fabric(made)
    ports = fabric.build()
    ring = RowRing(2 * links, 2, 2, changes + 4)
    for row in blinking.rows_made:
        ring.put(row)
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        control.close()
        Relay(made, ports, ring, 1, theirs).run()
        os._exit(0)
    theirs.close()
    t0_s = time.monotonic() + LEAD_S
    control.send(msgpack.packb({"op": "start", "t0_ns": round(t0_s * 1e9)}))
    done: list[float] = []
    listening = threading.Thread(target=listen, args=(control, done))
    listening.start()
    heard = hear(fabric.netns(0), links * changes, t0_s + times[-1] + 5.0)
    control.send(msgpack.packb({"op": "stop"}))
    listening.join()
    by_link: dict[int, list[float]] = {}
    for index, _, at_s in heard:
        by_link.setdefault(index, []).append(at_s - t0_s)
    late_ms = [1e3 * (at - t) for seen in by_link.values() if len(seen) == changes
               for at, t in zip(seen, times, strict=True)]  # fmt: skip
    missed = links * changes - len(heard)
    result: dict[str, Any] = {
        "by": "rows" if by_rows else "knots",
        "links": links,
        "changes": changes,
        "missed": missed,
    }
    if late_ms:
        result |= {f"p{share}_ms": round(float(np.percentile(late_ms, share)), 3) for share in (50, 99)}
        result["max_ms"] = round(max(late_ms), 3)
        result |= {f"set_p{share}_ms": round(1e3 * float(np.percentile(done, share)), 3) for share in (50, 99)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--links", default="1,20", help="numbers of links that change together")
    options = parser.parse_args()
    for links in map(int, options.links.split(",")):
        for by_rows in (False, True):

            def body(links: int = links, by_rows: bool = by_rows) -> int:
                found = measure(links, options.changes, by_rows)
                print(json.dumps(found | {"load_average": round(os.getloadavg()[0], 1)}), flush=True)
                return 0

            os.waitpid(sandbox.spawn(body, {}), 0)


if __name__ == "__main__":
    main()
