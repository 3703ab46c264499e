"""The relay on chains of TUN ports: packets/s, TCP, rate error, RTT error. One line a figure, with its target.

python -m benchmarks relay          (SECONDS=2 makes each measurement shorter)

Load comes from `sendmmsg` in a process of its own; echoes are answered by the kernel of the far namespace and stamped
by the kernel of the near one, so that what is measured is the relay and not a Python program beside it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import msgpack
import numpy as np

from emulator.errors import SkyloomError
from emulator.fabric import kernel, sandbox
from emulator.fabric.build import Fabric
from emulator.link.lateness import Lateness
from emulator.link.relay import Relay
from emulator.link.stats import DROPS, EndStats
from emulator.network import Effects, EndSpec, Knots, LinkSpec, Network, NodeSpec, Row
from emulator.schedule.ring import RowRing

SECONDS = float(os.environ.get("SECONDS", "10"))
PORT = 9
HEADERS = 28  # IPv4 and UDP
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33  # not in the socket module


class Still:
    """A timeline of one row that lasts: routes along the chain. The ends have knots of their own."""

    step_s = 1e6

    def __init__(self, links: int) -> None:
        ends = 2 * links
        next_end = [[2 * n - 1 for n in range(links + 1)], [2 * n for n in range(links)] + [-1]]
        peer = [n for link in range(links) for n in (link + 1, link)]
        zero = np.zeros(ends)
        routes = np.array(next_end, np.int32)
        self.row = Row(0, zero, zero, zero + inf, zero, zero == 0, np.array(peer, np.int32), routes)

    def rows(self, first: int, count: int) -> Iterator[Row]:
        yield self.row


class Chain:
    """Live nodes 0 and `last` with `transit` nodes between them, and the relay in a process of its own."""

    def __init__(self, transit: int, spec: EndSpec) -> None:
        links = self.last = transit + 1
        nodes = tuple(NodeSpec(f"n{n}", "host", n in (0, links), f"10.0.0.{n + 1}") for n in range(links + 1))
        line = tuple(LinkSpec(f"n{n}:right", n, n + 1, "right", "left", spec, spec) for n in range(links))
        timeline = Still(links)
        network = Network(nodes, line, timeline)
        self.fabric = Fabric(network)
        ports = self.fabric.build()
        ring = RowRing(2 * links, links + 1, 2)
        ring.put(timeline.row)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.counters: dict[int, list[float]] = {}
        self.relay = self.fork(lambda: Relay(network, ports, ring, 1, theirs).run())
        theirs.close()
        self.control.send(msgpack.packb({"op": "start", "t0_ns": time.monotonic_ns()}))

    @property
    def address(self) -> str:
        return f"10.0.0.{self.last + 1}"

    def fork(self, body: Callable[[], object], node: int = -1) -> int:
        """Run `body` in a child, in the namespace of a live node; returns its process id."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if node >= 0:
                    kernel.setns(self.fabric.netns(node), kernel.CLONE_NEWNET)
                body()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    def stop(self) -> dict[str, Any]:
        """End the relay; its last message, with the counters of all ends."""
        self.control.send(msgpack.packb({"op": "stop"}))
        message: dict[str, Any] = {}
        while not message.get("final"):
            message = msgpack.unpackb(self.control.recv(1 << 20), strict_map_key=False)
            self.counters.update(message.get("ends", {}))
        os.waitpid(self.relay, 0)
        self.control.close()
        self.fabric.close()
        return message


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = (
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("padding", ctypes.c_int), ("sent", ctypes.c_uint), ("padding_2", ctypes.c_uint),
    )  # fmt: skip


def flood(address: str, payload: int, seconds: float, packets_per_s: float = inf, burst: int = 32) -> None:
    """Send UDP datagrams in bursts for a while; at most `packets_per_s` of them."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, PORT))
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    buffer = ctypes.create_string_buffer(payload)
    iov = _Iovec(ctypes.addressof(buffer), payload)
    messages = (_Message * burst)()
    for message in messages:
        message.iov, message.iov_length = ctypes.addressof(iov), 1
    began, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        if sent > packets_per_s * elapsed:
            time.sleep(min(burst / packets_per_s, 0.005))
            continue
        sent += max(0, sendmmsg(sender.fileno(), messages, burst, 0))


def deaf(seconds: float) -> None:
    """Own the port and read nothing: the kernel delivers and drops, and no program takes a core."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    sink.bind(("", PORT))
    time.sleep(seconds)


def throughput(transit: int, rate_bps: float) -> float:
    """Packets/s of 64 bytes that leave the last link while the first is flooded."""
    seconds = min(SECONDS, 5.0)
    chain = Chain(transit, EndSpec(knots=Knots.constant(0.001, rate_bps)))
    sink = chain.fork(lambda: deaf(seconds + 1.0), chain.last)
    time.sleep(0.2)
    began = time.monotonic()
    source = chain.fork(lambda: flood(chain.address, 64 - HEADERS, seconds), 0)
    os.waitpid(source, 0)
    took = time.monotonic() - began
    final = chain.stop()
    os.kill(sink, 9)
    os.waitpid(sink, 0)
    counters = chain.counters[2 * transit]
    delivered = counters[EndStats.DELIVERED_PACKETS]
    late = Lateness.unpack(final["lateness"])
    print(
        f"64-byte UDP, {transit:2d} transit hops, {shown(rate_bps):>12}: {delivered / took:9,.0f} packets/s  "
        f"(relay {final['cpu_s'] / delivered * 1e6:.2f} µs CPU each, late p99 {late.quantile(0.99) * 1e3:.2f} ms; "
        f"target {'200,000' if transit == 0 else '40,000'})"
    )
    return delivered / took


