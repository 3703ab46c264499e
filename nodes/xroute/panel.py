"""Panel of messages over several chains: how many are on the way, delivered and settled, how fast, chains, relayers.

Invariant: every relayer reads all chains that it serves, so of what they count the largest is shown, not the sum; those
of a baseline are counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.sdk.histogram import Binned, Quantiles
from emulator.sdk.protocol import Panel, PanelContext, Widget
from nodes.xroute.sides import side_of

X_LABEL = "scenario time in s"
HARMS = ("violations", "lost", "duplicated", "forged", "wrongly_refunded", "failed", "stuck")
ROWS = 24  # of a table, the first ones
COUNTS = ("jobs", "delivered", "settled", "rerouted")  # samples of relayers
MODEL = "delivered_by_model"  # one more, in mode zk-model


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
        self._latency: defaultdict[str, Quantiles] = defaultdict(Quantiles)  # by side
        self._pending = Binned(1.0, "mean", lines=2)
        self._audits: dict[str, Mapping[str, Any]] = {}  # by side

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "block":
            chain = self._chains[node]
            chain.height = int(data["height"])
            chain.txs += int(data["txs"])
            chain.failed += int(data["failed"])
        elif kind == "audit":
            self._audits[side_of(node)] = data

    def sample(self, t_s: float, node: str, name: str, value: float, key: str) -> None:
        if name == "latency_s":
            self._latency[side_of(node)].add(value)
        elif name in (*COUNTS, MODEL):
            self._relayers.setdefault(node, {})[name] = value
            if name == "jobs":
                side = side_of(node)
                self._pending.add(side or "messages", t_s, self._most("jobs", side))

    def _most(self, name: str, side: str) -> float:
        found = (counts.get(name, 0.0) for node, counts in self._relayers.items() if side_of(node) == side)
        return max(found, default=0.0)

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
        """Rows of xRoute, then of the baseline under its name."""
        beside = sorted({*map(side_of, self._relayers), *self._audits} - {""})
        return [
            [f"{side} {what}".strip(), value]
            for side in ("", *beside)
            for what, value in (*self._counted(side), *self._audited(side))
        ]

    def _counted(self, side: str) -> Iterator[tuple[str, str]]:
        for what, name in (("on the way", "jobs"), ("delivered", "delivered"), ("settled", "settled")):
            yield what, f"{self._most(name, side):,.0f}"
        if by_model := self._most(MODEL, side):
            yield "delivered by a MODEL of proofs", f"{by_model:,.0f}: nothing was proved"
        latency = self._latency[side]
        if latency.count:
            p50_s, p95_s = (latency.quantile(share) or 0.0 for share in (0.5, 0.95))
            yield "sent to settled", f"{p50_s:,.1f} / {p95_s:,.1f} s (p50 / p95)"

    def _audited(self, side: str) -> Iterator[tuple[str, str]]:
        audit = self._audits.get(side)
        if audit:
            harms = [f"{count:,} {name.replace('_', ' ')}" for name in HARMS if (count := audit.get(name, 0))]
            yield "audit: delivered", f"{audit.get('delivered', 0):,} of {audit.get('sent', 0):,}"
            yield "audit: HARMED" if harms else "audit: harmed", ", ".join(harms) or "none"


def _listing(title: str, columns: tuple[str, ...], values: Mapping[str, tuple[float, ...]]) -> Widget:
    rows = [[name, *(f"{value:,.0f}" for value in values[name])] for name in sorted(values)[:ROWS]]
    return {"kind": "listing", "title": title, "columns": ["node", *columns], "rows": rows}
