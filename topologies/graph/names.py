"""Graphs that have a name of their own: `petersen`, `tutte`, `karate` and some seventy others.

Invariant: every one is simple, undirected, connected and at most 126 nodes large. Most are those of NetworkX; cubic
ones that it lacks are written in LCF notation (Frucht 1977), the others by their usual construction.

- small: triangle square pentagon hexagon claw paw gem butterfly domino bull diamond house house-x k4 k5 k6 k33 prism
  wagner bidiakis-cube moser-spindle golomb herschel krackhardt-kite sedgewick-maze
- solids: tetrahedral cubical octahedral dodecahedral icosahedral truncated-tetrahedron truncated-cube
  truncated-octahedron truncated-dodecahedron truncated-icosahedron cuboctahedral icosidodecahedral square-antiprism
  tesseract
- cages and their kin: petersen heawood mcgee tutte-coxeter balaban-10-cage tutte-12-cage hoffman-singleton robertson
- symmetric and strongly regular: franklin moebius-kantor pappus desargues nauru f26a dyck gray foster coxeter clebsch
  shrikhande rook paley-13 paley-17 odd-4 duerer holt
- colouring and Hamilton paths: chvatal frucht groetzsch tutte tietze flower-snark
- people: karate davis florentine les-miserables
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import networkx as nx

from topologies.graph.families import generalised_petersen, kneser

if TYPE_CHECKING:
    Graph = nx.Graph[Any]  # nodes of any kind: names, numbers, tuples


def _lcf(shifts: list[int], repeats: int) -> Graph:
    return nx.LCF_graph(len(shifts) * repeats, shifts, repeats)


def _pairs(text: str) -> Graph:
    """A graph from edges written as "ab bc": nodes are letters, in alphabetical order."""
    graph: Graph = nx.Graph()
    graph.add_nodes_from(sorted(set(text) - {" "}))
    graph.add_edges_from((pair[0], pair[1]) for pair in text.split())
    return graph


def _truncated(graph: Graph) -> Graph:
    """A polyhedron with its corners cut off: a node for each end of each edge."""
    embedding: Any = nx.check_planarity(graph)[1]
    cut: Graph = nx.Graph()
    cut.add_nodes_from((a, b) for a in graph for b in embedding.neighbors_cw_order(a))
    for a in graph:
        around = list(embedding.neighbors_cw_order(a))
        cut.add_edges_from(((a, b), (a, c)) for b, c in zip(around, around[1:] + around[:1], strict=True))
        cut.add_edges_from(((a, b), (b, a)) for b in around)
    return cut


def _cayley(moduli: tuple[int, ...], steps: list[tuple[int, ...]]) -> Graph:
    """Nodes are vectors modulo `moduli`; each is joined to those that lie a step away, forwards or backwards."""
    graph: Graph = nx.Graph()
    graph.add_nodes_from(product(*(range(modulus) for modulus in moduli)))
    for node in list(graph):
        graph.add_edges_from(
            (node, tuple((x + d) % m for x, d, m in zip(node, step, moduli, strict=True))) for step in steps
        )
    return graph


def _paley(order: int) -> Graph:
    return nx.circulant_graph(order, sorted({x * x % order for x in range(1, order)}))


def _coxeter() -> Graph:
    """Three of seven points that are no line of the Fano plane, joined where they share none."""
    lines = {frozenset((x + shift) % 7 for x in (0, 1, 3)) for shift in range(7)}
    graph: Graph = nx.Graph()
    graph.add_nodes_from(three for three in combinations(range(7), 3) if frozenset(three) not in lines)
    graph.add_edges_from((a, b) for a, b in combinations(graph, 2) if not set(a) & set(b))
    return graph


def _flower(petals: int) -> Graph:
    """Isaacs' J(n): n stars, whose first leaves form a cycle of n and whose other leaves form one of 2n."""
    graph: Graph = nx.Graph()
    for i in range(petals):
        graph.add_edges_from((("hub", i), (leaf, i)) for leaf in "abc")
    for i in range(petals):
        turn = i == petals - 1
        following = (i + 1) % petals
        graph.add_edge(("a", i), ("a", following))
        graph.add_edge(("b", i), ("c" if turn else "b", following))
        graph.add_edge(("c", i), ("b" if turn else "c", following))
    return graph


def _holt() -> Graph:
    """Bouwer's graph of 27 nodes, half-transitive: (x, y) in Z9 × Z3 to (4x ± 1, y - 1) and (7x ± 7, y + 1)."""
    graph: Graph = nx.Graph()
    graph.add_nodes_from(product(range(9), range(3)))
    for x, y in list(graph):
        graph.add_edges_from(((x, y), ((4 * x + d) % 9, (y - 1) % 3)) for d in (1, -1))
    return graph


def _robertson() -> Graph:
    """The (4, 5)-cage: a cycle of 19 nodes with three cycles of chords."""
    graph: Graph = nx.cycle_graph(19)
    for chords in ((0, 4, 9, 13, 17, 2, 6, 10, 15), (1, 8, 16, 5, 12), (3, 11, 18, 7, 14)):
        nx.add_cycle(graph, chords)
    return graph


