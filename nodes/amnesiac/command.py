"""`skyloom algo rdaf`: decides offline whether flooding under an adversary ever ends, and makes schedule files.

Invariant: standard output holds the answer only, as text or, with `--json`, as one JSON document.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.model.errors import DataError, Unfit, UsageError
from nodes.amnesiac.adversary import Adversary, to_json
from nodes.amnesiac.engine import LIMIT, Decision, Play, play
from nodes.amnesiac.engine import decide as decide_offline
from nodes.amnesiac.generators import GENERATORS, adversary_of, read_case
from nodes.amnesiac.graph import Graph, check_sources

MOST_SHOWN = 5000  # rounds of a trace
NAMES = ", ".join(GENERATORS)

GraphOption = Annotated[str | None, typer.Option("--graph", "-g", help='Graph: a name such as "cycle:6", or a file.')]
SourcesOption = Annotated[str | None, typer.Option("--sources", help="Nodes that send in round 1, such as 0,3.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of random graphs.")]


def decide(
    file: Annotated[Path | None, typer.Argument(help="Adversary file, which may hold graph and sources too.")] = None,
    graph: GraphOption = None,
    adversary: Annotated[str | None, typer.Option("--adversary", "-a", help=f"One of {NAMES}.")] = None,
    sources: SourcesOption = None,
    seed: SeedOption = 1,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rounds after which the answer is: undecided.")] = LIMIT,
    brent: Annotated[bool, typer.Option("--brent", help="Keep two configurations instead of all of them.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Show what is sent in each round, with one cycle.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide whether amnesiac flooding ends: at which round, or never, with the length of the cycle."""
    if file is not None and adversary is not None:
        raise UsageError("a file and --adversary; expected one of them")
    if file is None and graph is None:
        raise UsageError("no file and no --graph; expected a file that holds a graph, or --graph")
    chosen, start, played = _case(file, graph, adversary, _numbers(sources), seed)
    decision = decide_offline(chosen, start, played, limit=limit, brent=brent)
    rounds = min(decision.round, MOST_SHOWN)
    shown = play(chosen, start, played, rounds) if trace or as_json else None
    if as_json:
        sys.stdout.write(json.dumps(_document(chosen, start, decision, shown, trace), indent=2) + "\n")
        return
    for round, edges in (shown.sends if shown and trace else {}).items():
        mark = "*" if decision.cycle and decision.first_seen < round else " "  # of the cycle
        late = {edge: fate for edge in edges if (fate := played.fate(round, edge))}
        words = " ".join(f"{a}>{b}{_fate(late.get((a, b), 0))}" for a, b in edges)
        sys.stdout.write(f"{round:6}{mark} {words}\n")
    if trace and decision.round > rounds:
        sys.stdout.write(f"     … {decision.round - rounds} rounds more\n")
    sys.stdout.write(f"{decision}\n")


def generate(
    adversary: Annotated[str, typer.Argument(help=f"{NAMES}; with keys: 'random:seed=3,max=2'.")],
    graph: GraphOption = None,
    sources: SourcesOption = None,
    seed: SeedOption = 1,
) -> None:
    """Print the schedule file of an adversary by name, with its graph and sources in it."""
    if graph is None:
        raise UsageError("no --graph; expected the graph that the adversary is to play on")
    chosen, start, made = _case(None, graph, adversary, _numbers(sources), seed)
    sys.stdout.write(to_json(made, chosen, start))


commands: dict[str, Callable[..., None]] = {"decide": decide, "generate": generate}


def _case(
    file: Path | None, spec: str | None, name: str | None, sources: list[int] | None, seed: int
) -> tuple[Graph, list[int], Adversary]:
    """Graph, sources and adversary from a file, from options, or from both. DataError where they do not go together."""
    try:
        if file is None:
            graph, start = _graph_by_name(spec or "", seed, Path()), sources or [0]
            return graph, start, adversary_of(name or "none", graph, start)
        case = read_case(file)
        found = case.graph if spec is None else _graph_by_name(spec, seed, Path())
        if found is None:
            raise Unfit(f"{file}: graph is missing", "the key `graph`, or --graph")
        if isinstance(found, str):
            found = _graph_by_name(found, seed, file.parent)
        start = sources or list(case.sources)
        check_sources(found, start)
        return found, start, case.adversary.check(found)
    except ValueError as error:
        where = f"{file}: " if file is not None and not str(error).startswith(str(file)) else ""
        raise DataError(f"{where}{error}") from None


def _graph_by_name(spec: str, seed: int, directory: Path) -> Graph:
    """Names are known to the topology room, which node programs do not import: it is asked only here, by its name."""
    try:
        graph_of = importlib.import_module("topologies.graph").graph_of
    except ImportError as error:
        raise DataError(f"graph {spec!r}: names of graphs need networkx ({error}); or write the edges out") from None
    found = graph_of(spec, seed, str(directory))
    return Graph.of(len(found), list(found.edges))


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--sources {text!r}; expected numbers of nodes such as 0,3") from None


def _fate(fate: int) -> str:
    return "" if not fate else f"+{fate}" if fate > 0 else "(lost)"


def _document(graph: Graph, sources: list[int], decision: Decision, shown: Play | None, trace: bool) -> dict[str, Any]:
    """What `--json` prints. `trace` is the hash of what is sent in rounds 1…`round`."""
    document: dict[str, Any] = {
        "verdict": decision.verdict,
        "terminates": decision.terminates,
        "round": decision.round,
        "messages": decision.messages,
        "nodes": graph.nodes,
        "edges": len(graph.edges),
        "sources": sources,
    }
    if decision.verdict == "endless":
        document |= {name: getattr(decision, name) for name in ("first_seen", "cycle", "messages_per_cycle")}
    if decision.reason:
        document["reason"] = decision.reason
    if shown is not None and shown.rounds == decision.round:
        document["trace"] = shown.trace
    if shown is not None and trace:
        document["sends"] = {str(round): edges for round, edges in shown.sends.items()}
    return document
