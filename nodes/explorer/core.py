"""The exploring agent: what it remembers, and which door it takes next. No sockets, no clock, no global randomness.

An agent sees its node's number and the *doors* there whose edges are present in this step. A door has a name. With
visibility KT0 it is a port number, which says nothing of what lies behind; with KT1 it is the number of the node
behind it. It knows neither the number of nodes nor how long edges stay. The rule is greedy on a believed map: go to the
nearest unexplored door over edges last seen present; where none is reachable, believe again in all edges ever seen;
where everything known is explored, begin a new sweep, because there may be nodes that were never in sight. The walk
takes any present door with equal chance.

Model and greedy idea: "Tight Bounds on Window Size and Time for Single-Agent Graph Exploration under T-Interval
Connectivity", arXiv 2604.04619; the bookkeeping (what is believed when, the sweeps) is our own.
Invariant: the memory is all there is. An agent that was encoded and decoded between two steps takes the same doors.
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
    """What an agent sees in a step: its node, and the names of the doors there that are present, in rising order.

    `came_by` is the name of the door by which the agent came in with its last move; -1 where it stayed or just began.
    """

    node: int
    doors: tuple[int, ...]
    came_by: int = -1


@dataclass(slots=True)
class Agent:
    """An agent and its memory, all of which travels with it. `step` once a step says which door to take."""

    visibility: str
    seed: int = 0  # of the walk
    steps: int = 0
    moves: int = 0
    waits: int = 0
    replans: int = 0  # how often the door aimed at was given up for another one before it was reached
    sweeps: int = 0  # begun after the first
    visited: set[int] = field(default_factory=set)  # nodes, ever
    explored: set[int] = field(default_factory=set)  # KT1: nodes visited in this sweep
    passed: set[Door] = field(default_factory=set)  # KT0: doors passed through in this sweep, from either side
    ever: dict[int, set[int]] = field(default_factory=dict)  # names of all doors ever seen, by node
    believed: set[Door] = field(default_factory=set)  # those that were present when last seen, or are hoped to be
    twins: dict[Door, Door] = field(default_factory=dict)  # both sides of an edge, where both are known
    left_by: Door | None = None  # the door taken in the last step
    aim: Door | None = None  # the unexplored door that the last step headed for

    def __post_init__(self) -> None:
        if self.visibility not in VISIBILITIES:
            raise Unfit(f"visibility {self.visibility!r}", f"one of {', '.join(VISIBILITIES)}")

    def step(self, view: View) -> int | None:
        """The door to take in this step, one of `view.doors`; None to stay where it is."""
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
        """Note where it is, and what it has passed through to come here."""
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
        """Bring the beliefs about the edges here up to date: what is seen holds, what is not seen is gone."""
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
        """Whether there is something to find behind the door in this sweep."""
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
        """Believe in all doors ever seen again, but for those that are not there before its eyes."""
        gone = {(node, name) for name in self.ever[node] if (node, name) not in self.believed}
        gone |= {self.twins[door] for door in gone if door in self.twins}
        self.believed = {(at, name) for at, names in self.ever.items() for name in names} - gone

    def _nearest(self, node: int) -> tuple[int | None, Door | None]:
        """Breadth first over believed edges: name of the first door on the way, and the open door it leads to."""
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
        """A stream of its own for each step, so that the walk needs no generator state to travel."""
        return random.Random(f"{self.seed}/walk/{self.steps}").choice(view.doors) if view.doors else None
