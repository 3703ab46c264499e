"""The exploring agent: its memory, and its choice of the next door. No sockets, no clock, no global randomness.

An agent sees the number of its node and the *doors* there, the ends of edges that are present in this step. A door has
a name: with visibility KT0 a port number, which is independent of the node behind it; with KT1 the number of that node.
The agent knows neither the number of nodes nor how long edges are present. The rule is greedy on a map of assumed
edges: go to the nearest unexplored door over edges that were present when last seen; if none is reachable, assume again
all edges ever seen; if all known doors are explored, begin a new sweep, as there may be nodes that were never visible.
The random walk takes each present door with equal probability.

Model and greedy idea: "Tight Bounds on Window Size and Time for Single-Agent Graph Exploration under T-Interval
Connectivity", arXiv 2604.04619; the rules for assumed edges and sweeps are our own.
Invariant: the memory is the whole state. An agent that was encoded and decoded between two steps takes the same doors.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from emulator.model.errors import Unfit

KT0, KT1, WALK = "kt0", "kt1", "walk"
VISIBILITIES = (KT0, KT1, WALK)

Door = tuple[int, int]  # node, and the door's name there


@dataclass(frozen=True, slots=True)
class View:
    """The view of an agent in a step: its node, and the names of the present doors there, in rising order.

    `came_by` is the name of the door by which the agent entered with its last move; -1 if it stayed or just began.
    """

    node: int
    doors: tuple[int, ...]
    came_by: int = -1


@dataclass(slots=True)
class Agent:
    """An agent and its memory, which moves with it. Call `step` once a step for the door to take."""

    visibility: str
    seed: int = 0  # of the walk
    steps: int = 0
    moves: int = 0
    waits: int = 0
    replans: int = 0  # changes of the target door before it was reached
    sweeps: int = 0  # sweeps after the first
    visited: set[int] = field(default_factory=set)  # nodes, in all sweeps
    explored: set[int] = field(default_factory=set)  # KT1: nodes visited in this sweep
    passed: set[Door] = field(default_factory=set)  # KT0: doors passed through in this sweep, from either side
    ever: dict[int, set[int]] = field(default_factory=dict)  # names of all doors ever seen, by node
    believed: set[Door] = field(default_factory=set)  # doors assumed present: when last seen, or after `_hope`
    twins: dict[Door, Door] = field(default_factory=dict)  # the door at the other end of an edge, if it is known
    left_by: Door | None = None  # the door taken in the last step
    aim: Door | None = None  # the unexplored door that the last step headed for

    def __post_init__(self) -> None:
        if self.visibility not in VISIBILITIES:
            raise Unfit(f"visibility {self.visibility!r}", f"one of {', '.join(VISIBILITIES)}")

    def step(self, view: View) -> int | None:
        """The door to take in this step, one of `view.doors`; None to stay."""
        self.arrive(view)
        if self.visibility == WALK:
            door = self._stroll(view)
        else:
            self._look(view)
            door = self._plan(view.node)
        self.steps += 1
        self.left_by = None if door is None else (view.node, door)
        if door is None:
            self.waits += 1
        else:
            self.moves += 1
        return door

    def arrive(self, view: View) -> None:
        """Record the present node, and the doors passed to reach it."""
        node = view.node
        self.visited.add(node)
        self.explored.add(node)
        if self.left_by is not None and view.came_by >= 0 and self.visibility != WALK:
            here = (node, view.came_by)
            self._link(self.left_by, here)
            self.passed |= {self.left_by, here}
        self.left_by = None

    def _link(self, door: Door, twin: Door) -> None:
        self.twins[door], self.twins[twin] = twin, door
        for node, name in (door, twin):
            self.ever.setdefault(node, set()).add(name)

    def _look(self, view: View) -> None:
        """Update the assumed edges at this node to those that are present."""
        node = view.node
        if self.visibility == KT1:
            for name in view.doors:
                self._link((node, name), (name, node))
        names = self.ever.setdefault(node, set())
        names.update(view.doors)
        present = set(view.doors)
        for name in names:
            sides = {(node, name), self.twins.get((node, name), (node, name))}
            if name in present:
                self.believed |= sides
            else:
                self.believed -= sides

    def _is_open(self, door: Door) -> bool:
        """Whether the door is unexplored in this sweep."""
        return door[1] not in self.explored if self.visibility == KT1 else door not in self.passed

    def _plan(self, node: int) -> int | None:
        pursued = self.aim if self.aim is not None and self._is_open(self.aim) else None
        first, aim = self._nearest(node)
        if aim is None and not any(self._is_open((at, name)) for at, names in self.ever.items() for name in names):
            self.sweeps += 1
            self.explored = {node}
            self.passed = set()
            first, aim = self._nearest(node)
        if aim is None:
            self._hope(node)
            first, aim = self._nearest(node)
        if pursued is not None and aim != pursued:
            self.replans += 1
        self.aim = aim
        return first

    def _hope(self, node: int) -> None:
        """Assume all doors ever seen as present again, but for absent ones at this node."""
        gone = {(node, name) for name in self.ever[node] if (node, name) not in self.believed}
        gone |= {self.twins[door] for door in gone if door in self.twins}
        self.believed = {(at, name) for at, names in self.ever.items() for name in names} - gone

    def _nearest(self, node: int) -> tuple[int | None, Door | None]:
        """Breadth-first search over assumed edges: name of the first door on the path, and the open door at its end."""
        queue: deque[tuple[int, int | None]] = deque([(node, None)])
        reached = {node}
        while queue:
            at, first = queue.popleft()
            for name in sorted(self.ever.get(at, ())):
                door = (at, name)
                if door not in self.believed:
                    continue
                by = name if first is None else first
                if self._is_open(door):
                    return by, door
                twin = self.twins.get(door)
                if twin is not None and twin[0] not in reached:
                    reached.add(twin[0])
                    queue.append((twin[0], by))
        return None, None

    def _stroll(self, view: View) -> int | None:
        """A random door. Each step has its own random stream, so that no generator state has to move with the agent."""
        return random.Random(f"{self.seed}/walk/{self.steps}").choice(view.doors) if view.doors else None
