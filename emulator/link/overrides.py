"""Changes of a running network: links held, partitioned, switched off, or with other values than the schedule's.

Invariant: each reason for a link to be down (switched off, partitioned, set) is kept separately, so that undoing one
leaves the others; an end returns to its schedule only when no reason is left. Pure state: `tell` sends the orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, assert_never

from emulator.model.names import matches
from emulator.model.network import Network
from emulator.model.verbs import VALUE_NAMES, find

Tell = Callable[[dict[str, Any]], None]
Groups = Sequence[Sequence[str]]  # globs of node names


class Faults:
    """Faults of the links of one network. `peer(end)` returns the present far node of a moving link."""

    def __init__(self, network: Network, tell: Tell, peer: Callable[[int], int] | None = None) -> None:
        self._network = network
        self._tell = tell
        self._peer = peer
        self._names = [network.end_names(end) for end in range(2 * len(network.links))]
        self._off: set[int] = set()
        self._cut: set[int] = set()
        self._set: dict[int, dict[str, Any]] = {}
        self._held: set[int] = set()
        self._sides: list[int] = []  # of each node, while there is a partition

    @property
    def altered(self) -> set[int]:
        """Ends that do not follow their schedule."""
        return self._off | self._cut | set(self._set) | self._held

    def overrides(self) -> dict[int, dict[str, Any]]:
        """The values of each altered end that replace its schedule: `VALUE_NAMES`, and `held` if its packets wait."""
        found = {end: dict(self._set.get(end, {})) for end in self.altered}
        for end in self._off | self._cut:
            found[end]["up"] = False
        for end in self._held:
            found[end]["held"] = True
        return found

    def perform(self, action: Mapping[str, Any]) -> None:
        """Apply an action to links; actions on programs change nothing here. UsageError for an unknown verb."""
        verb = find(action.get("do"))
        ends = self.ends(action.get("links") or ())
        match verb.name:
            case "hold" | "release":
                at_nodes = self.ends_of(action["nodes"]) if action.get("nodes") else []
                self.hold(ends + at_nodes, verb.name == "hold")
            case "partition":
                self.partition(action["groups"])
            case "heal":
                self.partition(())
            case "link-down" | "link-up":
                self.switch(ends, verb.name == "link-up")
            case "set":
                self.set(ends, {name: action[name] for name in VALUE_NAMES if name in action})
            case "crash" | "restart" | "exec":
                pass
            case other:
                assert_never(other)

    def ends(self, globs: Iterable[str]) -> list[int]:
        """Link ends whose names ("node:port") match."""
        patterns = tuple(globs)
        return [end for end, names in enumerate(self._names) if any(matches(patterns, name) for name in names)]

    def ends_of(self, globs: Iterable[str]) -> list[int]:
        """Both ends of every link of the nodes whose names match."""
        patterns = tuple(globs)
        nodes = {number for number, node in enumerate(self._network.nodes) if matches(patterns, node.name)}
        found = []
        for number, link in enumerate(self._network.links):
            if link.a in nodes or self._far(number) in nodes:
                found += [2 * number, 2 * number + 1]
        return found

    def switch(self, ends: Iterable[int], up: bool) -> None:
        """Switch whole links off or on again: both directions of each end's link."""
        both = {end for number in ends for end in (number & ~1, number | 1)}
        self._off = self._off - both if up else self._off | both
        self._apply(both, ("up",))

    def set(self, ends: Iterable[int], values: Mapping[str, Any]) -> None:
        """Override values of ends; None returns a value to the schedule."""
        touched = list(ends)
        for end in touched:
            held = {**self._set.get(end, {}), **values}
            self._set[end] = {name: value for name, value in held.items() if value is not None}
            if not self._set[end]:
                del self._set[end]
        self._apply(touched, tuple(values))

    def hold(self, ends: Iterable[int], held: bool) -> None:
        """Hold packets at these ends, or release them."""
        touched = sorted(set(ends))
        self._held = self._held.union(touched) if held else self._held.difference(touched)
        if touched:
            self._tell({"op": "hold" if held else "release", "ends": touched})

    def partition(self, groups: Groups) -> None:
        """Cut all links between the groups; nodes in none of them form one more group. Empty: heal."""
        names = [node.name for node in self._network.nodes]
        self._sides = [_side(groups, name) for name in names] if groups else []
        self.moved()

    def moved(self) -> None:
        """Moving links have new far nodes: compute again which links the partition cuts."""
        cut = set()
        if self._sides:
            for number, link in enumerate(self._network.links):
                far = self._far(number)
                if far >= 0 and self._sides[link.a] != self._sides[far]:
                    cut |= {2 * number, 2 * number + 1}
        changed = cut ^ self._cut
        self._cut = cut
        self._apply(changed, ("up",))

    def _far(self, number: int) -> int:
        link = self._network.links[number]
        return self._peer(2 * number) if link.moving and self._peer is not None else link.b

    def _apply(self, ends: Iterable[int], names: Sequence[str]) -> None:
        """Send the present values of these ends to the relay, grouped by equal values."""
        batches: dict[tuple[Any, ...], list[int]] = {}
        for end in sorted(set(ends)):
            values_set = self._set.get(end, {})
            down = end in self._off or end in self._cut
            values = tuple(False if name == "up" and down else values_set.get(name) for name in names)
            batches.setdefault(values, []).append(end)
        for values, numbers in batches.items():
            self._tell({"op": "set", "ends": numbers, **dict(zip(names, values, strict=True))})


def _side(groups: Groups, name: str) -> int:
    """The first group that has a node; nodes in none form one more."""
    return next((side for side, globs in enumerate(groups) if matches(globs, name)), len(groups))
