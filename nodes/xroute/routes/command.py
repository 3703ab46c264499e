"""`skyloom route plan|check|advise` and `skyloom import chain-registry`: policies and routes from files.

Invariant: standard output holds the answer only, as text or, with `--json`, as one JSON document.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Annotated, Any

import typer

from emulator.model.errors import DataError, UsageError
from emulator.model.inputs import parse_json, read_text
from emulator.model.printable import one_line
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.parser import MOST_TEXT, parse
from nodes.xroute.policy.terms import Key, PolicyError, word
from nodes.xroute.policy.text import HEAD, explain, show, show_clause
from nodes.xroute.routes.advice import Shortest
from nodes.xroute.routes.advice import advise as advised
from nodes.xroute.routes.excluded import excluded_routes
from nodes.xroute.routes.files import document_of, read_graph
from nodes.xroute.routes.graph import Chain, Edge, Graph
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.registry import read_registry, with_powers
from nodes.xroute.routes.search import Answer, Route
from nodes.xroute.routes.several import disjoint_routes, next_routes

MOST_SHOWN = 20  # excluded edges in text; JSON has all
PolicyWords = Annotated[str, typer.Argument(metavar="POLICY", help=f'"{HEAD}; …", or a file with it.')]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def check(policy: PolicyWords, as_json: AsJson = False) -> None:
    """Compile a policy: what each clause means, its canonical bytes, and its id."""
    compiled = _policy(policy)
    data = compiled.encode()
    if as_json:
        clauses = [
            {"text": show_clause(clause), "meaning": meaning}
            for clause, meaning in zip(compiled.clauses, explain(compiled), strict=True)
        ]
        _print({"policy_id": compiled.policy_id.hex(), "bytes": data.hex(), "clauses": clauses})
        return
    typer.echo(HEAD)
    for number, (clause, meaning) in enumerate(zip(compiled.clauses, explain(compiled), strict=True)):
        typer.echo(f"{number:>3}  {show_clause(clause)}\n     {meaning}")
    typer.echo(f"id     {compiled.policy_id.hex()}\nbytes  {data.hex()} ({len(data)})")


def plan(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="JSON file of chains and edges.")],
    source: Annotated[str, typer.Option("--from", help="Chain or application that sends: app.chain.zone.")],
    destination: Annotated[str, typer.Option("--to", help="Chain or application that receives.")],
    policy: Annotated[str, typer.Option(help="The policy, or a file with it; without it every route complies.")] = HEAD,
    routes: Annotated[int, typer.Option(min=1, max=1000, help="So many routes at most.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Routes that comply with a policy, their costs, and which clause excludes the others."""
    known, wanted = read_graph(graph), _policy(policy)
    ends = _chain(known, source), _chain(known, destination)
    if ends[0] == ends[1]:
        raise UsageError(f"--from and --to are both on {ends[0].name}; expected two chains")
    pruned = Pruned(known, wanted, *ends)
    answer = disjoint_routes(pruned, wanted.disjoint) if wanted.disjoint > 1 else next_routes(pruned, routes)
    excluded = excluded_routes(known, wanted, *ends, routes)
    if as_json:
        _print(_document(known, wanted, ends, pruned, answer, excluded))
        return
    typer.echo(f"policy {wanted.policy_id.hex()[:16]}, clauses: {len(wanted.clauses)}")
    for number, route in enumerate(answer.routes, 1):
        typer.echo(
            f"{number:>3}  {' > '.join(_names(known, route))}  {_costs(pruned, route)}  {route.route_id.hex()[:16]}"
        )
    if not answer.routes:
        together = (
            f"no {wanted.disjoint} routes comply that share no transit" if wanted.disjoint > 1 else "no route complies"
        )
        typer.echo(f"  {together}{' (as far as was searched)' if answer.capped else ''}")
    if excluded:
        typer.echo("excluded routes, the best ones without the policy")
    for route, index in excluded:
        typer.echo(f"     {' > '.join(_names(known, route))}  by clause {index}, {show_clause(wanted.clauses[index])}")
    _print_edges(known, pruned)


def _print_edges(known: Graph, pruned: Pruned) -> None:
    names = {chain.identity: chain.name for chain in known.chains}
    if pruned.exclusions:
        typer.echo(f"excluded edges ({len({each.edge.key for each in pruned.exclusions})} of {len(known.edges)})")
    for (role, reason), count in Counter((each.role, each.reason) for each in pruned.exclusions).most_common():
        typer.echo(f"     {count:>5} as {role}: {reason}")
    for each in pruned.exclusions[:MOST_SHOWN]:
        edge = each.edge
        typer.echo(
            f"     {names[edge.verifier]} tracks {names[edge.tracked]} by {edge.client}, as {each.role}: {each.reason}"
        )
    if len(pruned.exclusions) > MOST_SHOWN:
        typer.echo(f"     … {len(pruned.exclusions) - MOST_SHOWN} more; --json has all")


