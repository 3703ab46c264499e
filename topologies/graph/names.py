"""Graphs that NetworkX has by a name of their own: `petersen`, `tutte`, `karate` and some twenty others.

Invariant: every one is simple, undirected, connected and at most 77 nodes large.

- small: bull diamond house house-x krackhardt-kite sedgewick-maze
- solids: tetrahedral cubical octahedral dodecahedral icosahedral truncated-tetrahedron truncated-cube
- symmetric: petersen heawood moebius-kantor pappus desargues hoffman-singleton
- colouring and Hamilton paths: chvatal frucht tutte
- people: karate davis florentine les-miserables
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx

if TYPE_CHECKING:
    Graph = nx.Graph[Any]  # nodes of any kind: names, numbers, tuples

_PEOPLE = {
    "karate": "karate_club_graph",
    "davis": "davis_southern_women_graph",
    "florentine": "florentine_families_graph",
    "les-miserables": "les_miserables_graph",
}
NAMES = (
    "bull", "diamond", "house", "house-x", "krackhardt-kite", "sedgewick-maze", "tetrahedral", "cubical", "octahedral",
    "dodecahedral", "icosahedral", "truncated-tetrahedron", "truncated-cube", "petersen", "heawood", "moebius-kantor",
    "pappus", "desargues", "hoffman-singleton", "chvatal", "frucht", "tutte", *_PEOPLE,
)  # fmt: skip


def ready(name: str) -> Graph:
    """The graph of one of NAMES."""
    graph: Graph = getattr(nx, _PEOPLE.get(name, f"{name.replace('-', '_')}_graph"))()
    return graph