def shown(rate_bps: float) -> str:
    return "no rate" if rate_bps == inf else f"{rate_bps / 1e6:g} Mbit/s"


def tcp() -> None:
    """Goodput of one TCP flow through one link of 1 Gbit/s and 10 ms."""
    if shutil.which("iperf3") is None:
        print("TCP, 1 Gbit/s, 10 ms: iperf3 is not installed")
        return
    chain = Chain(0, EndSpec(Effects(queue_s=0.02), Knots.constant(0.010, 1e9)))
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with kernel.inside(chain.fabric.netns(1)):
        server = subprocess.Popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    with kernel.inside(chain.fabric.netns(0)):
        client = subprocess.run(
            ["iperf3", "-J", "-c", chain.address, "-t", str(max(2, round(SECONDS))), "-O", "2"], check=False, **quiet
        )
    server.kill()
    server.wait()
    final = chain.stop()
    report = json.loads(client.stdout)
    if "error" in report:
        print(f"TCP, 1 Gbit/s, 10 ms: iperf3 says {report['error']}")
        return
    ends = report["end"]
    late = Lateness.unpack(final["lateness"])
    drops = {cause.name.lower(): int(n) for cause in DROPS if (n := chain.counters[0][cause])}
    print(
        f"TCP, 1 Gbit/s, 10 ms: {ends['sum_received']['bits_per_second'] / 1e6:.0f} Mbit/s  "
        f"(retransmissions {ends['sum_sent']['retransmits']}, drops {drops}, relay CPU {final['cpu_s']:.2f} s of "
        f"{final['t_s']:.1f} s, late p99 {late.quantile(0.99) * 1e3:.2f} ms; target 900)"
    )


def receive(out: int, seconds: float) -> None:
    """Count the wire bytes that arrive after the first datagram, until `seconds` after it; the answer goes to `out`."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    sink.bind(("", PORT))
    size = len(sink.recv(65536)) + HEADERS
    first = now = time.monotonic()
    count, buffer, receive_into, clock = 0, bytearray(65536), sink.recv_into, time.monotonic
    while now - first < seconds:
        receive_into(buffer)
        now = clock()
        count += 1
    os.write(out, struct.pack("dd", count * size * 8, now - first))


def rate_error(rate_bps: float) -> None:
    """Rate that a receiver sees over the whole time, while a sender offers a fifth more."""
    chain = Chain(0, EndSpec(Effects(queue_s=0.2), Knots.constant(0.005, rate_bps)))
    reader, writer = os.pipe()
    sink = chain.fork(lambda: receive(writer, SECONDS), chain.last)
    os.close(writer)
    time.sleep(0.2)
    payload = 1472 if rate_bps > 2e6 else 472
    offered = 1.2 * rate_bps / 8 / (payload + HEADERS)
    source = chain.fork(lambda: flood(chain.address, payload, SECONDS + 1, offered, 8), 0)
    bits, took = struct.unpack("dd", os.read(reader, 16))
    for pid in (source, sink):
        os.waitpid(pid, 0)
    os.close(reader)
    final = chain.stop()
    error = bits / took / rate_bps - 1
    print(
        f"rate {shown(rate_bps):>10} over {took:.1f} s: {error * 100:+.3f} %  "
        f"(relay CPU {final['cpu_s'] / final['t_s'] * 100:.0f} %; target 1 %)"
    )


def echo(out: int, address: str, count: int, interval_s: float) -> None:
    """Send ICMP echo requests; the time of each answer is the kernel's, so our own waking up is not in it."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    wire.settimeout(1.0)
    wire.connect((address, 0))
    times = []
    for number in range(count):
        began = time.monotonic()
        body = struct.pack("!HHd", 77, number, 0.0)
        total = 0x0800 + sum(struct.unpack("!6H", body))
        check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        sent_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        wire.send(struct.pack("!BBH", 8, 0, check) + body)
        while True:
            try:
                data, extra, _, _ = wire.recvmsg(2048, 64)
            except TimeoutError:
                break
            if data[20] == 0 and struct.unpack_from("!H", data, 26)[0] == number:
                seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
                times.append(seconds * 1e9 + nanoseconds - sent_ns)
                break
        time.sleep(max(0.0, began + interval_s - time.monotonic()))
    with open(out, "wb") as pipe:
        pipe.write(np.array(times).tobytes())


def rtt_error(transit: int) -> None:
    """Round trip beyond what the schedule asks, on an otherwise idle relay."""
    delay_s = 0.002
    chain = Chain(transit, EndSpec(knots=Knots.constant(delay_s)))
    count = max(50, round(SECONDS * 15))
    reader, writer = os.pipe()
    prober = chain.fork(lambda: echo(writer, chain.address, count, 1 / 16), 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        times = np.frombuffer(pipe.read())
    os.waitpid(prober, 0)
    final = chain.stop()
    error_ms = times[3:] * 1e-6 - 2e3 * delay_s * (transit + 1)
    late = Lateness.unpack(final["lateness"])
    print(
        f"RTT error, {transit} transit hops, {len(error_ms)} of {count - 3} echoes: median {np.median(error_ms):.3f} "
        f"p99 {np.quantile(error_ms, 0.99):.3f} max {error_ms.max():.3f} ms  (least {error_ms.min():.3f}; relay late "
        f"median {late.quantile(0.5) * 1e3:.3f} p99 {late.quantile(0.99) * 1e3:.3f} ms; targets 0.3 / 1.5)"
    )


def measure() -> int:
    try:
        rtt_error(10)
        for rate_bps in (1e6, 1e7, 1e8, 5e8):
            rate_error(rate_bps)
        tcp()
        for transit, rate_bps in ((0, inf), (0, 1e9), (10, inf), (10, 1e9)):
            throughput(transit, rate_bps)
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
