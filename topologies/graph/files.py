"""Graphs from files: edge lists, GraphML, GML and adjacency JSON, told apart by their suffix.

Invariant: nodes keep the order of the file, but those of an edge list whose names are all whole numbers stand in the
order of the numbers. Weights and other attributes are not read. Every refusal names the file.

`.edges`, `.edgelist`   two names a line, by blanks or commas; further columns are weights; `#` and `%` begin comments
`.graphml`, `.gml`      as NetworkX, Gephi, igraph and yEd write them
`.json`                 `{"a": ["b", "c"], …}`, a list of lists of neighbours, NetworkX's adjacency or node-link data
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx

from emulator.model.errors import Unfit
from emulator.model.inputs import parse_json, read_text
from topologies.graph.bounds import MAX_EDGES

MOST_LINES = 10 * MAX_EDGES  # an edge may stand there more than once


def read(path: Path) -> nx.Graph[Any]:
    """The graph of a file, directed where the file says so. ValueError names the file and what is wrong with it."""
    try:
        text = read_text(path)
    except OSError as error:
        raise Unfit(f"{str(path)!r:.200}: {error.strerror}", "a file that can be read") from None
    except UnicodeDecodeError as error:
        raise Unfit(f"{path.name}: byte {error.start} is no UTF-8", "a text file") from None
    reader = READERS[path.suffix]
    try:
        return reader(text)
    except _Amiss as error:
        raise ValueError(f"{path.name}: {error}") from None
    except Exception as error:  # NetworkX's readers raise whatever their parsers do
        raise Unfit(f"{path.name}: {type(error).__name__}: {error}", f"{path.suffix[1:].upper()}") from None


class _Amiss(ValueError):
    """A message that already says what was wanted."""


def _edges(text: str) -> nx.Graph[Any]:
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].split("%")[0].replace(",", " ").split()
        if len(words) == 1:
            raise _Amiss(f"line {number}: {line.strip()!r}; expected two nodes")
        if words:
            pairs.append((words[0], words[1]))
        if len(pairs) > MOST_LINES:
            raise _Amiss(f"more than {MOST_LINES:,} lines of edges; expected {MAX_EDGES:,} edges at most")
    names = dict.fromkeys(name for pair in pairs for name in pair)
    graph: nx.Graph[Any] = nx.Graph()
    numeric = all(name.isascii() and name.isdigit() for name in names)
    order = sorted(names, key=lambda name: int(name)) if numeric else list(names)
    graph.add_nodes_from(order)
    graph.add_edges_from(pairs)
    return graph


def _json(text: str) -> nx.Graph[Any]:
    try:
        data = parse_json(text)
    except ValueError as error:
        raise _Amiss(str(error)) from None
    if isinstance(data, dict) and isinstance(data.get("nodes"), list):
        return _networkx_json(data)
    if isinstance(data, list):
        data = {str(number): neighbours for number, neighbours in enumerate(data)}
        for name, neighbours in data.items():
            for neighbour in neighbours if isinstance(neighbours, list) else ():
                if not isinstance(neighbour, int) or not 0 <= neighbour < len(data):
                    raise _Amiss(f"neighbour {neighbour!r} of node {name}; expected 0 to {len(data) - 1}")
    if not isinstance(data, dict):
        raise _Amiss(f'found {type(data).__name__}; expected neighbours by node, such as {{"a": ["b"]}}')
    graph: nx.Graph[Any] = nx.Graph()
    graph.add_nodes_from(data)
    for name, neighbours in data.items():
        if not isinstance(neighbours, list) or not all(isinstance(each, str | int) for each in neighbours):
            raise _Amiss(f"node {name!r}: found {neighbours!r:.60}; expected a list of its neighbours")
        graph.add_edges_from((name, str(neighbour)) for neighbour in neighbours)
    return graph


def _networkx_json(data: dict[str, Any]) -> nx.Graph[Any]:
    if "adjacency" in data:
        return nx.adjacency_graph(data)
    key = "links" if "links" in data else "edges"
    if key not in data:
        raise _Amiss('"nodes" without "adjacency" or "links"; expected what NetworkX writes')
    graph: nx.Graph[Any] = nx.DiGraph() if data.get("directed") else nx.Graph()
    graph.add_nodes_from(node["id"] for node in data["nodes"])
    for link in data[key]:
        for end in (link["source"], link["target"]):
            if end not in graph:
                raise _Amiss(f"a link of node {end!r}; expected one of the nodes")
        graph.add_edge(link["source"], link["target"])
    return graph


def _gml(text: str) -> nx.Graph[Any]:
    return nx.parse_gml(text, label="id")  # labels may be missing, or stand twice; as attributes they are kept


READERS: dict[str, Callable[[str], nx.Graph[Any]]] = {
    ".edges": _edges,
    ".edgelist": _edges,
    ".graphml": nx.parse_graphml,
    ".gml": _gml,
    ".json": _json,
}
