"""Graphs as this package needs them: nodes 0…N-1, undirected edges, connected. Standard library only.

Invariant: a `Graph` made by `Graph.of` is simple and connected, and its edges stand in ascending order, each with the
smaller number first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from emulator.model.errors import Unfit

Edge = tuple[int, int]  # directed: from, to
MOST_NODES = 100_000
MOST_EDGES = 200_000


@dataclass(frozen=True)
class Graph:
    """A simple connected graph. Use `Graph.of`, which checks."""

    nodes: int
    edges: tuple[Edge, ...]  # (a, b) with a < b

    @staticmethod
    def of(nodes: int, edges: Iterable[Sequence[int]]) -> Graph:
        """The graph with these edges in any order. ValueError names the edge that cannot be."""
        if not 1 <= nodes <= MOST_NODES:
            raise Unfit(f"nodes is {nodes}", f"1 to {MOST_NODES}")
        kept: set[Edge] = set()
        for place, (a, b) in enumerate(edges):
            for end in (a, b):
                if not 0 <= end < nodes:
                    raise Unfit(f"edges[{place}] names node {end}", f"nodes from 0 to {nodes - 1}")
            if a == b:
                raise Unfit(f"edges[{place}] joins node {a} to itself", "two nodes")
            edge = (min(a, b), max(a, b))
            if edge in kept:
                raise Unfit(f"edges[{place}] joins {a} and {b} once more", "each edge once")
            kept.add(edge)
            if len(kept) > MOST_EDGES:
                raise Unfit(f"edges has more than {MOST_EDGES} edges", f"{MOST_EDGES} at most")
        graph = Graph(nodes, tuple(sorted(kept)))
        reached = sum(distance >= 0 for distance in graph.distances([0]))
        if reached < nodes:
            raise Unfit(f"edges lead from node 0 to {reached} of {nodes} nodes", "a connected graph")
        return graph

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Neighbours of each node in ascending order."""
        lists: list[list[int]] = [[] for _ in range(self.nodes)]
        for a, b in self.edges:
            lists[a].append(b)
            lists[b].append(a)
        return tuple(tuple(sorted(names)) for names in lists)

    @cached_property
    def directed(self) -> frozenset[Edge]:
        """Both directions of every edge."""
        return frozenset(self.edges) | frozenset((b, a) for a, b in self.edges)

    def distances(self, sources: Iterable[int]) -> list[int]:
        """Hops from the nearest source, -1 where there is no way."""
        distance = [-1] * self.nodes
        queue = deque(sources)
        for source in queue:
            distance[source] = 0
        while queue:
            node = queue.popleft()
            for other in self.neighbours[node]:
                if distance[other] < 0:
                    distance[other] = distance[node] + 1
                    queue.append(other)
        return distance

    def eccentricity(self, sources: Iterable[int]) -> int:
        """Hops from the sources to the node farthest from them."""
        return max(self.distances(sources))

    @cached_property
    def diameter(self) -> int:
        return max(self.eccentricity([node]) for node in range(self.nodes))

    def cycle(self) -> list[int]:
        """A shortest cycle through its nodes in order. ValueError where the graph is a tree."""
        best: list[int] = []
        for root in range(self.nodes):
            found = self._cycle_through(root)
            if found and (not best or len(found) < len(best)):
                best = found
        if not best:
            raise Unfit(f"a tree of {self.nodes} nodes", "a graph with a cycle")
        return best

    def _cycle_through(self, root: int) -> list[int]:
        """The shortest cycle that a search from `root` closes; a shortest one where a shortest runs through `root`.

        An edge from a node of depth d closes a cycle of 2 d + 1 nodes or more.
        """
        parent, depth = {root: root}, {root: 0}
        queue = deque([root])
        best: list[int] = []
        while queue and not (best and len(best) <= 2 * depth[queue[0]] + 1):
            node = queue.popleft()
            for other in self.neighbours[node]:
                if other not in parent:
                    parent[other], depth[other] = node, depth[node] + 1
                    queue.append(other)
                elif parent[node] != other:
                    found = self._close(parent, node, other)
                    best = found if not best or len(found) < len(best) else best
        return best

    @staticmethod
    def _close(parent: dict[int, int], a: int, b: int) -> list[int]:
        """The cycle of tree paths from a and b up to their meeting point, and the edge between them."""
        up = [a]
        while parent[up[-1]] != up[-1]:
            up.append(parent[up[-1]])
        down = [b]
        while down[-1] not in up:
            down.append(parent[down[-1]])
        return up[: up.index(down[-1]) + 1] + down[-2::-1]


def check_sources(graph: Graph, sources: Sequence[int]) -> None:
    """ValueError where `sources` are not different nodes of the graph, or none at all."""
    if not sources:
        raise Unfit("sources is empty", "at least one node")
    seen: set[int] = set()
    for place, source in enumerate(sources):
        if not 0 <= source < graph.nodes:
            raise Unfit(f"sources[{place}] is {source}", f"a node from 0 to {graph.nodes - 1}")
        if source in seen:
            raise Unfit(f"sources[{place}] is {source} once more", "each source once")
        seen.add(source)
