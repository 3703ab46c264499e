"""The detail view of one node or link end on the live screen.

Invariant: it is made for each snapshot from `NetworkState` alone; there is no state here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from emulator.model.network import Network
from emulator.observe.live_metrics import LiveMetrics
from emulator.observe.snapshot import Detail, LinkRow, NodeRow
from emulator.schedule.reader import EndValues
from emulator.sdk.protocol import Widget

EVENTS = 12
LINKS = 12  # of a node, those that are up first
LINKS_READ = 64


class NetworkState(Protocol):
    """The data of details: the rows of one run's snapshots."""

    @property
    def network(self) -> Network: ...

    @property
    def metrics(self) -> LiveMetrics: ...

    @property
    def nodes(self) -> Mapping[str, int]:
        """Numbers by name."""

    @property
    def ends(self) -> Mapping[str, int]:
        """Numbers of link ends by name."""

    @property
    def history_bps(self) -> Mapping[str, Iterable[float]]:
        """Delivered in the last intervals, by link end."""

    @property
    def node_hosts(self) -> Sequence[str]:
        """The names of their hosts, by node, where the run has several."""

    @property
    def overrides(self) -> Callable[[], Mapping[int, Mapping[str, Any]]]:
        """By link end: the values that an action has set instead of the schedule's."""

    def effective(self, end: int, now_s: float) -> EndValues:
        """The values of a link end now: scheduled, or overridden by an action."""

    def ends_of(self, number: int) -> list[str]:
        """The names of a node's link ends."""

    def link_row(self, name: str, now_s: float) -> LinkRow:
        """A link end as a row of a table."""

    def node_row(self, number: int) -> NodeRow:
        """A node as a row of a table."""


def of(state: NetworkState, name: str, now_s: float) -> Detail:
    """The detail of a link end "node:port" or of a node; for any other name, a detail with an explanation."""
    if name in state.ends:
        return _of_link(state, name, now_s)
    if name in state.nodes:
        return _of_node(state, name, now_s)
    return {"name": name, "kind": "node", "facts": [("", "there is no such node or link end in this run")]}


def _of_link(state: NetworkState, name: str, now_s: float) -> Detail:
    row, values = state.link_row(name, now_s), state.effective(state.ends[name], now_s)
    facts = [
        ("leads to", row.get("far") or "nobody"),
        *_crossing(state, state.ends[name], now_s),
        ("state", "up" if row["up"] else "down"),
        ("delay asked", f"{values.delay_s * 1e3:.3f} ms"),
        *([("by a fault", _by_fault(overridden))] if (overridden := state.overrides().get(state.ends[name])) else []),
        ("delay seen", f"{row['seen_ms']:.3f} ms" if "seen_ms" in row else "-"),
        ("lateness", f"{row['late_ms']:.3f} ms" if "late_ms" in row else "-"),
        ("rate granted", _rate(values.rate_bps)),
        ("rate offered", _rate(row["asked_bps"])),
        ("rate delivered", _rate(row["rate_bps"])),
        ("loss asked", f"{values.loss:.2%}"),
    ]
    facts += [(f"dropped: {cause}", f"{count:,}") for cause, count in row.get("causes", {}).items()]
    detail: Detail = {"name": name, "kind": "link", "facts": facts, "widgets": _history(state, name)}
    node = name.partition(":")[0]
    detail["events"] = state.metrics.events_of(name, EVENTS) or state.metrics.events_of(node, EVENTS)
    return detail


def _crossing(state: NetworkState, end: int, now_s: float) -> list[tuple[str, str]]:
    """The hosts between which packets of a link end go, where the run has several."""
    nodes = [state.effective(each, now_s).peer for each in (end ^ 1, end)]
    if not state.node_hosts or min(nodes) < 0:
        return []
    return [("hosts", " → ".join(dict.fromkeys(state.node_hosts[node] for node in nodes)))]


def _by_fault(overridden: Mapping[str, Any]) -> str:
    """The values that an action has set instead of the schedule's, as text."""
    words = {"up": "down", "held": "packets wait"}
    return ", ".join(words.get(name, f"{name} {value:g}") for name, value in overridden.items())


def _history(state: NetworkState, name: str) -> list[Widget]:
    history = list(state.history_bps.get(name, ()))
    if len(history) < 2:
        return []
    seconds = [float(number - len(history) + 1) for number in range(len(history))]
    mbit_s: list[float | None] = [bps / 1e6 for bps in history]
    return [
        {
            "kind": "chart",
            "title": "delivered",
            "x_label": "s before now",
            "y_label": "Mbit/s",
            "x": seconds,
            "series": [{"name": "delivered", "values": mbit_s}],
        }
    ]


def _of_node(state: NetworkState, name: str, now_s: float) -> Detail:
    number = state.nodes[name]
    node = state.network.nodes[number]
    facts = [("role", node.role), ("IPv4", node.ipv4 or "-"), ("IPv6", node.ipv6 or "-")]
    if state.node_hosts:
        facts.append(("host", state.node_hosts[number]))
    if node.position is not None:
        facts.append(("place", f"{node.position[0]:.2f}°, {node.position[1]:.2f}°"))
    if node.live:
        row = state.node_row(number)
        facts += [("programs", ", ".join(row["programs"]) or "none"), ("state", row["state"])]
        if "cpu" in row:
            facts += [
                ("processor", f"{row['cpu']:.1%} of a core"),
                ("memory", f"{row['memory_bytes'] / 1e6:.1f} MB"),
            ]
    else:
        facts.append(("state", "transit, inside the relay"))
    rows = [state.link_row(end, now_s) for end in state.ends_of(number)[:LINKS_READ]]
    rows = sorted(rows, key=lambda row: not row["up"])[:LINKS]
    links: Widget = {
        "kind": "listing",
        "title": "links",
        "columns": ["end", "to", "delay ms", "rate", "drops"],
        "rows": [_link_cells(row) for row in rows],
    }
    return {
        "name": name,
        "kind": "node",
        "facts": facts,
        "widgets": [links] if rows else [],
        "events": state.metrics.events_of(name, EVENTS),
    }


def _link_cells(row: LinkRow) -> list[str]:
    delay = row.get("seen_ms", row.get("asked_ms"))
    shown = f"{delay:.2f}" if delay is not None and row["up"] else "-"
    drops = sum(row.get("causes", {}).values())
    return [row["end"], row.get("far") or "-", shown, _rate(row["rate_bps"]), f"{drops:,}"]


def _rate(bps: float) -> str:
    if bps == float("inf"):
        return "unlimited"
    return f"{bps / 1e6:,.3f} Mbit/s"
