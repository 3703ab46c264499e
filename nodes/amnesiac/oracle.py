"""What is known about flooding without delays beforehand, without playing it; independent of the engine.

Invariant: nothing here follows rounds. The answers come from distances in the bipartite double cover of the graph: two
copies (v, 0) and (v, 1) of each node, and edges that change the copy. Hussak and Trehan, arXiv 2010.05018.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from nodes.amnesiac.graph import Graph


def cover_distances(graph: Graph, sources: Sequence[int]) -> list[tuple[int, int]]:
    """Of each node: hops from the nearest (source, 0) to its copies 0 and 1 in the double cover; -1: no way.

    These are the rounds in which the node hears the message (a source's 0 is the begin, in which it hears nothing).
    """
    distance = [[-1, -1] for _ in range(graph.nodes)]
    queue = deque((source, 0) for source in sources)
    for source, side in queue:
        distance[source][side] = 0
    while queue:
        node, side = queue.popleft()
        for other in graph.neighbours[node]:
            if distance[other][1 - side] < 0:
                distance[other][1 - side] = distance[node][side] + 1
                queue.append((other, 1 - side))
    return [(even, odd) for even, odd in distance]


def rounds_heard(graph: Graph, sources: Sequence[int]) -> list[list[int]]:
    """Of each node: the rounds in which it receives the message where nothing is late."""
    return [sorted(hops for hops in pair if hops > 0) for pair in cover_distances(graph, sources)]


def termination_round(graph: Graph, sources: Sequence[int]) -> int:
    """The round in which flooding without delays ends: the eccentricity of the sources in the double cover."""
    return max(max(pair) for pair in cover_distances(graph, sources))


def is_bipartite(graph: Graph) -> bool:
    return all(min(pair) < 0 for pair in cover_distances(graph, [0]))


def copies_without_rounds(graph: Graph, source: int, hops: int) -> list[int]:
    """Copies of the message at each hop, 1…`hops`, where a node forwards each copy at once and merges nothing.

    This is what a program without rounds would do: a copy goes on to every neighbour but the one that it came from.
    """
    walks = {(source, other): 1 for other in graph.neighbours[source]}
    counts = []
    for _ in range(hops):
        counts.append(sum(walks.values()))
        onward: dict[tuple[int, int], int] = {}
        for (before, node), copies in walks.items():
            for other in graph.neighbours[node]:
                if other != before:
                    onward[node, other] = onward.get((node, other), 0) + copies
        walks = onward
    return counts
