"""Routes on the real graph of IBC: `python -m benchmarks xroute_graph [--graph FILE] [--seeds N] [--advise N]`.

FILE is the condensed chain registry of ../shared/data/ibc/topology (CC BY 4.0, cosmos/chain-registry of 21 August
2026), or the folder of a checkout. All of it is computed on the graph; no chain runs. The registry knows no validators:
where the Nakamoto coefficient counts, sets of validators are synthetic, and the figures say so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from nodes.ibc.client.tendermint import Status
from nodes.xroute.policy.parser import parse
from nodes.xroute.routes.advice import Shortest, advise
from nodes.xroute.routes.graph import Claims, Edge, Graph
from nodes.xroute.routes.measures import blocks_share, connectivity, spread_out, transit_shares
from nodes.xroute.routes.registry import Listed, Pair, joined, read_registry, with_powers
from nodes.xroute.routes.table import Table

CONDENSED = Path(__file__).resolve().parents[2] / "shared/data/ibc/topology/cosmos_ibc_graph.json"
HUBS = ("osmosis", "cosmoshub", "noble", "axelar")
THRESHOLDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24)


def condensed(path: Path) -> Graph:
    """The graph of the condensed registry, by the importer's rules."""
    document = json.loads(path.read_text())
    listed = [
        Listed(name, chain["chain_id"], chain["status"] == "live" and chain["network_type"] == "mainnet")
        for name, chain in document["chains"].items()
    ]
    port = [document["channel_columns"].index(column) for column in ("a_port", "b_port")]
    pairs = [
        Pair(
            (edge["a"], edge["b"]),
            (edge["a_client"], edge["b_client"]),
            any([channel[place] for place in port] == ["transfer", "transfer"] for channel in edge["channels"]),
        )
        for edge in document["edges"]
    ]
    notes: list[str] = []
    graph, _ = joined(listed, pairs, notes)
    print(f"{len(graph.chains)} live chains with transfer channels, {len(graph.edges) // 2} pairs")
    for each in notes:
        print(f"  {each}")
    return graph


def row(what: str, found: str, known: str) -> None:
    print(f"  {what:<66} {found:>22}   {known}")


def percent(*values: float) -> str:
    return ", ".join(f"{100 * value:.1f} %" for value in values)


def with_hops(table: Table) -> str:
    """The largest share of transit, and the mean number of hops."""
    hops = table.hops()
    return f"{percent(float(transit_shares(table).max()))}, {hops[hops > 0].mean():.2f}"


def hub_share(graph: Graph, hub: str) -> float:
    """The share of pairs that one hub serves: both are its neighbours, or one is the hub."""
    served = len(graph.neighbours()[graph.chain(hub).identity]) + 1
    return served * (served - 1) / (len(graph.chains) * (len(graph.chains) - 1))


def without(graph: Graph, names: tuple[str, ...]) -> float:
    """The share of pairs of the other chains that still reach each other."""
    table = Table(graph, parse(f"xroute/1; avoid {{{', '.join(names)}}}"))
    others = [number for number, chain in enumerate(graph.chains) if chain.name not in names]
    return float(table.reachable(8)[np.ix_(others, others)].sum() / (len(others) * (len(others) - 1)))


def topology(graph: Graph) -> None:
    row("the graph", "found here", "noted in research before")
    table = Table(graph, parse("xroute/1"))
    shares = dict(zip((chain.name for chain in graph.chains), transit_shares(table), strict=True))
    single = sum(len(others) == 1 for others in graph.neighbours().values())
    row("pairs directly connected", percent(connectivity(table, 1)), "4.3 %")
    row("within 2 hops, within 3 hops", percent(connectivity(table, 2), connectivity(table, 3)), "88.7 %, 100 %")
    row(
        "served by one hub: Osmosis, Cosmos Hub",
        percent(*(hub_share(graph, hub) for hub in HUBS[:2])),
        "83.1 %, 17.8 %",
    )
    row("served by one hub: Noble, Axelar", percent(*(hub_share(graph, hub) for hub in HUBS[2:])), "8.9 %, 7.9 %")
    row("shortest routes with Osmosis, Cosmos Hub between", percent(*(shares[hub] for hub in HUBS[:2])), "73 %, 11 %")
    row("shortest routes with Noble, Axelar between", percent(*(shares[hub] for hub in HUBS[2:])), "6 %, 3 %")
    row("pairs still reachable without Osmosis", percent(without(graph, HUBS[:1])), "47.8 %")
    row("pairs still reachable without Osmosis and Cosmos Hub", percent(without(graph, HUBS[:2])), "38.9 %")
    row("chains with one single neighbour", f"{single} of {len(graph.chains)}", "60 of 170")
    row("pairs with 2 routes that share no transit", percent(blocks_share(graph)), "41.7 %")
    policy = parse("xroute/1; prefer spread; limit hops 4")
    avoiding = Table(graph, policy, {graph.chain(HUBS[0]).identity: 1})
    row("Osmosis avoided wherever 4 hops suffice: its share, mean hops", with_hops(avoiding), "51.6 %, 2.2")
    spread, shares_then = spread_out(graph, policy)
    top = graph.chains[int(np.argmax(shares_then))].name
    row(f"`prefer spread; limit hops 4`: share of {top}, mean hops", with_hops(spread), "")
    ordered = sorted(shares, key=lambda name: -shares[name])
    left = (f"{count}: {percent(without(graph, tuple(ordered[:count])))}" for count in (1, 2, 3, 5, 10))
    print(f"  reachable pairs without the first N transits: {', '.join(left)}")


