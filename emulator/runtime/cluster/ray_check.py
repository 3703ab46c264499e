"""What the machines of a Ray cluster have for a run, and what lies between them; for `skyloom cluster check`.

Invariant: nothing is left on any machine; each is asked by an actor that reserves no processors.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import combinations
from struct import Struct
from struct import error as StructError
from typing import Any

from emulator.link.trunks import IP_HEADERS, LARGEST_DATAGRAM, LEAST_DATAGRAM, USUAL_DATAGRAM
from emulator.runtime.cluster.ray_joining import actors_on, answers, join, machines_of, name_of
from emulator.runtime.cluster.versions import skew, versions

PROBES = 50
PROBE_S = 0.5  # for the answer to one
SIZE_TRIES, SIZE_S = 3, 0.2  # for the answer to a datagram of a size
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2  # Linux's; not in the socket module
DOCTOR_S = 20.0
ASKED = Struct("<I")
ANSWERED = Struct("<Iqq")  # number, when it came and went: ns of the machine's clock


class Checker:
    """The actor."""

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def facts(self) -> dict[str, Any]:
        """Versions, and the capabilities that `skyloom doctor` finds here."""
        words = [sys.executable, "-m", "emulator.cli", "doctor", "--json"]
        try:
            asked = subprocess.run(words, capture_output=True, timeout=DOCTOR_S)
            capabilities = json.loads(asked.stdout)["capabilities"]
        except (subprocess.TimeoutExpired, ValueError):
            capabilities = []
        return {"versions": versions(), "capabilities": capabilities}

    def listen(self, address: str) -> int:
        """Answer probes from now on; returns the port."""
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind((address, 0))
        whole_only(end)
        threading.Thread(target=_answer, args=(end,), daemon=True).start()
        return int(end.getsockname()[1])

    def probe(self, address: str, port: int) -> list[tuple[float, float]]:
        """Round trip and distance of the clocks in seconds, of each probe that was answered."""
        found = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.settimeout(PROBE_S)
            end.connect((address, port))
            for number in range(PROBES):
                asked_ns = time.monotonic_ns()
                try:
                    end.send(ASKED.pack(number))
                    which, came_ns, went_ns = ANSWERED.unpack(end.recv(64))
                except (OSError, StructError):
                    continue
                back_ns = time.monotonic_ns()
                if which == number:
                    rtt_s = (back_ns - asked_ns - (went_ns - came_ns)) / 1e9
                    found.append((rtt_s, (came_ns - asked_ns + went_ns - back_ns) / 2e9))
        return found

    def mtu(self, address: str, port: int) -> int:
        """Of the sizes that trunks try, bytes of the largest IP packet that passes whole both ways; 0: none does."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            whole_only(end)
            end.settimeout(SIZE_S)
            end.connect((address, port))
            for size in (LARGEST_DATAGRAM, USUAL_DATAGRAM, LEAST_DATAGRAM):
                for _ in range(SIZE_TRIES):
                    with suppress(OSError):  # too large for this machine's interface, or no answer
                        end.send(bytes(size))
                        if len(end.recv(LARGEST_DATAGRAM)) == size:
                            return size + IP_HEADERS
        return 0


def whole_only(end: socket.socket) -> None:
    """Let nobody cut its datagrams into fragments."""
    end.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)


def _answer(end: socket.socket) -> None:
    while True:
        try:
            data, asker = end.recvfrom(LARGEST_DATAGRAM)
            came_ns = time.monotonic_ns()
            number = ASKED.unpack_from(data)[0]
            told = data if len(data) > ASKED.size else ANSWERED.pack(number, came_ns, time.monotonic_ns())
            end.sendto(told, asker)
        except (OSError, StructError):  # no probe, an asker that is gone, or a size that does not pass
            continue


def check(address: str) -> dict[str, Any]:
    """`machines` and `pairs` of the cluster, each with what `forbids` a run there; PlatformError where it cannot be
    joined."""
    ray = join(address)
    try:
        nodes = machines_of(ray)
        actors = actors_on(ray, Checker, nodes, idle=True)
        facts = answers(ray, [actor.facts.remote() for actor in actors])
        ports = answers(
            ray, [actor.listen.remote(node["NodeManagerAddress"]) for actor, node in zip(actors, nodes, strict=True)]
        )
        pairs = []
        for one, other in combinations(range(len(nodes)), 2):
            to = nodes[other]["NodeManagerAddress"], ports[other]
            found, mtu = answers(ray, [actors[one].probe.remote(*to), actors[one].mtu.remote(*to)])
            pairs.append(_pair(name_of(nodes[one]), name_of(nodes[other]), found, mtu))
        return {
            "ray": ray.__version__,
            "machines": [_machine(node, fact) for node, fact in zip(nodes, facts, strict=True)],
            "pairs": pairs,
        }
    finally:
        ray.shutdown()


def _machine(node: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    lacking = [each for each in facts["capabilities"] if each["needed"] and not each["works"]]
    forbids = [f"{each['name']}: {each['found']}; to get it: {each['get']}" for each in lacking]
    if not facts["capabilities"]:
        forbids.append("`skyloom doctor` does not answer there")
    if difference := skew(versions(), facts["versions"]):
        forbids.append(difference)
    return {
        "name": name_of(node), "cores": int(node["Resources"]["CPU"]), "memory_bytes": int(node["Resources"]["memory"]),
        "versions": facts["versions"], "forbids": forbids,
    }  # fmt: skip


def _pair(one: str, other: str, found: list[tuple[float, float]], mtu: int) -> dict[str, Any]:
    pair: dict[str, Any] = {"between": [one, other], "asked": PROBES, "answered": len(found), "forbids": []}
    if not found:
        return pair | {"forbids": ["no UDP datagram comes through and back; trunks take ports that the kernel chooses"]}
    if not mtu:
        pair["forbids"].append(f"no datagram of {LEAST_DATAGRAM:,} bytes comes through and back whole")
    least_s, apart_s = min(found)
    median_s = statistics.median(rtt_s for rtt_s, _ in found)
    return pair | {
        "least_ms": least_s * 1e3, "median_ms": median_s * 1e3, "clocks_apart_ms": apart_s * 1e3,
        "clocks_bound_ms": least_s * 0.5e3, "mtu": mtu,
    }  # fmt: skip
