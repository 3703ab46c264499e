"""Feeds events and samples of a finished run to the live metrics (and their protocol panels) up to a cursor.

Invariant: the metrics have received exactly the records up to the cursor, by time. Moving back starts from the last
kept copy of the metrics, or from the beginning; work is done in pieces, so that the screen does not wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.observe.live_metrics import LiveMetrics
from emulator.observe.panels import Panels

if TYPE_CHECKING:
    import polars as pl

PIECE = 2_000  # records between two checks of the clock
COPY_EVERY = 40_000  # records between two copies of the metrics
COPIES = 12


class ReplayMetrics(LiveMetrics):
    """Live metrics that also keep the time of each pair's last probe, for a later comparison with the schedule."""

    def __init__(self, panels: Panels) -> None:
        super().__init__(panels)
        self.probed_s: dict[tuple[str, str], float] = {}

    def _probe(self, node: str, peer: str, sent_s: float, rtt_s: float) -> None:
        self.probed_s[node, peer] = sent_s
        super()._probe(node, peer, sent_s, rtt_s)


class Feed:
    """Passes records to `metrics`."""

    def __init__(self, events: pl.DataFrame, samples: pl.DataFrame, panels: Callable[[], Panels]) -> None:
        self._events = events.select("t_s", "node", "program", "kind", "data")
        self._samples = samples.select("t_s", "node", "program", "name", "value", "key")
        self._panels = panels
        t_s = np.concatenate([events["t_s"].to_numpy(), samples["t_s"].to_numpy()])
        order = np.argsort(t_s, kind="stable")  # at one time events come before samples
        self._t_s = t_s[order]
        self._is_event = order < len(events)
        self._events_before = np.concatenate([[0], np.cumsum(self._is_event)])
        self._copies: dict[int, ReplayMetrics] = {}
        self.metrics = ReplayMetrics(panels())
        self.fed = 0  # records that the metrics have received

    @property
    def until_s(self) -> float:
        """Time of the last record."""
        return float(self._t_s[-1]) if len(self._t_s) else 0.0

    def position(self, t_s: float) -> int:
        """The number of records up to an instant."""
        return int(np.searchsorted(self._t_s, t_s, side="right"))

    def bring_to(self, t_s: float, more_time: Callable[[], bool]) -> bool:
        """Feed all records up to `t_s` to the metrics; returns False if there was no more time."""
        target = self.position(t_s)
        if target < self.fed:
            self._go_back(target)
        nearer = max((at for at in self._copies if self.fed < at <= target), default=None)
        if nearer is not None:
            self.metrics, self.fed = deepcopy(self._copies[nearer]), nearer
        while self.fed < target:
            stop = min(target, self.fed + PIECE, (self.fed // COPY_EVERY + 1) * COPY_EVERY)
            self._give(self.fed, stop)
            self.fed = stop
            if stop % COPY_EVERY == 0:
                self._keep(stop)
            if self.fed < target and not more_time():
                return False
        return True

    def _go_back(self, target: int) -> None:
        at = max((at for at in self._copies if at <= target), default=0)
        self.metrics = deepcopy(self._copies[at]) if at else ReplayMetrics(self._panels())
        self.fed = at

    def _keep(self, at: int) -> None:
        if at in self._copies:
            return
        try:
            self._copies[at] = deepcopy(self.metrics)
        except Exception:  # a panel that cannot be copied is fed from the beginning
            return
        if len(self._copies) > COPIES:  # keep every second one
            for old in sorted(self._copies)[1:-1:2]:
                del self._copies[old]

    def _give(self, start: int, stop: int) -> None:
        first_event, last_event = int(self._events_before[start]), int(self._events_before[stop])
        events = iter(self._events.slice(first_event, last_event - first_event).rows())
        first_sample, last_sample = start - first_event, stop - last_event
        samples = iter(self._samples.slice(first_sample, last_sample - first_sample).rows())
        metrics = self.metrics
        for is_event in self._is_event[start:stop].tolist():
            if is_event:
                t_s, node, program, kind, data = next(events)
                metrics.event(t_s, node, program, kind, _fields(data))
            else:
                t_s, node, program, name, value, key = next(samples)
                metrics.sample(t_s, node, program, name, value if value is not None else float("nan"), key)


def _fields(data: str) -> dict[str, Any]:
    found = json.loads(data) if data else {}
    return found if isinstance(found, dict) else {}
