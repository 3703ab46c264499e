"""Which link ends did not follow their schedule, at any time of a finished run: its actions, done once more on paper.

Invariant: the sets are those that the live run had as each action was done; a partition is read anew at each handover.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from emulator.link.overrides import Faults
from emulator.model.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from emulator.model.network import Network


class Altered:
    """`at(t_s)` gives what actions had given to link ends."""

    def __init__(self, network: Network, events: pl.DataFrame) -> None:
        import polars as pl

        self._numbers = {node.name: number for number, node in enumerate(network.nodes)}
        self._links = {link.name: number for number, link in enumerate(network.links)}
        self._far: dict[int, int] = {}
        self._since_s: list[float] = []
        self._given: list[dict[int, dict[str, Any]]] = []
        told = events.filter(pl.col("kind").is_in(["action", "handover"])).select("t_s", "kind", "data")
        if not len(told.filter(pl.col("kind") == "action")):
            return
        faults = Faults(network, lambda order: None, lambda end: self._far.get(end // 2, -1))
        for (data,) in told.filter(pl.col("kind") == "handover").select("data").reverse().iter_rows():
            fields = json.loads(data)  # the first handover of a link, which comes last here, tells who served before
            self._serve(fields["link"], fields["before"])
        for t_s, kind, data in told.iter_rows():
            fields = json.loads(data)
            if kind == "handover":
                self._serve(fields["link"], fields["after"])
                faults.moved()
            else:
                with suppress(UsageError, KeyError):  # an action that failed did nothing
                    faults.perform(fields)
            self._since_s.append(t_s)
            self._given.append(faults.overrides())

    def at(self, t_s: float) -> dict[int, dict[str, Any]]:
        """Ends under the influence of an action at an instant, and what it gave them; as `Faults.given`."""
        place = bisect_right(self._since_s, t_s)
        return self._given[place - 1] if place else {}

    def _serve(self, link: str, node: str) -> None:
        if link in self._links:
            self._far[self._links[link]] = self._numbers.get(node, -1)
