"""The health of the relay: lateness of its packets and the causes, its idle time, and whether it is saturated.

Invariant: lateness and its causes are cumulative over the run; `turn_max_s` and `saturated` cover the time since the
previous report.
"""

from __future__ import annotations

import os
import time
from typing import Any

from emulator.link.engine.engine import Engine
from emulator.link.engine.structures import CONSTANTS, ClockProbe

SATURATED = 0.95  # share of the time without sleep, or of a core, from which on the relay counts as saturated
PROBES = CONSTANTS["PROBES"]
TRUNK_COUNTERS = (
    "records_sent", "records_received", "queues_sent", "queues_received", "peer_sent", "bytes_sent", "bytes_received",
    "datagrams_sent", "datagrams_received", "asked", "repaired", "given_up", "late", "reordered", "rejected",
    "repeated", "dropped", "datagram_bytes", "fragments", "heard_s", "least_rtt_s",
)  # fmt: skip
NICE = -15  # of the engine's lanes
NICE_BEHIND = -5  # of the thread that reports and receives orders
NICE_GROUP = -20  # of the relay's session among sessions


def be_urgent() -> None:
    """Take priority over the nodes when cores are short, as far as this user may; the measured lateness shows the
    effect.

    The kernel may share cores evenly between sessions (autogroups), and a nice value counts only within a session: so
    the relay has its own session, with a nice value too.
    """
    try:
        os.setsid()
    except OSError:
        pass  # it leads its session already
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(NICE_GROUP))
    except OSError:
        pass


def step_back() -> None:
    """Give the threads that this one has started priority over it."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE_BEHIND)
    except OSError:
        pass


class Health:
    """Reads the reports of the lanes of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before: list[tuple[float, float, float]] = []
        self._at_s = 0.0
        self._probed: dict[int, int] = {}  # probes told so far, by host

    def begin(self, now_s: float) -> None:
        """Begin to measure: packets are read from now on."""
        self._before, self._at_s = self._readings(), now_s

    def _readings(self) -> list[tuple[float, float, float]]:
        reports = [self._engine.report(lane) for lane in range(self._engine.lanes)]
        return [(report.cpu_s, report.slept_s, report.overloaded_s) for report in reports]

    def report(self, now_s: float) -> dict[str, Any]:
        """The part of a `stats` message about the relay itself."""
        engine = self._engine
        lanes = [engine.report(lane) for lane in range(engine.lanes)]
        readings, elapsed_s = self._readings(), max(now_s - self._at_s, 1e-9)
        before = self._before or [(0.0, 0.0, 0.0)] * len(lanes)
        saturated = self._at_s >= 0.0 and any(  # before scenario time 0 lanes wait without a report
            (cpu_s - cpu_before_s) > SATURATED * elapsed_s
            or (slept_s - slept_before_s) < (1.0 - SATURATED) * elapsed_s
            or overloaded_s > overloaded_before_s
            for (cpu_s, slept_s, overloaded_s), (cpu_before_s, slept_before_s, overloaded_before_s) in zip(
                readings, before, strict=True
            )
        )
        self._before, self._at_s = readings, now_s
        return {
            "lateness": engine.lateness().pack(),
            "late": {
                "packets": sum(lane.late_packets for lane in lanes),
                "engine_s": sum(lane.late_engine_s for lane in lanes),
                "scheduler_s": sum(lane.late_scheduler_s for lane in lanes),
                "capture_s": sum(lane.late_capture_s for lane in lanes),
            },
            "cpu_s": time.process_time(),
            "engine_cpu_s": sum(lane.cpu_s for lane in lanes),
            "wakeups": sum(lane.wakeups for lane in lanes),
            "turn_max_s": max(engine.turn_max_s(lane) for lane in range(engine.lanes)),
            "overloaded_s": sum(lane.overloaded_s for lane in lanes),
            "saturated": saturated,
            "realtime": any(lane.realtime for lane in lanes),
            "late_rows": sum(lane.late_rows for lane in lanes),
            "late_handovers": sum(lane.late_handovers for lane in lanes),
            "held": sum(lane.pool_small + lane.pool_large for lane in lanes),
            "late_queues": sum(lane.late_queues for lane in lanes),
            "trunks": self.trunks(),
        }

    def trunks(self) -> dict[int, dict[str, Any]]:
        """The counters of each trunk so far, by host: those of TrunkReport, with the latency as a packed histogram, and
        the probes since the last call."""
        told = {}
        for host in self._engine.trunks:
            report = self._engine.trunk_report(host)
            numbers = {name: getattr(report, name) for name in TRUNK_COUNTERS}
            latency = [(bucket, count) for bucket, count in enumerate(report.latency) if count]
            probed = report.probed
            new = range(max(self._probed.get(host, 0), probed - PROBES), probed)
            probes = [_numbers(report.probe[number % PROBES]) for number in new]
            self._probed[host] = probed
            told[host] = numbers | {"latency": latency, "probes": probes}
        return told


def _numbers(probe: ClockProbe) -> tuple[int, int, int, int, int]:
    """Who asked; then when it asked, when it was heard, told and answered, in ns of the two hosts' clocks."""
    return probe.asker, probe.asked_ns, probe.heard_ns, probe.told_ns, probe.answered_ns
