"""Panel of plurality consensus: who holds which opinion now and over the rounds, and what it cost so far.

Invariant: shares are those that the observer of the whole run saw at a barrier; between two of them nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.sdk.histogram import Binned
from emulator.sdk.protocol import Panel, PanelContext, Widget

BARS = 8  # opinions with a bar of their own
LINES = 5  # and with a line
MOST_OPINIONS = 512  # that are followed over the rounds: those that more agents began with


class PluralityPanel(Panel):
    """Opinions of all agents, by the events `round` of the first process."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__(context)
        config: Mapping[str, Any] = next(iter(context.configs.values()), {})
        self._rule = str(config.get("protocol", ""))
        self._synchronous = config.get("mode", "synchronous") == "synchronous"
        self._counts = [int(count) for count in config.get("counts") or ()]
        ranked = sorted(range(len(self._counts)), key=lambda opinion: -self._counts[opinion])
        self._followed = {*ranked[:MOST_OPINIONS], len(self._counts)}
        self._shares = Binned(1.0, step=1.0 if self._synchronous else 0.0, lines=MOST_OPINIONS + 1)
        self._tally: list[int] = []
        self._round = 0
        self._time = 0.0
        self._samples: int | None = None
        self._lost = 0

    def event(self, t_s: float, node: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind != "round" or int(data["round"]) < self._round:
            return
        self._tally = [int(count) for count in data["tally"]]
        self._round, self._time = int(data["round"]), float(data["time"])
        self._samples = data.get("samples", self._samples)
        self._lost = data.get("lost", self._lost)
        agents = sum(self._tally)
        for opinion, count in enumerate(self._tally):
            if agents and (count or opinion in self._followed):
                self._shares.add(self._name(opinion), self._time, count / agents)

    def _name(self, opinion: int) -> str:
        return "undecided" if opinion == len(self._tally) - 1 else f"opinion {opinion}"

    def _ranked(self) -> list[int]:
        """Opinions that anybody holds, the largest first; the undecided are one of them."""
        held = [opinion for opinion, count in enumerate(self._tally) if count]
        return sorted(held, key=lambda opinion: (-self._tally[opinion], opinion))

    def widgets(self, t_s: float) -> list[Widget]:
        facts: Widget = {"kind": "facts", "rows": self._facts()}
        if not self._tally:
            return [facts]
        ranked, agents = self._ranked(), max(sum(self._tally), 1)
        rows = [(self._name(opinion), self._tally[opinion] / agents, f"{self._tally[opinion]:,}") for opinion in ranked]
        rest = sum(self._tally[opinion] for opinion in ranked[BARS:])
        if rest:
            rows = [*rows[:BARS], (f"{len(ranked) - BARS} others", rest / agents, f"{rest:,}")]
        shown: list[Widget] = [{"kind": "bars", "title": "Agents by opinion", "rows": rows}, facts]
        before = sorted(range(len(self._counts)), key=lambda opinion: -self._counts[opinion])
        lines = list(dict.fromkeys(self._name(opinion) for opinion in [*ranked[:LINES], *before]))[:LINES]
        x_label = "round" if self._synchronous else "parallel time"
        chart = self._shares.chart("Shares of opinions", x_label, "% of agents", scale=100.0, lines=lines)
        if chart is not None:
            shown.append(chart)
        return shown

    def _facts(self) -> list[list[str]]:
        when = f"{self._round:,}" if self._synchronous else f"{self._time:,.2f} (parallel time)"
        rows = [["rule", self._rule], ["round", when if self._tally else "none yet"]]
        if not self._tally:
            return rows
        agents, ranked = sum(self._tally), self._ranked()
        opinions = [opinion for opinion in ranked if opinion != len(self._tally) - 1]
        if len(ranked) == 1 and opinions:
            won = not self._counts or self._counts[ranked[0]] == max(self._counts)
            rows.append(
                ["consensus", f"yes: {self._name(ranked[0])}, {'the' if won else 'not the'} plurality at first"]
            )
        else:
            rows.append(["consensus", f"not yet: {len(opinions):,} opinions"])
        rows.append(["agents", f"{agents:,}"])
        if self._samples is not None and agents:
            rows.append(["samples an agent", f"{self._samples / agents:,.2f}"])
        if self._lost:
            rows.append(["queries given up", f"{self._lost:,}"])
        return rows
