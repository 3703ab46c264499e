"""Load for the benchmarks of the relay: datagrams by `sendmmsg`, echoes, TCP. Each runs in a process of its own.

Echoes are answered by the kernel of the far namespace and stamped by the kernel of the near one, so what is measured is
the relay and not a Python program beside it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from benchmarks.chain import Chain
from emulator.fabric.kernel import syscalls

PORT = 9
HEADERS = 28  # IPv4 and UDP
BACKLOG_S = 1e-3  # a sender that was off its core for longer leaves out what it owes beyond: it makes no burst of it
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33  # not in the socket module


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):  # struct mmsghdr
    _fields_ = (
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("padding", ctypes.c_int), ("sent", ctypes.c_uint), ("padding_2", ctypes.c_uint),
    )  # fmt: skip


def flood(
    address: str,
    payload: int,
    seconds: float,
    packets_per_s: float = inf,
    burst: int = 32,
    backlog_s: float = BACKLOG_S,
) -> None:
    """Send UDP datagrams in bursts for a while; at most `packets_per_s` of them."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, PORT))
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    buffer = ctypes.create_string_buffer(payload)
    iov = _Iovec(ctypes.addressof(buffer), payload)
    messages = (_Message * burst)()
    for message in messages:
        message.iov, message.iov_length = ctypes.addressof(iov), 1
    until = time.monotonic() + seconds
    due, apart = time.monotonic(), burst / packets_per_s
    while (now := time.monotonic()) < until:
        if now < due:
            time.sleep(min(due - now, 0.005))
            continue
        due = max(due, now - backlog_s) + apart
        sendmmsg(sender.fileno(), messages, burst, 0)


def deaf(seconds: float) -> None:
    """Own the port and read nothing: the kernel delivers and drops, and no program takes a core."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    sink.bind(("", PORT))
    time.sleep(seconds)


def receive(out: int, seconds: float) -> None:
    """Count the wire bits that arrive after the first datagram, until `seconds` after it; the answer goes to `out`."""
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


def echoes(chain: Chain, count: int, interval_s: float = 1 / 16) -> NDArray[np.float64]:
    """Round trips of echoes through a chain, in seconds, but for the first three."""
    reader, writer = os.pipe()
    prober = chain.fork(lambda: echo(writer, chain.address, count + 3, interval_s), 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        times = np.frombuffer(pipe.read())
    chain.wait(prober)
    return times[3:] * 1e-9


def hear(out: int, count: int, ready: int) -> None:
    """Take in datagrams that begin with the time at which they were sent; how long each took goes to `out`. The time of
    arrival is the kernel's."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    sink.settimeout(2.0)
    sink.bind(("", PORT))
    os.write(ready, b"!")
    times = []
    while len(times) < count:
        try:
            data, extra, _, _ = sink.recvmsg(2048, 64)
        except TimeoutError:
            break
        seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
        times.append(seconds * 1e9 + nanoseconds - struct.unpack_from("q", data)[0])
    with open(out, "wb") as pipe:
        pipe.write(np.array(times).tobytes())


def wire_to(address: str) -> socket.socket:
    """A socket that sends to who hears there."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.connect((address, PORT))
    return wire


def speak(wire: socket.socket, count: int, interval_s: float) -> None:
    """Send datagrams of 64 bytes that begin with the time."""
    due = time.monotonic()
    for _ in range(count):
        due += interval_s
        time.sleep(max(0.0, due - time.monotonic()))
        wire.send(struct.pack("q", time.clock_gettime_ns(time.CLOCK_REALTIME)) + bytes(56))


def one_way(chain: Chain, count: int, interval_s: float, wire: socket.socket | None = None) -> NDArray[np.float64]:
    """Times that datagrams take through a chain, in seconds; `wire`: by which they are sent, else from node 0."""
    reader, writer = os.pipe()
    heard, ready = os.pipe()
    hearer = chain.fork(lambda: hear(writer, count, ready), chain.last)
    os.close(writer)
    os.read(heard, 1)
    speaker = chain.fork(lambda: speak(wire or wire_to(chain.address), count, interval_s), 0)
    with open(reader, "rb") as pipe:
        times = np.frombuffer(pipe.read())
    chain.wait(speaker)
    chain.wait(hearer)
    os.close(heard)
    os.close(ready)
    return times * 1e-9


@dataclass(frozen=True, slots=True)
class Goodput:
    """What iperf3 says of one transfer; `trouble` where it failed."""

    mbit_s: float
    retransmits: int
    trouble: str = ""


def iperf(server_netns: int, client_netns: int, address: str, flows: int, seconds: float) -> Goodput:
    """Bulk TCP from one namespace to another, without its first two seconds.

    Cubic, whatever the machine's default is: BBR stops for 0.2 s in every ten to measure its round trip anew.
    """
    if shutil.which("iperf3") is None:
        return Goodput(0.0, 0, "iperf3 is not installed")
    with syscalls.inside(server_netns):
        server = subprocess.Popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    length = ["-t", f"{max(2, round(seconds))}", "-O", "2"]
    command = ["iperf3", "-J", "-c", address, *length, "-P", f"{flows}", "-C", "cubic"]
    with syscalls.inside(client_netns):
        client = subprocess.run(command, capture_output=True, text=True, check=False)
    server.kill()
    server.wait()
    report = json.loads(client.stdout or "{}")
    if "error" in report or "end" not in report:
        return Goodput(0.0, 0, f"iperf3 says {report.get('error', client.stderr)}")
    ends = report["end"]
    return Goodput(ends["sum_received"]["bits_per_second"] / 1e6, int(ends["sum_sent"].get("retransmits", 0)))
