"""The conductor: the adversary's hand. It sees where the agent is, and switches real links off and on before each step.

Runs on a node without links, outside the explored network, at the same barrier as the hosts. Invariant: links change
only between the two meetings of a step, while nobody moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from emulator.model.errors import Unfit
from emulator.sdk.node import Node
from nodes.explorer import meeting
from nodes.explorer.adversary import RingAdversary
from nodes.explorer.interval import Edge, Snapshot, edge
from nodes.explorer.schedules import Footprint, ring_edges


class Conductor(Node):
    """Events: `edges` {step, present} once the links of a step are set."""

    protocol = "nodes.explorer.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        nodes: int
        edges: list[tuple[int, int]] = field(default_factory=list)  # of the footprint; all are up at first
        start: int = 0
        max_steps: int = 100
        adversary_interval: int = 0  # more than 0: the ring adversary for this T; `toggles` are then left out
        toggles: list[tuple[int, int, int]] = field(
            default_factory=list
        )  # step, edge: present if it was absent, or not

        def __post_init__(self) -> None:
            footprint = Footprint.of(self.nodes, self.edges)
            if not 0 <= self.start < self.nodes or self.max_steps < 1 or self.adversary_interval < 0:
                found = f"start {self.start}, max_steps {self.max_steps}, adversary_interval {self.adversary_interval}"
                raise Unfit(found, f"a node of 0 … {self.nodes - 1}, at least 1, at least 0")
            if self.adversary_interval and footprint.edges != ring_edges(self.nodes):
                raise Unfit("an adversary on a graph that is no ring 0, 1, …", "a ring")
            for step, a, b in self.toggles:
                if step < 0 or edge(a, b) not in footprint.edges:
                    raise Unfit(f"toggle of {a}-{b} in step {step}", "an edge of the graph, step 0 or later")

    async def run(self) -> None:
        conducting = asyncio.ensure_future(self._conduct())
        stopping = asyncio.ensure_future(self.context.stopping.wait())
        await asyncio.wait([conducting, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if conducting.done():
            conducting.result()
        conducting.cancel()

    async def _conduct(self) -> None:
        config, context = self.config, self.context
        footprint = Footprint.of(config.nodes, config.edges)
        progress = meeting.Progress(config.nodes, config.max_steps)
        present = footprint.edges
        step = 0
        while True:
            position = meeting.position(await context.meet(2 * step))
            if progress.ends(step, position):
                return
            expected = self._present(step, position, present)
            await self._switch("link-down", present - expected)
            await self._switch("link-up", expected - present)
            present = expected
            context.emit("edges", step=step, present=sorted(present))
            there = [node for node in footprint.neighbours[position] if edge(position, node) in present]
            await context.meet(2 * step + 1, meeting.around(there))
            step += 1

    def _present(self, step: int, position: int, before: Snapshot) -> Snapshot:
        config = self.config
        if config.adversary_interval:
            return RingAdversary(config.nodes, config.adversary_interval, config.start).present(step, position)
        return before ^ {edge(a, b) for at, a, b in config.toggles if at == step}

    async def _switch(self, do: str, edges: Iterable[Edge]) -> None:
        links = [f"n{a}:n{b}" for a, b in sorted(edges)]
        if links:
            await self.context.act(do, links=links)
