"""What a run of amnesiac flooding did, beside what was predicted: headline figures and drawings.

Invariant: the summary comes from what the nodes recorded, and the prediction is read, never computed again, here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodes.amnesiac.adversary import Adversary, Event
from nodes.amnesiac.graph import Edge, Graph

if TYPE_CHECKING:
    from emulator.record.load import Run

PROGRAM = "nodes.amnesiac.process:Flood"


@dataclass(slots=True)
class Observed:
    """The run, message by message, from the events `flood` of its nodes."""

    rounds: int  # the last one in which messages could be sent
    graph: Graph
    sources: list[int]
    adversary: Adversary  # its delays only: a lost message shows by not being heard
    sends: dict[int, list[Edge]] = field(default_factory=lambda: defaultdict(list))  # by round
    heard: dict[int, list[Edge]] = field(default_factory=lambda: defaultdict(list))  # by round of arrival
    received: int = 0
    in_slot: int = 0

    @property
    def messages(self) -> int:
        return sum(map(len, self.sends.values()))

    @property
    def last_active(self) -> int:
        """The last round in which anything was sent or received."""
        return max([*self.sends, *self.heard], default=0)

    @property
    def terminates(self) -> bool:
        """Whether all was over before the last round. Nodes listen for as long as any message may be late."""
        return self.last_active < self.rounds

    def cycle(self, expected: int) -> int:
        """`expected` where what was sent in the last so many rounds is what was sent as many rounds before, else 0."""
        if expected < 1 or self.terminates:
            return 0
        window = range(self.rounds - expected + 1, self.rounds + 1)
        same = all(sorted(self.sends.get(r, [])) == sorted(self.sends.get(r - expected, [])) for r in window)
        return expected if same and self.rounds >= 2 * expected else 0

    def rounds_heard(self) -> dict[int, set[int]]:
        """Of each node: the rounds in which it heard the message."""
        found: dict[int, set[int]] = defaultdict(set)
        for round, edges in self.heard.items():
            for _, node in edges:
                found[node].add(round)
        return found


def observe(run: Run) -> Observed:
    """Read the events of a run."""
    import polars

    config = next(program["config"] for program in run.document["program"] if program.get("run") == PROGRAM)
    edges = [(_number(a), _number(b)) for a, b in config["edges"]]
    nodes = max((max(edge) for edge in edges), default=0) + 1
    events = tuple(Event(round, (_number(a), _number(b)), delay) for round, a, b, delay in config.get("delays", []))
    adversary = Adversary(config.get("prefix", 0), config.get("period", 1), events)
    sources = [_number(name) for name in config["sources"]]
    seen = Observed(config["rounds"], Graph.of(nodes, edges), sources, adversary)
    flood = run.events.filter(polars.col("kind") == "flood")
    for name, data in flood.select("node", "data").iter_rows():
        record, node = json.loads(data), _number(name)
        round = record["round"]
        if record["to"]:
            seen.sends[round] += [(node, _number(to)) for to in record["to"]]
        if record["heard"]:
            seen.heard[round - 1] += [(_number(by), node) for by in record["heard"]]
        seen.received += record["received"]
        seen.in_slot += record["in_slot"]
    return seen


def _number(name: str) -> int:
    return int(name.removeprefix("n"))
