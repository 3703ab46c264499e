"""Panel of amnesiac flooding: the run in space and time, messages by round, and what was predicted beside it.

Invariant: a message counts as lost only when its receiver has told of a later round without it; what is still under way
is neither heard nor lost. Nodes beyond the first `ROWS` are counted, though they have no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.binned import Binned
from emulator.protocol import Panel, Setup, Tone, Widget

ROWS = 40
COLUMNS = 60  # rounds in the grid
KEPT = 2 * COLUMNS  # rounds that are remembered: messages may be late by some
SETTLE = 2  # rounds after a message was due until it is taken for lost: its receiver tells a round later
SENDS, HEARS, LOST, SILENT, NEW = "^", "v", "x", ".", " "
BOTH = "#"
TONES: dict[str, Tone] = {SENDS: "plain", HEARS: "plain", BOTH: "good", LOST: "bad", SILENT: "dim", NEW: "dim"}
LEGEND = (
    f"{BOTH} hears and sends  {SENDS} sends  {HEARS} hears  {LOST} did not hear what was sent  {SILENT} heard before"
)


class AmnesiacPanel(Panel):
    """Flooding by the events `flood` of its nodes."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        config: Mapping[str, Any] = next(iter(setup.configs.values()), {})
        self._last = int(config.get("rounds", 0))
        self._prefix, self._period = int(config.get("prefix", 0)), max(1, int(config.get("period", 1)))
        delays = config.get("delays") or ()
        self._delays = {(int(round), str(a), str(b)): int(delay) for round, a, b, delay in delays}
        self._messages = Binned(1.0, "rate", step=1.0, points=COLUMNS)
        self._first_heard: dict[str, int] = dict.fromkeys(config.get("sources") or (), 0)
        self._sent: dict[int, set[str]] = {}  # by round: nodes that sent in it
        self._heard: dict[int, set[str]] = {}  # by round: nodes that a message came to in it
        self._due: dict[int, set[tuple[str, str]]] = {}  # by round of arrival: messages under way
        self._missing: dict[int, set[str]] = {}  # by round: nodes that did not hear what was sent to them
        self._round = self._active = 0  # latest told of, latest in which anything was sent or heard
        self._count = self._received = self._in_slot = self._lost = 0

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
            self._heard.setdefault(round - 1, set()).add(node)
            self._first_heard.setdefault(node, round - 1)
            self._due.setdefault(round - 1, set()).difference_update((name, node) for name in heard)
        self._forget()

    def _delay(self, round: int, sender: str, to: str) -> int:
        if round > self._prefix:
            round = self._prefix + 1 + (round - self._prefix - 1) % self._period
        return self._delays.get((round, sender, to), 0)

    def _forget(self) -> None:
        for due in [due for due in self._due if due < self._round - SETTLE]:
            if missing := self._due.pop(due):
                self._lost += len(missing)
                self._missing.setdefault(due, set()).update(to for _, to in missing)
        for kept in (self._sent, self._heard, self._missing):
            while len(kept) > KEPT:
                del kept[min(kept)]

    def widgets(self, t_s: float) -> list[Widget]:
        shown: list[Widget] = []
        nodes = self.setup.nodes[:ROWS]
        last = max(self._active, 1)
        rounds = range(max(1, last - COLUMNS + 1), last + 1)
        if self._active and nodes:
            rows = [(name, "".join(self._cell(name, round) for round in rounds)) for name in nodes]
            title = f"Rounds {rounds[0]:,} to {last:,}"
            if len(nodes) < len(self.setup.nodes):
                title += f", {len(nodes)} of {len(self.setup.nodes):,} nodes"
            shown.append({"kind": "grid", "title": title, "rows": rows, "tones": TONES, "legend": LEGEND})
        shown.append({"kind": "facts", "rows": self._facts()})
        chart = self._messages.chart("Messages sent", "round", "messages a round")
        if chart is not None:
            shown.append(chart)
        return shown

    def _cell(self, node: str, round: int) -> str:
        sends, hears = node in self._sent.get(round, ()), node in self._heard.get(round, ())
        if node in self._missing.get(round, ()):
            return LOST
        if sends or hears:
            return BOTH if sends and hears else SENDS if sends else HEARS
        return SILENT if self._first_heard.get(node, round) < round else NEW

    def _facts(self) -> list[list[str]]:
        reached, known = len(self._first_heard), self.setup.prediction
        rows = [
            ["round", f"{self._round:,} of {self._last:,}" if self._last else f"{self._round:,}"],
            ["last active round", f"{self._active:,}"],
            ["messages", _beside(f"{self._count:,}", known.get("messages"))],
            ["nodes reached", f"{reached:,} of {len(self.setup.nodes):,}"],
            ["lost on the way", f"{self._lost:,}"],
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
