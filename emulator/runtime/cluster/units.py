"""Units of nodes that share a host: what must not be cut, and orbit planes, which are cut only where nothing else will.

Invariant: two nodes that a link below `min_cross_s` joins, or a group of `together` names, are in one unit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from emulator.model.errors import Unfit
from emulator.model.network import Bools, Floats, Ints, Network
from emulator.model.units import show
from emulator.orbit.grid import AHEAD, BEHIND
from emulator.runtime.cluster.adjacency import Adjacency
from emulator.runtime.cluster.demand import Demand, sums

MIN_CROSS_S = 1e-3
HEAVIEST = 1.5  # shares of the load that a unit may have


@dataclass(frozen=True, slots=True)
class Rules:
    """What a partition must hold."""

    min_cross_s: float = MIN_CROSS_S  # the shortest delay of a link between hosts
    together: tuple[tuple[int, ...], ...] = ()  # groups of nodes that share a host
    apart: tuple[tuple[int, ...], ...] = ()  # groups of nodes of which no two share a host


class NotApart(Unfit):
    """A group of `Rules.apart` that cannot hold, by its number; None where it is several together."""

    def __init__(self, group: int | None, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.group = group


class Units(NamedTuple):
    """Units by number, in the order of their first nodes."""

    unit: Ints  # of each node
    cpu: Floats  # expected cores of each unit
    apart: dict[int, list[int]]  # units that share no host with a unit
    moving: Bools  # links that move


def units_of(
    network: Network, hosts: int, demand: Demand, near: Adjacency, rules: Rules, largest: float | None = None
) -> Units:
    """The units of `network`, fit for so many hosts, of which the largest has this part of all cores (None: they are
    alike). Unfit where a unit is too heavy or there are too few, NotApart where a group cannot hold."""
    heaviest = HEAVIEST * (1 / hosts if largest is None else largest)
    forced = _joined(len(network.nodes), near, rules)
    planes = _with_planes(network, forced)
    cpu = demand.cpu
    separable = all(len(set(planes[list(group)].tolist())) == len(group) for group in rules.apart)
    unit = planes if separable and _fits(planes, cpu, hosts, heaviest) else forced
    _refuse(network, unit, cpu, hosts, heaviest, near, rules)
    return Units(
        unit,
        sums(unit, cpu, int(unit.max()) + 1),
        _apart(network, unit, hosts, rules),
        np.array([link.moving for link in network.links], dtype=np.bool_),
    )


def _joined(nodes: int, near: Adjacency, rules: Rules) -> Ints:
    """The unit of each node by what must not be cut."""
    short = near.shortest_s < rules.min_cross_s
    chained = [pair for group in rules.together for pair in pairwise(group)]
    pairs = np.array(chained, dtype=np.int32).reshape(-1, 2)
    return _components(
        nodes, np.concatenate([near.a[short], pairs[:, 0]]), np.concatenate([near.b[short], pairs[:, 1]])
    )


def _with_planes(network: Network, unit: Ints) -> Ints:
    """The units where each orbit plane stays whole."""
    along = {f"isl{AHEAD}", f"isl{BEHIND}"}
    plane = [(link.a, link.b) for link in network.links if {link.a_port, link.b_port} == along]
    if not plane:
        return unit
    a, b = unit[np.array(plane, dtype=np.int32).T]
    return _components(int(unit.max()) + 1, a, b)[unit]


def _components(count: int, a: Ints, b: Ints) -> Ints:
    """The component of each of `count` vertices, numbered by their first ones, given edges between `a` and `b`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(count, count))
    label = connected_components(edges, directed=False)[1]
    _, first, place = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[place]


def _fits(unit: Ints, cpu: Floats, hosts: int, heaviest: float) -> bool:
    """Whether there are enough units, and none has more than this part of the load."""
    weight = sums(unit, cpu, int(unit.max()) + 1)
    return len(weight) >= hosts and bool(weight.max() <= heaviest * cpu.sum())


def _refuse(
    network: Network, unit: Ints, cpu: Floats, hosts: int, heaviest: float, near: Adjacency, rules: Rules
) -> None:
    if _fits(unit, cpu, hosts, heaviest):
        return
    weight = sums(unit, cpu, int(unit.max()) + 1)
    bound = show(rules.min_cross_s, "duration")
    first = int(weight.argmax())
    share = float(weight[first] / cpu.sum())
    few = max(1, min(len(weight), int(HEAVIEST / share)))
    instead = f"{few} host{'s' if few > 1 else ''}"
    if share <= heaviest:
        raise Unfit(
            f"{hosts} hosts for a network of {len(weight)} units that can be separated (links below {bound} and names "
            f"that stay together join nodes)",
            f"at most {instead}",
        )
    nodes = np.flatnonzero(unit == first)
    links = int(np.count_nonzero((near.shortest_s < rules.min_cross_s) & (unit[near.a] == first)))
    if len(nodes) == 1:
        raise Unfit(f"{network.nodes[nodes[0]].name} alone holds {share:.0%} of the load", f"at most {instead}")
    joined = [f"{links} link{'s' if links > 1 else ''} below {bound}"] if links else []
    joined += ["names that stay together"] if rules.together else []
    raise Unfit(
        f"one unit of {len(nodes)} nodes ({network.nodes[nodes[0]].name}, …) holds {share:.0%} of the load, joined by "
        f"{' and '.join(joined)}",
        f"at most {instead}{', or longer delays of these links' if links else ''}",
    )


def _apart(network: Network, unit: Ints, hosts: int, rules: Rules) -> dict[int, list[int]]:
    foes: defaultdict[int, set[int]] = defaultdict(set)
    for number, group in enumerate(rules.apart):
        first: dict[int, int] = {}
        for node in group:
            other = first.setdefault(int(unit[node]), node)
            if other != node:
                names = f"{network.nodes[other].name} and {network.nodes[node].name}"
                raise NotApart(
                    number,
                    f"{names}, which cannot be separated",
                    "nodes that no short link joins, nor names that stay together",
                )
        if len(first) > hosts:
            raise NotApart(number, f"{len(first)} nodes on {hosts} hosts", f"at most {hosts} nodes, or more hosts")
        for a, b in combinations(first, 2):
            foes[a].add(b)
            foes[b].add(a)
    return {each: sorted(others) for each, others in sorted(foes.items())}