def advise(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="JSON file of chains and edges.")],
    add: Annotated[int, typer.Option(min=1, max=100, help="So many new pairs of clients at most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Which new pairs of clients would lower the top transit's share of shortest routes most, one after another."""
    known = read_graph(graph)
    if not known.chains:
        raise DataError(f"{graph}: no chain; expected some")
    now = Shortest.of(known)
    top, share = now.top()
    steps = []
    if not as_json:
        typer.echo(f"now   {known.chains[top].name} is in {100 * share:.2f} % of the shortest routes")
    for number, step in enumerate(advised(known, add), 1):
        steps.append({"chains": [step.a, step.b], "top": step.top, "share": step.share})
        if not as_json:
            typer.echo(f"{number:>3}   {step.a} and {step.b}: then {step.top}, {100 * step.share:.2f} %")
    if as_json:
        _print({"top": known.chains[top].name, "share": share, "advice": steps})
    elif len(steps) < add:
        typer.echo("      no further pair lowers the largest share")


def chain_registry(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A checkout of github.com/cosmos/chain-registry.")],
    powers: Annotated[str | None, typer.Option(help="JSON file: powers of validators by name of chain.")] = None,
) -> None:
    """Print the graph of a checkout of the public chain registry, for `skyloom route`. Nothing in it is proven."""
    imported = read_registry(directory)
    graph = imported.graph
    if powers is not None:
        try:
            graph = with_powers(graph, parse_json(read_text(powers)))
        except OSError as error:
            raise DataError(f"{powers}: {error.strerror}; expected JSON") from None
        except UnicodeDecodeError:
            raise DataError(f"{powers}: no text; expected JSON") from None
        except ValueError as error:
            raise DataError(f"{powers}: {error}") from None
    for each in imported.notes[:MOST_SHOWN]:
        sys.stderr.write(f"skyloom: {one_line(each)}\n")
    if len(imported.notes) > MOST_SHOWN:
        sys.stderr.write(f"skyloom: {len(imported.notes) - MOST_SHOWN} more of such\n")
    _print(document_of(graph, "chain-registry, as it lists chains and clients; not proven", imported.chain_ids))


def _policy(words: str) -> Policy:
    """A policy that stands on the command line, or in a file."""
    text, where = words, "policy"
    if not words.lstrip().startswith("xroute/"):
        where = words
        try:
            text = read_text(words, 4 * MOST_TEXT)
        except OSError as error:
            raise DataError(
                f'{words}: {error.strerror}; expected a file, or a policy that begins with "{HEAD}"'
            ) from None
        except ValueError:
            raise DataError(f"{words}: no text; expected a policy") from None
    try:
        return parse(text.rstrip())
    except PolicyError as error:
        raise DataError(f"{where}: {error}") from None


def _chain(graph: Graph, name: str) -> Chain:
    try:
        return graph.chain(name)
    except LookupError as error:
        raise UsageError(str(error)) from None


def _names(graph: Graph, route: Route) -> list[str]:
    """The chains of a route from the source to the destination."""
    first = graph.chains[graph.number[route.edges[0].verifier]]
    return [graph.chains[arc.head].name for arc in reversed(route.arcs)] + [first.name]


def _costs(pruned: Pruned, route: Route) -> str:
    return ", ".join(f"{word(key)} {value}" for key, value in _by_key(pruned, route).items())


def _by_key(pruned: Pruned, route: Route) -> dict[Key, int]:
    return pruned.costs.named(route.cost)


def _document(
    graph: Graph,
    policy: Policy,
    ends: tuple[Chain, Chain],
    pruned: Pruned,
    answer: Answer,
    excluded: list[tuple[Route, int]],
) -> dict[str, Any]:
    names = {chain.identity: chain.name for chain in graph.chains}

    def edge_of(edge: Edge) -> dict[str, str]:
        return {"verifier": names[edge.verifier], "tracked": names[edge.tracked], "client": edge.client}

    return {
        "policy": show(policy),
        "policy_id": policy.policy_id.hex(),
        "from": ends[0].name,
        "to": ends[1].name,
        "routes": [
            {
                "chains": _names(graph, route),
                "hops": [edge_of(edge) for edge in route.edges],
                "cost": {word(key): value for key, value in _by_key(pruned, route).items()},
                "route_id": route.route_id.hex(),
            }
            for route in answer.routes
        ],
        "capped": answer.capped,
        "excluded_routes": [
            {"chains": _names(graph, route), "clause": index, "text": show_clause(policy.clauses[index])}
            for route, index in excluded
        ],
        "excluded_edges": [
            edge_of(each.edge) | {"role": each.role, "reason": each.reason} for each in pruned.exclusions
        ],
    }


def _print(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document))
