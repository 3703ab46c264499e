"""Which graph a scenario's text means: a name, a family with sizes, a NetworkX generator, or a file.

Invariant: what comes out is simple and undirected, with nodes 0 … N-1 in the order of the original, whose names stay
as the node attribute "label"; whatever cannot be that is refused with what was found and what was wanted.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import Unfit
from topologies.graph.bounds import MAX_EDGES, MAX_NODES

if TYPE_CHECKING:
    import networkx as nx

    from topologies.graph.families import Family

    Graph = nx.Graph[Any]

GENERATOR = "nx."


def graph_of(spec: str, seed: int = 1, directory: str = ".", *, connected: bool = True) -> Graph:
    """The graph that a text describes, with nodes 0 … N-1.

    `spec` is a name (`petersen`: see `names.NAMES`), a family with its numbers (`cycle:6`, `grid:4x4`: see
    `families.FAMILIES`), a generator of NetworkX (`nx.circular_ladder_graph:5`; `seed` goes to those that
    take one), or a file of edges, GraphML, GML or adjacency JSON, relative to `directory`. ValueError on anything else;
    with `connected`, on a graph in several parts too.
    """
    from topologies.graph import files

    text = spec.strip()
    if not text:
        raise Unfit("an empty text", "a graph such as 'petersen', 'cycle:6' or a file")
    if text.startswith(GENERATOR):
        from topologies.graph.generators import generated

        graph = generated(text.removeprefix(GENERATOR), seed)
    elif Path(text).suffix in files.READERS:
        graph = files.read(Path(directory) / text)
    elif "/" in text:
        raise Unfit(f"file {text!r}", f"one that ends in {', '.join(files.READERS)}")
    else:
        graph = _named(text, seed)
    return _plain(graph, text, connected)


def numbers(text: str, form: str) -> list[float | int]:
    """The numbers of "64,4" or "4x4". ValueError."""
    found: list[float | int] = []
    for part in re.sub(r"(?<=\d)x(?=\d)", ",", text).split(","):
        try:
            found.append(int(part))
        except ValueError:
            try:
                found.append(float(part))
            except ValueError:
                raise Unfit(f"{part!r} among the sizes", f"numbers as in {form}") from None
            if not isfinite(found[-1]):
                raise Unfit(f"{part!r} among the sizes", f"numbers as in {form}") from None
    return found


def _named(text: str, seed: int) -> Graph:
    from topologies.graph.families import FAMILIES
    from topologies.graph.names import NAMES, ready

    name, colon, arguments = text.partition(":")
    name = name.strip().lower().replace("_", "-").removesuffix("-graph")
    if not colon and name in NAMES:
        return ready(name)
    if name in FAMILIES:
        return _of_family(FAMILIES[name], arguments, seed)
    if name in NAMES:
        raise Unfit(f"{text!r}, but {name!r} is one graph", "it without sizes")
    if near := get_close_matches(name, [*NAMES, *FAMILIES], 1, 0.6):
        expected = (
            f"{FAMILIES[near[0]].form if near[0] in FAMILIES else near[0]!r} (did you mean that?), or another name"
        )
    else:
        expected = f"one of {', '.join(NAMES)}; {', '.join(family.form for family in FAMILIES.values())}"
    raise Unfit(f"no graph is named {name!r}", f"{expected}, 'nx.NAME:ARG', or a file")


def _of_family(family: Family, arguments: str, seed: int) -> Graph:
    import networkx as nx

    given = numbers(arguments, family.form) if arguments else []
    if len(given) < len(family.least) or (len(given) > len(family.least) and not family.more):
        raise Unfit(f"{len(given)} sizes", f"{family.help}")
    least = family.least + family.least[-1:] * (len(given) - len(family.least))
    for value, smallest in zip(given, least, strict=True):
        if isinstance(smallest, float):
            if not 0.0 <= value <= 1.0:
                raise Unfit(f"a probability of {value:g}", f"0 to 1, as in {family.form}")
        elif not isinstance(value, int) or value < smallest:
            raise Unfit(f"{value}", f"a whole number, {smallest} or more, as in {family.help}")
    nodes, edges = (float(count) if count < 1e18 else 1e18 for count in family.size(*(min(n, 10**6) for n in given)))
    refuse_large(nodes, edges)
    try:
        return family.make(*given, seed=seed) if family.random else family.make(*given)
    except (nx.NetworkXException, ValueError) as error:
        if "; expected " in str(error):
            raise
        raise Unfit(f"{arguments}: {error}", f"{family.help}") from None


def refuse_large(nodes: float, edges: float) -> None:
    """ValueError where a graph is larger than what can be emulated."""
    if nodes > MAX_NODES or edges > MAX_EDGES:
        raise Unfit(
            f"a graph of about {nodes:,.0f} nodes and {edges:,.0f} edges",
            f"at most {MAX_NODES:,} nodes and {MAX_EDGES:,} edges",
        )


def _plain(graph: Graph, text: str, connected: bool) -> Graph:
    """Nodes 0 … N-1, label as text, no other attributes. ValueError where it is no simple graph."""
    import networkx as nx

    if not len(graph):
        raise Unfit(f"{text!r} is a graph without nodes", "at least one")
    refuse_large(len(graph), graph.number_of_edges())
    if graph.is_directed():
        one_way = next(((a, b) for a, b in graph.edges() if not graph.has_edge(b, a)), None)
        if one_way:
            raise Unfit(
                f"{text!r} is directed: {one_way[0]} leads to {one_way[1]} but not back", "edges that go both ways"
            )
    if (loop := next(nx.selfloop_edges(graph), None)) is not None:
        raise Unfit(f"{text!r} joins node {loop[0]} to itself", "edges between two nodes")
    plain: Graph = nx.Graph()
    number = {node: index for index, node in enumerate(graph)}
    for node, index in number.items():
        plain.add_node(index, label=str(graph.nodes[node].get("label", node)))
    plain.add_edges_from((number[edge[0]], number[edge[1]]) for edge in graph.edges())  # parallel ones become one
    if connected and not nx.is_connected(plain):
        parts = sorted(nx.connected_components(plain), key=len)
        lost = ", ".join(plain.nodes[node]["label"] for node in sorted(parts[0])[:5])
        raise Unfit(f"{text!r} is in {len(parts)} parts: {lost} cannot reach the others", "a connected graph")
    return plain
