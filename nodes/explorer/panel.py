"""Panel of an exploration: the agent's node in each step, the nodes that it has seen, and missing edges beside it.

Invariant: a step is drawn from the event of its host, independently of the order of the hosts' records. Missing edges
are drawn beside the agent, from the ports of its host; of other edges only the number of missing ones is known, and
only if a conductor sets them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from emulator.sdk.protocol import Panel, PanelContext, Series, Tone, Widget

ROWS = 40
COLUMNS = 60  # steps in the grid
POINTS = 60  # of the chart
HERE, VISITED, AWAY, AWAY_VISITED, UNSEEN = "@", "o", "x", "X", "."
TONES: dict[str, Tone] = {HERE: "good", VISITED: "plain", AWAY: "bad", AWAY_VISITED: "bad", UNSEEN: "dim"}
LEGEND = f"{HERE} agent {VISITED} visited {UNSEEN} not yet {AWAY} {AWAY_VISITED} edge to agent away"


class ExplorerPanel(Panel):
    """The path of the agent, from the events of its hosts and of the conductor."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        config: Mapping[str, Any] = next(
            (config for config in context.configs.values() if "visibility" in config),
            next(iter(context.configs.values()), {}),
        )
        self._nodes = int(config.get("nodes", 0))
        self._edges = {tuple(sorted((int(a), int(b)))) for a, b in config.get("edges") or ()}
        self._neighbours: dict[int, set[int]] = {}
        for a, b in self._edges:
            self._neighbours.setdefault(a, set()).add(b)
            self._neighbours.setdefault(b, set()).add(a)
        self._visibility = str(config.get("visibility", ""))
        self._most = int(config.get("max_steps", 0))
        self._first: dict[int, int] = {}  # node: step in which it was first visited
        self._steps: dict[int, tuple[int, frozenset[int]]] = {}  # the last steps: node, neighbours behind its doors
        self._latest: Mapping[str, Any] = {}
        self._failed = self._late = 0
        self._away: int | None = None  # number of missing edges, as last set by the conductor

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "explore":
            step, at = int(data["step"]), int(data["node"])
            away = frozenset(self._neighbours.get(at, set()).difference(data["doors"]))
            self._visit(at, step)
            self._steps[step] = (at, away)
            while len(self._steps) > COLUMNS:
                del self._steps[min(self._steps)]
            if step >= int(self._latest.get("step", 0)):
                self._latest = dict(data)
        elif kind == "carried":
            if (number := _number(node)) >= 0:
                self._visit(number, int(data["step"]) + 1)
            self._late += not data["in_slot"]
        elif kind == "carry-failed":
            self._failed += 1
        elif kind == "edges":
            self._away = len(self._edges) - len(data["present"])

    def _visit(self, node: int, step: int) -> None:
        self._first[node] = min(step, self._first.get(node, step))

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = []
        if self._steps:
            steps = sorted(self._steps)
            rows = [(f"n{node}", "".join(self._cell(node, step) for step in steps)) for node in self._drawn()]
            title = f"Steps {steps[0]:,} to {steps[-1]:,}"
            if len(rows) < self._nodes:
                title += f", {len(rows)} of {self._nodes:,} nodes"
            shown.append({"kind": "grid", "title": title, "rows": rows, "tones": TONES, "legend": LEGEND})
        shown.append({"kind": "facts", "rows": self._facts()})
        if self._first:
            shown.append(self._seen())
        return shown

    def _seen(self) -> Widget:
        """Nodes seen before each step, or before some of many steps."""
        firsts = sorted(self._first.values())
        last = max(int(self._latest.get("step", 0)), firsts[-1])
        steps = [*range(0, last, last // POINTS + 1), last]
        values: list[float | None] = [bisect_right(firsts, step) for step in steps]
        x = [float(step) for step in steps]
        series: Series = {"name": "nodes seen", "values": values}
        return {
            "kind": "chart", "title": "Nodes seen", "x_label": "step", "y_label": "nodes", "x": x, "series": [series],
        }  # fmt: skip

    def _drawn(self) -> range:
        """The nodes with a row: all, or as many around the agent as there is room for."""
        at = int(self._latest.get("node", 0))
        count = max(self._nodes, at + 1)
        first = min(max(0, at - ROWS // 2), max(0, count - ROWS))
        return range(first, min(count, first + ROWS))

    def _cell(self, node: int, step: int) -> str:
        at, away = self._steps[step]
        if node == at:
            return HERE
        visited = self._first.get(node, step) < step
        if node in away:
            return AWAY_VISITED if visited else AWAY
        return VISITED if visited else UNSEEN

    def _facts(self) -> list[list[str]]:
        latest, known = self._latest, self.context.prediction
        if not latest:
            return [["steps", "none yet"], ["nodes", f"{self._nodes:,}"]]
        seen, share = len(self._first), len(self._first) / self._nodes if self._nodes else 0.0
        rows = [
            ["steps", f"{latest['step'] + 1:,} of at most {self._most:,}"],
            ["nodes seen", f"{seen:,} of {self._nodes:,} ({share:.0%})" + _predicted(known.get("seen"))],
            ["agent at", f"n{latest['node']}, sees {self._visibility}"],
            ["moves", f"{latest.get('moves', 0):,}" + _predicted(known.get("moves"))],
            ["waits", f"{latest.get('waits', 0):,}" + _predicted(known.get("waits"))],
            ["plans made anew", f"{latest.get('replans', 0):,}" + _predicted(known.get("replans"))],
        ]
        if self._away is not None:
            rows.append(["edges away", f"{self._away:,} of {len(self._edges):,}"])
        if self._failed or self._late:
            rows.append(["moves failed, in another step", f"{self._failed:,}, {self._late:,}"])
        if "steps" in known:
            rows.append(
                ["predicted", f"{'covered' if known.get('covered') else 'given up'} after {known['steps']:,} steps"]
            )
        return rows


def _number(name: str) -> int:
    digits = name.removeprefix("n")
    return int(digits) if digits.isdecimal() else -1


def _predicted(value: Any) -> str:
    return "" if value is None else f" (predicted {value:,})"
