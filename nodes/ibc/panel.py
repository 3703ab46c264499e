"""Panel of chains and relayers: backlog, what the time of a round goes to, packets a second, clients, blocks.

Invariant: packets are counted by the chains that settle them, so that several relayers of a path count none twice; the
backlog of an end is what the relayer that told last has of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.sdk.histogram import Binned, Quantiles
from emulator.sdk.protocol import Panel, PanelContext, Widget

STAGES = ("event", "proof", "submitted", "confirmed")  # of nodes.ibc.relayer.lanes.Stages, in order
ROWS = 12  # of the tables
MOST_KEYS = 4096  # ends, and clients, that are remembered
X_LABEL = "scenario time in s"
HARMS = ("lost", "duplicated", "wrongly_refunded", "stuck")


@dataclass(slots=True)
class _Chain:
    """One chain as a node has it, by its last block."""

    height: int = 0
    made_s: float = 0.0  # when
    txs: int = 0
    failed: int = 0
    settled: int = 0
    waiting: int = 0  # transactions in the mempool before the last block
    work_s: float = 0.0


class IbcPanel(Panel):
    """Chains by their blocks, relayers by their samples, the audit by its event."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        self._chains: dict[str, _Chain] = {}  # by node
        self._heights: dict[str, int] = {}  # by chain id
        self._all_settled = 0
        self._backlog: dict[str, float] = {}  # by end
        self._parked: dict[str, float] = {}  # by relayer
        self._clients: dict[str, float] = {}  # age in s, by client
        self._latency = Quantiles()
        self._stages = {stage: Quantiles() for stage in STAGES}
        self._backlogs = Binned(1.0, "mean", lines=1)
        self._settled = Binned(1.0, "rate", lines=1)
        self._ages = Binned(1.0, "mean", lines=1)
        self._paths = 0
        self._misbehaviour = 0
        self._audit: Mapping[str, Any] = {}

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "block":
            chain = self._chains.setdefault(node, _Chain())
            chain.height, chain.made_s = int(data["height"]), t_s
            chain.txs += int(data["txs"])
            chain.failed += int(data["failed"])
            chain.settled += (settled := int(data.get("settled", 0)))
            if chain.height > self._heights.get(name := str(data["chain"]), 0):  # the first of its validators
                self._heights[name] = chain.height
                self._all_settled += settled
                self._settled.add("settled", t_s, settled)
        elif kind == "path":
            self._paths += 1
        elif kind == "misbehaviour":
            self._misbehaviour += 1
        elif kind == "audit":
            self._audit = data

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        if name == "latency_s":
            self._latency.add(value)
        elif name == "stage_s" and key in self._stages:
            self._stages[key].add(value)
        elif name == "backlog_size":
            _remember(self._backlog, key, value)
            self._backlogs.add("backlog", t_s, sum(self._backlog.values()))
        elif name == "client_age_s":
            _remember(self._clients, key, value)
            self._ages.add("oldest", t_s, max(self._clients.values()))
        elif name == "parked":
            self._parked[node] = value
        elif name in ("mempool_txs", "block_work_s"):
            chain = self._chains.setdefault(node, _Chain())
            if name == "mempool_txs":
                chain.waiting = int(value)
            else:
                chain.work_s = value

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = [{"kind": "facts", "rows": self._facts()}]
        charts = [
            self._backlogs.chart("Packets that are not settled", X_LABEL, "packets"),
            self._settled.chart("Packets settled", X_LABEL, "packets a second", until=t_s),
        ]
        shown += [chart for chart in charts if chart is not None]
        if any(stage.count for stage in self._stages.values()):
            shown.append(self._bars())
        if self._chains:
            shown.append(self._listing())
        if self._clients:
            shown.append(self._oldest())
        return shown

    def _facts(self) -> list[list[str]]:
        rows = [
            ["packets settled", f"{self._all_settled:,}"],
            ["on the way", f"{sum(self._backlog.values()):,.0f}"],
            ["paths open", f"{self._paths:,}"],
        ]
        if self._latency.count:
            rows.append(["sent to settled", f"{_spread(self._latency)} (p50 / p95)"])
        if self._clients:
            rows.append(["oldest client", f"{max(self._clients.values()):,.0f} s behind its chain's clock"])
        if parked := sum(self._parked.values()):
            rows.append(["PARKED", f"{parked:,.0f} packets: `skyloom exec RELAYER -- pending` says why"])
        if self._misbehaviour:
            rows.append(["MISBEHAVIOUR", f"shown to clients {self._misbehaviour:,} times"])
        if self._audit:
            harmed = {name: count for name in HARMS if (count := self._audit.get(name, 0))}
            harms = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in harmed.items())
            acknowledged, sent = self._audit.get("acknowledged", 0), self._audit.get("sent", 0)
            rows.append(["audit: acknowledged", f"{acknowledged:,} of {sent:,}"])
            rows.append(["audit: HARMED" if harms else "audit: harmed", harms or "none"])
            compared, wrong = self._audit.get("escrows", 0), self._audit.get("escrow_errors", 0)
            rows.append(["audit: escrow", f"{compared:,} accounts compared, {wrong:,} wrong"])
        return rows

    def _bars(self) -> Widget:
        medians = {name: stage.quantile(0.5) or 0.0 for name, stage in self._stages.items() if stage.count}
        longest = max(medians.values()) or 1.0
        rows = [(name, median / longest, _spread(self._stages[name])) for name, median in medians.items()]
        return {"kind": "bars", "title": "Stages of a round, p50 / p95", "rows": rows}

    def _listing(self) -> Widget:
        rows = []
        for name in sorted(sorted(self._chains, key=lambda name: self._chains[name].made_s)[:ROWS]):
            chain = self._chains[name]
            counts = (chain.height, chain.txs, chain.failed, chain.waiting, chain.settled)
            rows.append([name, *(f"{count:,}" for count in counts), f"{chain.work_s * 1e3:,.0f}"])
        cut = f", the {ROWS} whose last block is oldest" if len(self._chains) > ROWS else ""
        columns = ["chain", "block", "txs", "failed", "mempool", "settled", "ms"]
        title = f"Chains{cut} (ms: of the last block)"
        return {"kind": "listing", "title": title, "columns": columns, "rows": rows}

    def _oldest(self) -> Widget:
        names = sorted(self._clients, key=lambda name: -self._clients[name])[:ROWS]
        rows = [[name, f"{self._clients[name]:,.0f}"] for name in names]
        cut = f", the {ROWS} oldest of {len(self._clients):,}" if len(self._clients) > ROWS else ""
        return {"kind": "listing", "title": f"Clients{cut}", "columns": ["client", "age s"], "rows": rows}


def _remember(values: dict[str, float], key: str, value: float) -> None:
    if key in values or len(values) < MOST_KEYS:
        values[key] = value


def _spread(of: Quantiles) -> str:
    return f"{of.quantile(0.5) or 0.0:,.1f} / {of.quantile(0.95) or 0.0:,.1f} s"