def synthetic(graph: Graph, seed: int) -> Graph:
    """The graph with made validator sets: 20 to 150 validators whose powers fall with their rank, steeply or not."""
    powers = {}
    for chain in graph.chains:
        rng = Random(f"{seed} {chain.name}")
        steepness = rng.uniform(0, 1)
        powers[chain.name] = [int(10**9 / rank**steepness) for rank in range(1, rng.randint(20, 150) + 1)]
    return with_powers(graph, powers)


def curve(graph: Graph, seeds: int) -> None:
    print(
        f"connectivity where each transit has a Nakamoto coefficient of at least N: mean of {seeds} SYNTHETIC\n"
        "assignments of validator sets (least to greatest in brackets); a hub serves what its own coefficient lets it"
    )
    graphs = [synthetic(graph, seed) for seed in range(seeds)]
    medians = [statistics.median(chain.nakamoto or 0 for chain in each.chains) for each in graphs]
    print(f"  median coefficient of these sets: {statistics.mean(medians):.1f}")
    mesh_head = "".join(f"{f'mesh, {most_hops} hops':>22}" for most_hops in (2, 3, 4))
    print(f"  {'N':>3}  {mesh_head}   {'hub: Osmosis':>13}{'Cosmos Hub':>12}{'Axelar':>8}")
    hubs = ("osmosis", "cosmoshub", "axelar")
    for threshold in THRESHOLDS:
        mesh: dict[int, list[float]] = {2: [], 3: [], 4: []}
        served: dict[str, list[float]] = {hub: [] for hub in hubs}
        for each in graphs:
            table = Table(each, parse(f"xroute/1; require each transit nakamoto >= {threshold}; limit hops 4"))
            for most_hops, values in mesh.items():
                values.append(connectivity(table, most_hops))
            for hub, values in served.items():
                values.append(hub_share(each, hub) * ((each.chain(hub).nakamoto or 0) >= threshold))
        cells = "".join(
            f"{f'{100 * statistics.mean(v):.1f} ({100 * min(v):.0f} to {100 * max(v):.0f}) %':>22}"
            for v in mesh.values()
        )
        means = [f"{100 * statistics.mean(values):.1f} %" for values in served.values()]
        print(f"  {threshold:>3}  {cells}   {means[0]:>13}{means[1]:>12}{means[2]:>8}")


def spent_ms(call: Callable[[], object]) -> float:
    begin_s = time.process_time()
    call()
    return 1e3 * (time.process_time() - begin_s)


def recompute(graph: Graph, changes: int = 60) -> None:
    print(f"all routes of {len(graph.chains)} chains and {len(graph.edges) // 2} pairs, ms of processor time")
    rng = Random(1)

    def claimed(seed: Random) -> Claims:
        return Claims(seed.randint(1, 10**6), seed.randint(1, 10**5), 10**6)

    graph = Graph(graph.chains, [replace(edge, claims=claimed(rng)) for edge in graph.edges])
    for text in ("xroute/1", "xroute/1; prefer fee", "xroute/1; prefer fee, latency; limit hops 4"):
        policy = parse(text)
        scratch = [spent_ms(partial(Table, graph, policy)) for _ in range(9)]
        table = Table(graph, policy)
        rows: list[int] = []

        def update(edge: Edge, table: Table = table, rows: list[int] = rows) -> None:
            rows.append(table.update([edge]))

        after = [spent_ms(partial(update, edge)) for edge in changed(graph, rng, changes, claimed)]
        print(
            f"  {text:<46} from scratch {statistics.median(scratch):5.1f} (most {max(scratch):.1f}), after one change "
            f"{statistics.median(after):.1f} (most {max(after):.1f}; rows computed again: {statistics.mean(rows):.0f})"
        )


def changed(graph: Graph, rng: Random, count: int, claimed: Callable[[Random], Claims]) -> Iterator[Edge]:
    """Edges that claim something else, or whose client has expired, or is active again."""
    for number in range(count):
        edge = rng.choice(graph.edges)
        if number % 3 == 0:
            yield replace(edge, claims=claimed(rng))
        else:
            yield replace(edge, status=rng.choice([Status.ACTIVE, Status.EXPIRED]))


def advice(graph: Graph, most: int) -> None:
    top, share = Shortest.of(graph).top()
    print("new pairs of clients that lower the top transit's share of shortest routes most, greedily")
    print(f"   now {graph.chains[top].name} with {100 * share:.2f} %")
    for number, step in enumerate(advise(graph, most), 1):
        print(f"  {number:>2}  {step.a} and {step.b}: {step.top} {100 * step.share:.2f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph", type=Path, default=CONDENSED)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--advise", type=int, default=10)
    options = parser.parse_args()
    if not options.graph.exists():
        print(f"{options.graph} is absent; --graph DIR takes a checkout of the chain registry")
        return
    graph = read_registry(str(options.graph)).graph if options.graph.is_dir() else condensed(options.graph)
    topology(graph)
    curve(graph, options.seeds)
    recompute(graph)
    if options.advise:
        advice(graph, options.advise)


if __name__ == "__main__":
    main()
