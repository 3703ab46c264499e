"""Panel of traffic: round trips and losses of probed pairs, rates of flows, latencies of requests.

Invariant: of thousands of pairs only a few have a line of their own, those with transfers first; the line "all" and the
counts are of every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emulator.sdk.histogram import Binned, Quantiles
from emulator.sdk.protocol import Panel, PanelContext, Widget

ALL = "all (median)"
LINES = 4  # pairs with a line of their own
ROWS = 8  # of the tables
MOST_PAIRS = 4096  # that are counted by themselves


class TrafficPanel(Panel):
    """What probes, bulk transfers and requests measure."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        self._chosen = _transfers(context)
        self._rtt = Binned(0.5, "median", lines=LINES + 1)
        self._rate = Binned(1.0, "mean", lines=LINES)
        self._latency = Binned(1.0, "median", lines=LINES)
        self._rtts, self._latencies = Quantiles(), Quantiles()
        self._pairs: dict[tuple[str, str], list[float]] = {}  # probed: answered, lost, last round trip in s
        self._flows: dict[tuple[str, str], list[float]] = {}  # from, to: last rate in bit/s, bytes
        self._failed = 0  # requests
        self._broken = 0  # connections of flows

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "flow":
            flow = self._flow(str(data.get("peer", "")), node)
            if flow is not None:
                flow[0] = 0.0
        elif kind == "request-failed":
            self._failed += 1
        elif kind == "flow-broken":
            self._broken += 1

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        if name == "rtt_s":
            self._rtts.add(value)
            self._rtt.add(ALL, t_s, value)
            if (node, key) in self._chosen or (not self._chosen and len(self._rtt.lines) <= LINES):
                self._rtt.add(f"{node} → {key}", t_s, value)
            pair = self._pair(node, key)
            if pair is not None:
                pair[0] += 1
                pair[2] = value
        elif name == "probe_lost":
            pair = self._pair(node, key)
            if pair is not None:
                pair[1] += 1
        elif name == "goodput_bps":
            self._rate.add(f"{key} → {node}", t_s, value)
            flow = self._flow(key, node)
            if flow is not None:
                flow[0] = value
        elif name == "flow_bytes":
            flow = self._flow(key, node)
            if flow is not None:
                flow[1] = value
        elif name == "latency_s":
            self._latencies.add(value)
            self._latency.add(f"{node} → {key}", t_s, value)

    def _pair(self, node: str, peer: str) -> list[float] | None:
        if (pair := self._pairs.get((node, peer))) is None and len(self._pairs) < MOST_PAIRS:
            pair = self._pairs[node, peer] = [0, 0, math.nan]
        return pair

    def _flow(self, sender: str, receiver: str) -> list[float] | None:
        if (flow := self._flows.get((sender, receiver))) is None and len(self._flows) < MOST_PAIRS:
            flow = self._flows[sender, receiver] = [0.0, 0.0]
        return flow

    def widgets(self, t_s: float) -> list[Widget]:
        charts = [
            self._rtt.chart("Round trips", "scenario time in s", "ms", scale=1e3, lines=self._rtt_lines()),
            self._rate.chart("Goodput of flows", "scenario time in s", "Mbit/s", scale=1e-6),
            self._latency.chart("Latency of requests (median)", "scenario time in s", "ms", scale=1e3),
        ]
        shown: list[Widget] = [chart for chart in charts if chart is not None]
        shown.insert(1, {"kind": "facts", "rows": self._facts()})
        if any(lost for _, lost, _ in self._pairs.values()):
            shown.append(self._losses())
        return shown

    def _rtt_lines(self) -> list[str]:
        return self._rtt.lines if len(self._pairs) > 1 else [line for line in self._rtt.lines if line != ALL]

    def _facts(self) -> list[list[str]]:
        rows: list[list[str]] = []
        answered = sum(int(pair[0]) for pair in self._pairs.values())
        lost = sum(int(pair[1]) for pair in self._pairs.values())
        if answered or lost:
            rows.append(["probes answered", f"{answered:,} of {len(self._pairs):,} pairs"])
            rows.append(["probes lost", f"{lost:,} ({lost / (answered + lost):.2%})"])
        if answered:
            rows.append(["round trip", _spread_ms(self._rtts)])
        if self._flows:
            now_bps = sum(rate for rate, _ in self._flows.values())
            sent = sum(count for _, count in self._flows.values())
            rows.append(["flows", f"{len(self._flows):,}, {now_bps / 1e6:,.2f} Mbit/s now, {sent / 1e6:,.1f} MB"])
        if self._broken:
            rows.append(["connections of flows broken", f"{self._broken:,}"])
        if self._latencies.count or self._failed:
            rows.append(["requests answered", f"{self._latencies.count:,}, {self._failed:,} failed"])
        if self._latencies.count:
            rows.append(["latency of requests", _spread_ms(self._latencies)])
        return rows or [["traffic", "nothing measured yet"]]

    def _losses(self) -> Widget:
        worst = sorted(self._pairs.items(), key=lambda item: (-item[1][1], item[0]))[:ROWS]
        rows = [
            [f"{node} → {peer}"[:40], f"{int(lost):,}", f"{lost / (answered + lost):.1%}",
             "" if math.isnan(last_s) else f"{last_s * 1e3:.1f}"]
            for (node, peer), (answered, lost, last_s) in worst if lost
        ]  # fmt: skip
        columns = ["pair", "lost", "share", "last RTT ms"]
        return {"kind": "listing", "title": "Pairs that lost most probes", "columns": columns, "rows": rows}


def _transfers(context: PanelContext) -> frozenset[tuple[str, str]]:
    """Sender and receiver of the first few transfers that are configured."""
    found: list[tuple[str, str]] = []
    for config in context.configs.values():
        for text in [*(config.get("flows") or ()), *(config.get("pairs") or ())]:
            source, arrow, to = str(text).partition("->")
            if arrow:
                found.append((source.strip(), to.strip()))
    return frozenset(found[:LINES])


def _spread_ms(of: Quantiles) -> str:
    p50_s, p95_s = of.quantile(0.5) or 0.0, of.quantile(0.95) or 0.0
    return f"{p50_s * 1e3:.1f} ms p50, {p95_s * 1e3:.1f} ms p95"
