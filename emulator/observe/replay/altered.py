"""The link ends that did not follow their schedule at any time of a finished run, derived from its actions.

Invariant: the sets are those of the live run after each action; a partition is computed again at each handover.
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
    """`at(t_s)` returns the values that actions had set on link ends."""

    def __init__(self, network: Network, events: pl.DataFrame) -> None:
        import polars as pl

        self._numbers = {node.name: number for number, node in enumerate(network.nodes)}
        self._links = {link.name: number for number, link in enumerate(network.links)}
        self._far: dict[int, int] = {}
        self._since_s: list[float] = []
        self._values: list[dict[int, dict[str, Any]]] = []
        events_of_links = events.filter(pl.col("kind").is_in(["action", "handover"])).select("t_s", "kind", "data")
        if not len(events_of_links.filter(pl.col("kind") == "action")):
            return
        faults = Faults(network, lambda order: None, lambda end: self._far.get(end // 2, -1))
        for (data,) in events_of_links.filter(pl.col("kind") == "handover").select("data").reverse().iter_rows():
            fields = json.loads(data)  # the first handover of a link, which comes last here, names its first far node
            self._serve(fields["link"], fields["before"])
        for t_s, kind, data in events_of_links.iter_rows():
            fields = json.loads(data)
            if kind == "handover":
                self._serve(fields["link"], fields["after"])
                faults.moved()
            else:
                with suppress(UsageError, KeyError):  # a failed action has changed nothing
                    faults.perform(fields)
            self._since_s.append(t_s)
            self._values.append(faults.overrides())

    def at(self, t_s: float) -> dict[int, dict[str, Any]]:
        """Ends changed by an action at an instant, with the values set; as `Faults.overrides`."""
        place = bisect_right(self._since_s, t_s)
        return self._values[place - 1] if place else {}

    def _serve(self, link: str, node: str) -> None:
        if link in self._links:
            self._far[self._links[link]] = self._numbers.get(node, -1)
