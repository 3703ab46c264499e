"""The ring adversary: it watches the agent and takes away one edge, so that T-interval connectivity holds and no more.

While the agent is at its start s, the edge from s to s+1 is missing; while it is at s-T, the edge from there onwards.
The agent needs T steps from the one to the other, so T consecutive steps never miss more than one edge. Any agent at
all, on a ring of n nodes with T <= n-2, then sees exactly the T+1 nodes from s-T to s. From T = n-1 on there is no
second edge to take, and an agent that keeps going covers the ring in n-1 steps. This is our construction for the
bound T = Omega(m) of arXiv 2604.04619 (a ring has m = n).
Invariant: what is present depends on the agent's position only, so the adversary has no state to lose.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.explorer.interval import Snapshot, edge
from nodes.explorer.schedules import ring_edges


@dataclass(frozen=True)
class RingAdversary:
    """Removes edges of the ring 0 … `nodes`-1 by the agent's position; T-interval connected for T = `interval`."""

    nodes: int
    interval: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.nodes < 3:
            raise Unfit(f"ring of {self.nodes} nodes", "at least 3")
        if self.interval < 1:
            raise Unfit(f"interval {self.interval}", "at least 1")
        if not 0 <= self.start < self.nodes:
            raise Unfit(f"start {self.start}", f"a node of 0 … {self.nodes - 1}")

    def present(self, step: int, position: int) -> Snapshot:
        """Edges of a step in which the agent is at `position`."""
        nodes, far = self.nodes, (self.start - self.interval) % self.nodes
        whole = ring_edges(nodes)
        if position == self.start:
            return whole - {edge(position, (position + 1) % nodes)}
        if self.interval <= nodes - 2 and position == far:
            return whole - {edge(position, (position - 1) % nodes)}
        return whole

    @property
    def sees(self) -> int:
        """How many nodes an agent can see at most."""
        return min(self.nodes, self.interval + 1)
