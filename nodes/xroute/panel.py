"""Panel of messages over several chains: how many are on the way, delivered and settled, how fast, chains, relayers.

Invariant: every relayer reads all chains that it serves, so of what they count the largest is shown, not the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.sdk.histogram import Binned, Quantiles
from emulator.sdk.protocol import Panel, PanelContext, Widget

X_LABEL = "scenario time in s"
HARMS = ("violations", "lost", "duplicated", "forged", "wrongly_refunded", "stuck")
ROWS = 24  # of a table, the first ones
COUNTS = ("jobs", "delivered", "settled", "rerouted")  # samples of relayers


@dataclass(slots=True)
class _Chain:
    """One chain, by its blocks."""

    height: int = 0
    txs: int = 0
    failed: int = 0


class XroutePanel(Panel):
    """Chains by their blocks, relayers by their samples, the audit by its event."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        self._chains: defaultdict[str, _Chain] = defaultdict(_Chain)  # by node
        self._relayers: dict[str, dict[str, float]] = {}  # by node: samples of `COUNTS`
        self._latency = Quantiles()
        self._pending = Binned(1.0, "mean", lines=1)
        self._audit: Mapping[str, Any] = {}

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "block":
            chain = self._chains[node]
            chain.height = int(data["height"])
            chain.txs += int(data["txs"])
            chain.failed += int(data["failed"])
        elif kind == "audit":
            self._audit = data

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        if name == "latency_s":
            self._latency.add(value)
        elif name in COUNTS:
            self._relayers.setdefault(node, {})[name] = value
            if name == "jobs":
                self._pending.add("messages", t_s, self._most("jobs"))

    def _most(self, name: str) -> float:
        return max((counts.get(name, 0.0) for counts in self._relayers.values()), default=0.0)

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = [{"kind": "facts", "rows": self._facts()}]
        chart = self._pending.chart("Messages that are not settled", X_LABEL, "messages")
        if chart is not None:
            shown.append(chart)
        if self._chains:
            shown.append(_listing("Chains", ("block", "txs", "failed"), {
                name: (chain.height, chain.txs, chain.failed) for name, chain in self._chains.items()
            }))  # fmt: skip
        if self._relayers:
            shown.append(_listing("Relayers, and messages as they have them", COUNTS, {
                name: tuple(counts.get(each, 0.0) for each in COUNTS) for name, counts in self._relayers.items()
            }))  # fmt: skip
        return shown

    def _facts(self) -> list[list[str]]:
        rows = [
            ["on the way", f"{self._most('jobs'):,.0f}"],
            ["delivered", f"{self._most('delivered'):,.0f}"],
            ["settled", f"{self._most('settled'):,.0f}"],
        ]
        if self._latency.count:
            p50_s, p95_s = (self._latency.quantile(share) or 0.0 for share in (0.5, 0.95))
            rows.append(["sent to settled", f"{p50_s:,.1f} / {p95_s:,.1f} s (p50 / p95)"])
        if self._audit:
            harms = [f"{count:,} {name.replace('_', ' ')}" for name in HARMS if (count := self._audit.get(name, 0))]
            rows.append(["audit: delivered", f"{self._audit.get('delivered', 0):,} of {self._audit.get('sent', 0):,}"])
            rows.append(["audit: HARMED" if harms else "audit: harmed", ", ".join(harms) or "none"])
        return rows


def _listing(title: str, columns: tuple[str, ...], values: Mapping[str, tuple[float, ...]]) -> Widget:
    rows = [[name, *(f"{value:,.0f}" for value in values[name])] for name in sorted(values)[:ROWS]]
    return {"kind": "listing", "title": title, "columns": ["node", *columns], "rows": rows}
