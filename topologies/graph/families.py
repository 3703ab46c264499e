"""Families of graphs by name and size: `cycle:6`, `grid:4x4`, `regular:64,4` and others; the rest are `nx.NAME:ARG`.

Invariant: one number in a name is the number of nodes (`star:5` is a hub with four leaves) unless the form says
otherwise, and how large a graph will be is known before it is made, so that a slip of the keyboard costs nothing.
Random ones depend on the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import networkx as nx

from emulator.model.errors import Unfit

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
    raise Unfit(f"no connected graph among 100 of {n} nodes with edges of probability {p:g}", "more edges")


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
        Family("grid:AxB", "rows and columns; more sides may follow", (1,),
               lambda *sides: (prod(sides), prod(sides) * len(sides)), _grid, more=True),
        Family("torus:AxB", "a grid whose opposite borders are joined", (3,),
               lambda *sides: (prod(sides), prod(sides) * len(sides)), _torus, more=True),
        Family("hypercube:D", "2^D nodes", (1,), lambda d: (2.0 ** min(d, 99), d * 2.0 ** min(d, 99)),
               nx.hypercube_graph),
        Family("tree:N", "random, all labelled trees alike", (1,), lambda n: (n, n - 1), _tree, random=True),
        Family("balanced-tree:R,H", "R branches a node, height H", (1, 0), lambda r, h: (_trees(r, h), _trees(r, h)),
               nx.balanced_tree),
        Family("bipartite:A,B", "all of A with all of B", (1, 1), lambda a, b: (a + b, a * b),
               nx.complete_bipartite_graph),
        Family("barbell:M,K", "two cliques of M, K nodes between", (2, 0), lambda m, k: (2 * m + k, m * m + k),
               nx.barbell_graph),
        Family("circulant:N,A", "a cycle joined A, … apart; more steps may follow", (1, 1),
               lambda n, *steps: (n, n * len(steps)), lambda n, *steps: nx.circulant_graph(n, list(steps)), more=True),
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
