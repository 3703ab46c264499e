"""Families of graphs by name and size: `cycle:6`, `grid:4x4`, `regular:64,4` and others.

Invariant: one number in a name is the number of nodes (`star:5` is a hub with four leaves) unless the form says
otherwise, and how large a graph will be is known before it is made, so that a slip of the keyboard costs nothing.
Random ones depend on the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf, prod
from typing import TYPE_CHECKING, Any

import networkx as nx

if TYPE_CHECKING:
    Graph = nx.Graph[Any]
Number = int | float


@dataclass(frozen=True, slots=True)
class Family:
    """`make(*numbers)` gives the graph of `size(*numbers)` nodes and edges (an upper bound where it is random)."""

    form: str  # how it is written: "regular:N,D"
    says: str
    least: tuple[Number, ...]  # smallest value of each number; one that is a float may be any number up to 1
    size: Callable[..., tuple[float, float]]
    make: Callable[..., Graph]
    random: bool = False  # make takes `seed` too
    more: bool = False  # further numbers may follow, like the last one

    @property
    def help(self) -> str:
        return f"{self.form} ({self.says})"


def kneser(n: int, k: int) -> Graph:
    """Subsets of k of n things, joined where they share none."""
    if k > n:  # `combinations` would take eight bytes for each of k before it finds that there are none
        raise ValueError(f"subsets of {k} of {n} things; wanted 1 to {n}")
    graph: Graph = nx.Graph()
    graph.add_nodes_from(combinations(range(n), k))
    graph.add_edges_from((a, b) for a, b in combinations(list(graph), 2) if not set(a) & set(b))
    return graph


def generalised_petersen(n: int, k: int) -> Graph:
    """GP(n, k): an outer cycle 0 … n-1, spokes, and inner nodes n … 2n-1 joined k apart (Watkins 1969)."""
    if not 1 <= k < n / 2:
        raise ValueError(f"steps of {k} on {n} inner nodes; wanted 1 to {(n - 1) // 2}")
    graph: Graph = nx.cycle_graph(n)
    graph.add_nodes_from(range(n, 2 * n))
    graph.add_edges_from((i, n + i) for i in range(n))
    graph.add_edges_from((n + i, n + (i + k) % n) for i in range(n))
    return graph


def _grid(*sides: int) -> Graph:
    return nx.grid_graph(sides[::-1])  # NetworkX counts the last side first


def _torus(*sides: int) -> Graph:
    return nx.grid_graph(sides[::-1], periodic=True)


def _tree(n: int, seed: int) -> Graph:
    return nx.random_labeled_tree(n, seed=seed)


def _connected(n: int, p: float, seed: int) -> Graph:
    """G(n, p) given that it is connected: drawn again until it is."""
    for attempt in range(100):
        graph: Graph = nx.gnp_random_graph(n, p, seed=seed * 1000 + attempt)
        if nx.is_connected(graph):
            return graph
    raise ValueError(f"no connected graph among 100 of {n} nodes with edges of probability {p:g}; wanted more edges")


def _trees(branches: int, height: int) -> float:
    return height + 1.0 if branches == 1 else (min(branches**50, branches ** (height + 1)) - 1) / (branches - 1)


def _families() -> dict[str, Family]:
    # fmt: off
    every = [
        Family("cycle:N", "a ring", (3,), lambda n: (n, n), nx.cycle_graph),
        Family("path:N", "a line", (1,), lambda n: (n, n - 1), nx.path_graph),
        Family("star:N", "a hub and N-1 leaves", (2,), lambda n: (n, n - 1), lambda n: nx.star_graph(n - 1)),
        Family("complete:N", "everyone with everyone", (1,), lambda n: (n, n * (n - 1) / 2), nx.complete_graph),
        Family("wheel:N", "a hub and a cycle of N-1", (4,), lambda n: (n, 2 * n - 2), nx.wheel_graph),
        Family("ladder:N", "two lines of N", (1,), lambda n: (2 * n, 3 * n - 2), nx.ladder_graph),
        Family("prism:N", "two cycles of N", (3,), lambda n: (2 * n, 3 * n), nx.circular_ladder_graph),
        Family("moebius:N", "a cycle of 2N with diagonals", (2,), lambda n: (2 * n, 3 * n),
               lambda n: nx.circulant_graph(2 * n, [1, n])),
        Family("antiprism:N", "a cycle of 2N and its square", (3,), lambda n: (2 * n, 4 * n),
               lambda n: nx.circulant_graph(2 * n, [1, 2])),
        Family("grid:AxB", "rows and columns; more sides may follow", (1,),
               lambda *sides: (prod(sides), prod(sides) * len(sides)), _grid, more=True),
        Family("torus:AxB", "a grid whose opposite borders are joined", (3,),
               lambda *sides: (prod(sides), prod(sides) * len(sides)), _torus, more=True),
        Family("hypercube:D", "2^D nodes", (1,), lambda d: (2.0 ** min(d, 99), d * 2.0 ** min(d, 99)),
               nx.hypercube_graph),
        Family("tree:N", "random, all labelled trees alike", (1,), lambda n: (n, n - 1), _tree, random=True),
        Family("balanced-tree:R,H", "R branches a node, height H", (1, 0), lambda r, h: (_trees(r, h), _trees(r, h)),
               nx.balanced_tree),
        Family("binomial-tree:K", "2^K nodes", (0,), lambda k: (2.0 ** min(k, 99), 2.0 ** min(k, 99)),
               nx.binomial_tree),
        Family("bipartite:A,B", "all of A with all of B", (1, 1), lambda a, b: (a + b, a * b),
               nx.complete_bipartite_graph),
        Family("turan:N,R", "R equal parts, all edges between them", (1, 1), lambda n, r: (n, n * n / 2),
               nx.turan_graph),
        Family("barbell:M,K", "two cliques of M, K nodes between", (2, 0), lambda m, k: (2 * m + k, m * m + k),
               nx.barbell_graph),
        Family("lollipop:M,K", "a clique of M and a line of K", (2, 0), lambda m, k: (m + k, m * m / 2 + k),
               nx.lollipop_graph),
        Family("tadpole:M,K", "a cycle of M and a line of K", (3, 0), lambda m, k: (m + k, m + k), nx.tadpole_graph),
        Family("windmill:N,K", "N cliques of K that share a node", (2, 2), lambda n, k: (n * k, n * k * k / 2),
               nx.windmill_graph),
        Family("cliques:N,K", "N cliques of K on a ring", (2, 2), lambda n, k: (n * k, n * (k * k / 2 + 1)),
               nx.ring_of_cliques),
        Family("gp:N,K", "generalised Petersen graph, 2N nodes", (3, 1), lambda n, k: (2 * n, 3 * n),
               generalised_petersen),
        Family("kneser:N,K", "K-subsets that share nothing", (1, 1),
               lambda n, k: (comb(n, k), comb(n, k) ** 2 // 2) if n < 5000 else (inf, inf), kneser),
        Family("circulant:N,A", "a cycle joined A, … apart; more steps may follow", (1, 1),
               lambda n, *steps: (n, n * len(steps)), lambda n, *steps: nx.circulant_graph(n, list(steps)), more=True),
        Family("hexagons:AxB", "a honeycomb of A rows", (1, 1), lambda a, b: (2 * (a + 1) * (b + 1), 6 * a * b + 9),
               nx.hexagonal_lattice_graph),
        Family("triangles:AxB", "a triangular lattice of A rows", (1, 1),
               lambda a, b: ((a + 1) * (b + 1), 3 * (a + 1) * (b + 1)), nx.triangular_lattice_graph),
        Family("mycielski:K", "no triangles, K colours", (1,),
               lambda k: (3 * 2.0 ** min(k, 99) / 4, 3.0 ** min(k, 99)),
               nx.mycielski_graph),
        Family("atlas:I", "number I of Read and Wilson's atlas, at most 7 nodes", (1,), lambda i: (7, 21),
               nx.graph_atlas),
        Family("regular:N,D", "random, each node of degree D", (1, 0), lambda n, d: (n, n * d / 2),
               lambda n, d, seed: nx.random_regular_graph(d, n, seed=seed), random=True),
        Family("gnp:N,P", "random, each edge with probability P, drawn until connected", (1, 0.0),
               lambda n, p: (n, p * n * n / 2), _connected, random=True),
        Family("small-world:N,K,P", "random: Watts and Strogatz, K neighbours, each moved with probability P",
               (3, 2, 0.0), lambda n, k, p: (n, n * k / 2),
               lambda n, k, p, seed: nx.connected_watts_strogatz_graph(n, k, p, 100, seed), random=True),
        Family("scale-free:N,M", "random: Barabási and Albert, M edges a newcomer", (2, 1), lambda n, m: (n, n * m),
               lambda n, m, seed: nx.barabasi_albert_graph(n, m, seed=seed), random=True),
    ]
    # fmt: on
    named = {family.form.partition(":")[0]: family for family in every}
    return named | {"ring": named["cycle"]}


FAMILIES = _families()