_BALABAN_10 = [
    -9, -25, -19, 29, 13, 35, -13, -29, 19, 25, 9, -29, 29, 17, 33, 21, 9, -13, -31, -9, 25, 17, 9, -31, 27, -9, 17,
    -19, -29, 27, -17, -9, -29, 33, -25, 25, -21, 17, -17, 29, 35, -29, 17, -17, 21, -25, 25, -33, 29, 9, 17, -27, 29,
    19, -17, 9, -27, 31, -9, -17, -25, 9, 31, 13, -9, -21, -33, -17, -29, 29,
]  # fmt: skip
_TUTTE_12 = [17, 27, -13, -59, -35, 35, -11, 13, -53, 53, -27, 21, 57, 11, -21, -57, 59, -17]

_READY: dict[str, Callable[[], Graph]] = {
    "triangle": lambda: nx.cycle_graph(3),
    "square": lambda: nx.cycle_graph(4),
    "pentagon": lambda: nx.cycle_graph(5),
    "hexagon": lambda: nx.cycle_graph(6),
    "claw": lambda: nx.star_graph(3),
    "paw": lambda: _pairs("ab bc ca ad"),
    "gem": lambda: _pairs("ab bc cd ea eb ec ed"),
    "butterfly": lambda: nx.windmill_graph(2, 3),
    "domino": lambda: nx.ladder_graph(3),
    "bull": nx.bull_graph,
    "diamond": nx.diamond_graph,
    "house": nx.house_graph,
    "house-x": nx.house_x_graph,
    "k4": lambda: nx.complete_graph(4),
    "k5": lambda: nx.complete_graph(5),
    "k6": lambda: nx.complete_graph(6),
    "k33": lambda: nx.complete_bipartite_graph(3, 3),
    "prism": lambda: nx.circular_ladder_graph(3),
    "wagner": lambda: nx.circulant_graph(8, [1, 4]),
    "bidiakis-cube": lambda: _lcf([6, 4, -4], 4),
    "moser-spindle": lambda: _pairs("ab ac bc bd cd ae af ef eg fg dg"),
    "golomb": lambda: _pairs("ab ac ad ae af ag bc cd de ef fg gb bh dj fi hi ij jh"),
    "herschel": lambda: _pairs("ab ac ad ae bf bg cg ch dh di ei ef fj gj gk hk ik ij"),
    "krackhardt-kite": nx.krackhardt_kite_graph,
    "sedgewick-maze": nx.sedgewick_maze_graph,
    "tetrahedral": nx.tetrahedral_graph,
    "cubical": nx.cubical_graph,
    "octahedral": nx.octahedral_graph,
    "dodecahedral": nx.dodecahedral_graph,
    "icosahedral": nx.icosahedral_graph,
    "truncated-tetrahedron": nx.truncated_tetrahedron_graph,
    "truncated-cube": nx.truncated_cube_graph,
    "truncated-octahedron": lambda: _truncated(nx.octahedral_graph()),
    "truncated-dodecahedron": lambda: _truncated(nx.dodecahedral_graph()),
    "truncated-icosahedron": lambda: _truncated(nx.icosahedral_graph()),
    "cuboctahedral": lambda: nx.line_graph(nx.cubical_graph()),
    "icosidodecahedral": lambda: nx.line_graph(nx.dodecahedral_graph()),
    "square-antiprism": lambda: nx.circulant_graph(8, [1, 2]),
    "tesseract": lambda: nx.hypercube_graph(4),
    "petersen": nx.petersen_graph,
    "heawood": nx.heawood_graph,
    "mcgee": lambda: _lcf([12, 7, -7], 8),
    "tutte-coxeter": lambda: _lcf([-13, -9, 7, -7, 9, 13], 5),
    "balaban-10-cage": lambda: _lcf(_BALABAN_10, 1),
    "tutte-12-cage": lambda: _lcf(_TUTTE_12, 7),
    "hoffman-singleton": nx.hoffman_singleton_graph,
    "robertson": _robertson,
    "franklin": lambda: _lcf([5, -5], 6),
    "moebius-kantor": nx.moebius_kantor_graph,
    "pappus": nx.pappus_graph,
    "desargues": nx.desargues_graph,
    "nauru": lambda: _lcf([5, -9, 7, -7, 9, -5], 4),
    "f26a": lambda: _lcf([-7, 7], 13),
    "dyck": lambda: _lcf([5, -5, 13, -13], 8),
    "gray": lambda: _lcf([-25, 7, -7, 13, -13, 25], 9),
    "foster": lambda: _lcf([17, -9, 37, -37, 9, -17], 15),
    "coxeter": _coxeter,
    "clebsch": lambda: _cayley((2, 2, 2, 2), [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1)]),
    "shrikhande": lambda: _cayley((4, 4), [(0, 1), (1, 0), (1, 1)]),
    "rook": lambda: _cayley((4, 4), [(0, 1), (0, 2), (1, 0), (2, 0)]),
    "paley-13": lambda: _paley(13),
    "paley-17": lambda: _paley(17),
    "odd-4": lambda: kneser(7, 3),
    "duerer": lambda: generalised_petersen(6, 2),
    "holt": _holt,
    "chvatal": nx.chvatal_graph,
    "frucht": nx.frucht_graph,
    "groetzsch": lambda: nx.mycielski_graph(4),
    "tutte": nx.tutte_graph,
    "tietze": lambda: _flower(3),
    "flower-snark": lambda: _flower(5),
    "karate": nx.karate_club_graph,
    "davis": nx.davis_southern_women_graph,
    "florentine": nx.florentine_families_graph,
    "les-miserables": nx.les_miserables_graph,
}
NAMES = tuple(_READY)


def ready(name: str) -> Graph:
    """The graph of one of NAMES."""
    return _READY[name]()
