"""Graphs from any generator of NetworkX, such as `nx.circular_ladder_graph:5` or `nx.grid_2d_graph:4,5,periodic=true`.

Invariant: a generator runs in a process of its own with bounded memory and processor time, since some numbers make a
graph of billions of nodes; what comes back are names and pairs of indices. Arguments are numbers, true and false only.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from difflib import get_close_matches
from typing import Any

import networkx as nx

from emulator.model.errors import Unfit
from topologies.graph.bounds import MAX_EDGES, MAX_NODES

MEMORY_BYTES = 2 << 30
CPU_S = 10
WALL_S = 60

Argument = int | float | bool


def generated(text: str, seed: int) -> nx.Graph[Any]:
    """The graph of "NAME:ARG,ARG,key=ARG"; `seed` goes to a generator that takes one. ValueError."""
    name, _, arguments = text.partition(":")
    name, positional, named = name.strip(), *_arguments(arguments)
    call = _generator(name)
    known = [each for each in inspect.signature(call).parameters.values() if not each.name.startswith("backend")]
    try:
        bound = inspect.Signature(known).bind(*positional, **named)
    except TypeError as error:
        raise Unfit(f"nx.{name}: {error}", f"its arguments, {', '.join(map(str, known))}") from None
    if any(each.name == "seed" for each in known) and "seed" not in bound.arguments:
        named["seed"] = seed
    return _in_a_process(name, positional, named)


def names() -> list[str]:
    """Names of NetworkX's generators."""
    return [
        name
        for name, value in vars(nx).items()
        if callable(value) and str(getattr(value, "__module__", "")).startswith("networkx.generators")
    ]


def _generator(name: str) -> Any:
    known = names()
    if name not in known and f"{name}_graph" in known:
        raise Unfit(f"nx.{name}", f"nx.{name}_graph")
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean nx.{near[0]}?)" if near else ""
        raise Unfit(f"nx.{name} is no generator of NetworkX {nx.__version__}", f"one of its generators{hint}")
    return getattr(nx, name)


def _arguments(text: str) -> tuple[list[Argument], dict[str, Argument]]:
    positional: list[Argument] = []
    named: dict[str, Argument] = {}
    for part in text.split(",") if text.strip() else []:
        key, equals, value = part.rpartition("=")
        if equals:
            named[key.strip()] = _argument(value)
        elif named:
            raise Unfit(f"{part!r} after an argument with a name", "it before that")
        else:
            positional.append(_argument(value))
    return positional, named


def _argument(text: str) -> Argument:
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise Unfit(f"argument {text!r}", "a number, true or false")


def _in_a_process(name: str, positional: list[Argument], named: dict[str, Argument]) -> nx.Graph[Any]:
    what = f"nx.{name}"
    order = json.dumps([CPU_S, name, positional, named])
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], input=order, capture_output=True, text=True, timeout=WALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"{what} took more than {WALL_S} s", "smaller numbers") from None
    if done.returncode < 0:
        raise Unfit(f"{what} took more than {CPU_S} s", "smaller numbers")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise Unfit(f"{what} failed: {last}", "other numbers") from None
    if "refused" in answer:
        raise ValueError(f"{what}{answer['refused']}")
    graph: nx.Graph[Any] = nx.DiGraph() if answer["directed"] else nx.Graph()
    graph.add_nodes_from((number, {"label": label}) for number, label in enumerate(answer["labels"]))
    graph.add_edges_from(answer["edges"])
    return graph


def _answer(name: str, positional: list[Argument], named: dict[str, Argument]) -> dict[str, Any]:
    """In the process of its own: what the generator gave, or why not."""
    try:
        graph = getattr(nx, name)(*positional, **named)
    except MemoryError:
        return {"refused": f" took more than {MEMORY_BYTES >> 30} GiB; expected smaller numbers"}
    except Exception as error:
        return {"refused": f": {type(error).__name__}: {error}; expected other arguments"}
    if not isinstance(graph, nx.Graph):
        return {"refused": f" gave {type(graph).__name__}; expected a generator that gives a graph"}
    if len(graph) > MAX_NODES or graph.number_of_edges() > MAX_EDGES:
        return {
            "refused": f" gave {len(graph):,} nodes and {graph.number_of_edges():,} edges; "
            f"expected at most {MAX_NODES:,} nodes and {MAX_EDGES:,} edges"
        }
    number = {node: index for index, node in enumerate(graph)}
    return {
        "directed": graph.is_directed(),
        "labels": [str(node) for node in graph],
        "edges": [[number[edge[0]], number[edge[1]]] for edge in graph.edges()],
    }


def main() -> None:
    """Reads an order from standard input and writes the answer to standard output."""
    import resource

    cpu_s, name, positional, named = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    json.dump(_answer(name, positional, named), sys.stdout)


if __name__ == "__main__":
    main()
