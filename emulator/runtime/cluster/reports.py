"""What a host tells of its relay, checked before anything is made of it.

Invariant: a report that passes has the shape that relays give it, speaks only of what the network has, and holds finite
numbers, but for those that are infinite before anything came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import msgpack

from emulator.link.engine.structures import LATENESS_BUCKETS
from emulator.link.health import TRUNK_COUNTERS
from emulator.link.stats import EndStats
from emulator.model.network import Network
from emulator.runtime.control.channel import Message
from emulator.runtime.control.encoding import UNREADABLE, BadMessage

NUMBERS = (
    "cpu_s", "engine_cpu_s", "wakeups", "overloaded_s", "late_rows", "late_handovers", "untold", "turn_max_s", "told_s",
    "held", "late_queues", "host_cpu", "host_memory_bytes",
)  # fmt: skip
FLAGS = ("saturated", "realtime")
LATE = ("packets", "engine_s", "scheduler_s", "capture_s")
INFINITE = ("heard_s", "least_rtt_s")  # before a trunk has heard its peer
COUNTERS = [name for name in TRUNK_COUNTERS if name not in INFINITE]


class Reports:
    """The check of reports from hosts of one run."""

    def __init__(self, network: Network, hosts: int) -> None:
        self._ends, self._nodes, self._links = 2 * len(network.links), len(network.nodes), len(network.links)
        self._hosts = hosts

    def read(self, host: int, data: bytes) -> Message:
        """The report in the bytes. BadMessage where the host cannot have said this."""
        try:
            report: Message = msgpack.unpackb(data, strict_map_key=False)
            self._check(host, report)
        except (*UNREADABLE, AttributeError) as error:
            raise BadMessage(f"{len(data)} bytes are no report of a relay: {type(error).__name__}: {error}") from None
        return report

    def _check(self, host: int, report: Message) -> None:
        match report["op"]:
            case "stats":
                self._stats(host, report)
            case "trunks":
                self._trunks(host, report["trunks"])
            case "carrier":
                _finite((report["t_s"], report["at_s"]))
                for link, _ in report["changes"]:
                    _within(link, self._links, "link")
            case "done":
                _count(report["number"])
            case "error":
                if not isinstance(report["message"], str):
                    raise TypeError("an error without words")
            case op:
                raise ValueError(f"op {str(op)[:40]!r}, which no relay says")

    def _stats(self, host: int, report: Message) -> None:
        _finite((report["t_s"],))
        for end, counters in report["ends"].items():
            _within(end, self._ends, "link end")
            if type(counters) is not list or len(counters) != len(EndStats):
                raise ValueError(f"counters of link end {end} that are not {len(EndStats)} numbers")
            _finite((sum(counters),))
        if "lateness" in report or "trunks" in report:
            self._health(host, report)

    def _health(self, host: int, report: Message) -> None:
        _finite(report[name] for name in NUMBERS)
        if any(type(report[name]) is not bool for name in FLAGS):
            raise TypeError("neither yes nor no")
        _finite(report["late"][name] for name in LATE)
        late = report["lateness"]
        _finite((late["sum_s"], late["max_s"]))
        _histogram(late["counts"])
        for node, count in report["unrouted"].items():
            _within(node, self._nodes, "node")
            _count(count)
        for capture, count in report["captures_lost"].items():
            _count(capture)
            _count(count)
        self._trunks(host, report["trunks"])

    def _trunks(self, host: int, trunks: Mapping[Any, Any]) -> None:
        if sorted(trunks) != [peer for peer in range(self._hosts) if peer != host]:
            raise ValueError(f"trunks to other hosts than there are: {str(sorted(trunks))[:40]}")
        for trunk in trunks.values():
            for name in COUNTERS:
                _count(trunk[name])
            if any(trunk[name] != trunk[name] for name in INFINITE):
                raise ValueError("a time that is no number")
            _histogram(trunk["latency"])
            for asker, *times_ns in trunk["probes"]:
                _within(asker, self._hosts, "host")
                if len(times_ns) != 4 or any(type(time_ns) is not int for time_ns in times_ns):
                    raise ValueError("a probe without four whole times")


def _finite(numbers: Iterable[float]) -> None:
    for number in numbers:
        if not isfinite(number):
            raise ValueError(f"{number} in place of a finite number")


def _count(number: Any) -> None:
    if type(number) is not int or number < 0:
        raise ValueError(f"{str(number)[:40]} in place of a count")


def _within(number: Any, most: int, what: str) -> None:
    if type(number) is not int or not 0 <= number < most:
        raise ValueError(f"{what} {str(number)[:40]}, which does not exist")


def _histogram(counts: Iterable[tuple[Any, Any]]) -> None:
    for bucket, count in counts:
        _within(bucket, LATENESS_BUCKETS, "bucket")
        _count(count)
