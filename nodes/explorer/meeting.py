"""What hosts and conductor tell each other at the barrier: where the agent is, and which edges it should see there.

Step k has two meetings. To the first (2k) whoever moved the agent, or kept it, brings where it is now; the conductor
then sets the links. To the second (2k+1) it brings the edges at the agent's node. All that is said there is a sum of
tallies, the same for everybody. Invariant: everybody counts the nodes seen from the same answers, so all end in the
same step without another word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emulator.model.errors import EmulationError

AT, EDGE = "at:", "edge:"


def here(node: int) -> dict[str, int]:
    """Tally: the agent is at this node."""
    return {f"{AT}{node}": 1}


def position(totals: Mapping[str, int]) -> int:
    """The node at which the agent is. EmulationError where it is nowhere, or in two places."""
    found = [key for key in totals if key.startswith(AT)]
    if len(found) != 1 or totals[found[0]] != 1:
        raise EmulationError(f"the agent is at {len(found)} nodes; expected it at one ({dict(totals)})")
    return int(found[0].removeprefix(AT))


def around(neighbours: Iterable[int]) -> dict[str, int]:
    """Tally: edges to these nodes have been set present at the agent's node, and no others."""
    return {f"{EDGE}{neighbour}": 1 for neighbour in neighbours}


def neighbours(totals: Mapping[str, int]) -> set[int]:
    return {int(key.removeprefix(EDGE)) for key in totals if key.startswith(EDGE)}


class Progress:
    """Counts what an exploration has seen; everybody keeps one."""

    def __init__(self, nodes: int, max_steps: int) -> None:
        self.seen: set[int] = set()
        self._nodes = nodes
        self._max_steps = max_steps

    def ends(self, step: int, node: int) -> bool:
        """The agent is at `node` when step `step` is to begin; whether the exploration ends instead."""
        self.seen.add(node)
        return len(self.seen) >= self._nodes or step >= self._max_steps
