"""Panel of amnesiac flooding: the run in space and time, messages by round, and what was predicted beside it.

Invariant: what is shown does not depend on the order in which nodes' records come. A message counts as lost when its
receiver has not told of it for `TOLD_S` after the round in which it was due; until then it is neither heard nor lost.
Nodes beyond the first `ROWS` are counted, though they have no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.sdk.histogram import Binned
from emulator.sdk.protocol import Panel, PanelContext, Tone, Widget

ROWS = 40
COLUMNS = 60  # rounds in the grid
KEPT = 2 * COLUMNS  # rounds that are remembered: messages may be late by some
TOLD_S = 1.0  # in which a record comes from a node to here
SENDS, HEARS, LOST, SILENT, NEW = "^", "v", "x", ".", " "
BOTH = "#"
TONES: dict[str, Tone] = {SENDS: "plain", HEARS: "plain", BOTH: "good", LOST: "bad", SILENT: "dim", NEW: "dim"}
LEGEND = f"{SENDS} sends {HEARS} hears {BOTH} both {LOST} message lost {SILENT} heard before"
Edge = tuple[str, str]


class AmnesiacPanel(Panel):
    """Flooding by the events `flood` of its nodes."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        config: Mapping[str, Any] = next(iter(context.configs.values()), {})
        self._last = int(config.get("rounds", 0))
        self._start_s, self._slot_s = float(config.get("start_s", 0.0)), float(config.get("slot_s", 0.0)) or 0.04
        self._prefix, self._period = int(config.get("prefix", 0)), max(1, int(config.get("period", 1)))
        delays = config.get("delays") or ()
        self._delays = {(int(round), str(a), str(b)): int(delay) for round, a, b, delay in delays}
        self._messages = Binned(1.0, "rate", step=1.0, points=COLUMNS)
        self._first_heard: dict[str, int] = dict.fromkeys(config.get("sources") or (), 0)
        self._sent: dict[int, set[str]] = {}  # by round: nodes that sent in it
        self._due: dict[int, set[Edge]] = {}  # by round: messages that were to come in it,
        self._came: dict[int, set[Edge]] = {}  # and those that did
        self._round = self._active = 0  # latest told of, latest in which anything was sent or heard
        self._count = self._received = self._in_slot = 0
        self._lost = 0  # in rounds that are forgotten

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind != "flood":
            return
        round, to, heard = int(data["round"]), list(data["to"]), list(data["heard"])
        self._round = max(self._round, round)
        self._received += int(data.get("received", len(heard)))
        self._in_slot += int(data.get("in_slot", len(heard)))
        if to:
            self._active = max(self._active, round)
            self._count += len(to)
            self._messages.add("sent", round, len(to))
            self._sent.setdefault(round, set()).add(node)
            for name in to:
                self._due.setdefault(round + self._delay(round, node, name), set()).add((node, name))
        if heard:
            self._active = max(self._active, round - 1)
            self._first_heard[node] = min(round - 1, self._first_heard.get(node, round))
            self._came.setdefault(round - 1, set()).update((name, node) for name in heard)
        self._forget()

    def _delay(self, round: int, sender: str, to: str) -> int:
        if round > self._prefix:
            round = self._prefix + 1 + (round - self._prefix - 1) % self._period
        return self._delays.get((round, sender, to), 0)

    def _forget(self) -> None:
        while len(self._due) > KEPT:
            round = min(self._due)
            self._lost += len(self._due.pop(round) - self._came.pop(round, set()))
        for kept in (self._sent, self._came):
            while len(kept) > KEPT:
                del kept[min(kept)]

    def _missing(self, t_s: float) -> dict[int, set[Edge]]:
        """By round: the messages that were to come in it and did not."""
        told = (t_s - TOLD_S - self._start_s) / self._slot_s - 2  # the last round of which all must have told by now
        lost = {round: due - self._came.get(round, set()) for round, due in self._due.items() if round <= told}
        return {round: edges for round, edges in lost.items() if edges}

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = []
        missing = self._missing(t_s)
        nodes = self.context.nodes[:ROWS]
        last = max(self._active, 1)
        rounds = range(max(1, last - COLUMNS + 1), last + 1)
        if self._active and nodes:
            hears = {round: {to for _, to in self._came.get(round, ())} for round in rounds}
            loses = {round: {to for _, to in missing.get(round, ())} for round in rounds}
            rows = [
                (name, "".join(self._cell(name, round, hears[round], loses[round]) for round in rounds))
                for name in nodes
            ]
            title = f"Rounds {rounds[0]:,} to {last:,}"
            if len(nodes) < len(self.context.nodes):
                title += f", {len(nodes)} of {len(self.context.nodes):,} nodes"
            shown.append({"kind": "grid", "title": title, "rows": rows, "tones": TONES, "legend": LEGEND})
        shown.append({"kind": "facts", "rows": self._facts(missing)})
        chart = self._messages.chart("Messages sent", "round", "messages a round")
        if chart is not None:
            shown.append(chart)
        return shown

    def _cell(self, node: str, round: int, hear: set[str], lose: set[str]) -> str:
        sends, hears = node in self._sent.get(round, ()), node in hear
        if node in lose:
            return LOST
        if sends or hears:
            return BOTH if sends and hears else SENDS if sends else HEARS
        return SILENT if self._first_heard.get(node, round) < round else NEW

    def _facts(self, missing: Mapping[int, set[Edge]]) -> list[list[str]]:
        reached, known = len(self._first_heard), self.context.prediction
        rows = [
            ["round", f"{self._round:,} of {self._last:,}" if self._last else f"{self._round:,}"],
            ["last active round", f"{self._active:,}"],
            ["messages", _beside(f"{self._count:,}", known.get("messages"))],
            ["nodes reached", f"{reached:,} of {len(self.context.nodes):,}"],
            ["lost on the way", f"{self._lost + sum(map(len, missing.values())):,}"],
        ]
        if self._received:
            rows.append(["in the round they were due", f"{self._in_slot / self._received:.2%}"])
        if known.get("terminates") is False:
            rows.append(["predicted", f"never ends: a cycle of {known.get('cycle', 0):,} rounds"])
        elif "round" in known:
            rows.append(["predicted", f"ends in round {known['round']:,}"])
        return rows


def _beside(observed: str, predicted: Any) -> str:
    return observed if predicted is None else f"{observed} (predicted {predicted:,})"
