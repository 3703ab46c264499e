"""Plays an agent against a schedule or an adversary in memory: the prediction for the run over sockets.

Invariant: it is the same `Agent`, given the same views, as in the node processes; only the carrying is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nodes.explorer.core import Agent
from nodes.explorer.interval import Interval, Snapshot, edge
from nodes.explorer.schedules import Footprint


class Edges(Protocol):
    """Says which edges are present: a `Schedule`, or an adversary that looks where the agent is."""

    def present(self, step: int, position: int) -> Snapshot: ...


@dataclass(frozen=True, slots=True)
class Play:
    """How an exploration went. `steps` counts up to the last node's first visit, or to the limit."""

    covered: bool
    steps: int
    moves: int
    waits: int
    replans: int
    seen: int
    measured: int  # largest T of the steps played (interval.largest_finite)
    path: tuple[int, ...]  # position at the begin of each step, and at the end


def play(footprint: Footprint, edges: Edges, agent: Agent, start: int, max_steps: int) -> Play:
    """Steps until every node has been visited, at most `max_steps`. `agent` has then the memory of the whole way."""
    checker = Interval(footprint.nodes)
    position, came_from = start, -1
    path = [start]
    seen = {start}
    for step in range(max_steps):
        if len(seen) == footprint.nodes:
            break
        present = edges.present(step, position)
        checker.step(present)
        around = [node for node in footprint.neighbours[position] if edge(position, node) in present]
        door = agent.step(footprint.view(position, around, came_from, agent.visibility))
        came_from = -1
        if door is not None:
            came_from, position = position, footprint.behind(position, door, agent.visibility)
            assert edge(came_from, position) in present, "an agent takes doors that it sees"
        path.append(position)
        seen.add(position)
    return Play(
        covered=len(seen) == footprint.nodes, steps=len(path) - 1, moves=agent.moves, waits=agent.waits,
        replans=agent.replans, seen=len(seen), measured=checker.largest, path=tuple(path),
    )  # fmt: skip
