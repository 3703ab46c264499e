"""What a graph of chains is worth under a policy: who can reach whom, and through whom.

Invariant: a share counts every ordered pair of chains alike, and every cheapest route of a pair alike, as messages
choose among them by hash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.routes.costs import WHOLE_PPM
from nodes.xroute.routes.graph import Graph
from nodes.xroute.routes.table import NEVER, Table

Shares = NDArray[np.float64]
RECENT = 10


def connectivity(table: Table, most_hops: int) -> float:
    """The share of ordered pairs of chains with a complying route of at most so many hops."""
    chains = len(table.graph.chains)
    return float(table.reachable(most_hops).sum() / (chains * (chains - 1)))


def transit_shares(table: Table) -> Shares:
    """For each chain, the share of connected pairs whose messages pass through it."""
    levels, costs, tail, head = table.levels, table.costs, table.tail, table.head
    chains, rows = len(table.graph.chains), np.arange(len(table.graph.chains))
    ends_at = np.zeros((len(tail), chains))
    ends_at[np.arange(len(tail)), head] = 1
    begins_at = np.zeros((len(tail), chains))
    begins_at[np.arange(len(tail)), tail] = 1
    onward = [table.onward(level) for level in range(len(levels) - 1)]
    counts = [np.eye(chains)]  # cheapest routes, by level
    for level in range(1, len(levels)):
        is_part = _tight(onward[level - 1][:, tail], table.on, levels[level][:, head])
        stands = levels[level] == levels[level - 1]
        counts.append(np.where(stands, counts[-1], (is_part * counts[-1][:, tail]) @ ends_at))
    passing = np.zeros((chains, chains))  # of parts that end at a chain, at the level under way
    loads = np.zeros(chains)
    for level in range(len(levels) - 1, 0, -1):
        ending = (costs[level] == costs[-1]) & (costs[level] < costs[level - 1])
        stands = levels[level] == levels[level - 1]
        arriving = np.zeros((chains, chains))
        for wanted, weights, reached in (
            (ending.astype(float), table.last, costs[level]),
            (np.where(stands, 0, passing), table.on, levels[level]),
        ):
            routes = _tight(onward[level - 1][:, tail], weights, reached[:, head]) * counts[level - 1][:, tail]
            total = routes @ ends_at
            per_route = np.divide(wanted, total, out=np.zeros_like(total), where=total > 0)
            arriving += (routes * per_route[:, head]) @ begins_at
        arriving[rows, rows] = 0  # the destination is no transit
        loads += arriving.sum(axis=0)
        passing = np.where(stands, passing, 0) + arriving
    shares: Shares = loads / max(1, int((costs[-1] < NEVER).sum()))
    return shares


def _tight(before: NDArray[np.int64], weights: NDArray[np.int64], reached: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether an arc is part of a cheapest route, by row."""
    tight: NDArray[np.bool_] = (before + weights == reached) & (reached < NEVER)
    return tight


def spread_out(graph: Graph, policy: Policy, rounds: int = 30) -> tuple[Table, Shares]:
    """Shares of transit under a policy that prefers `spread`, and the table of the last of so many rounds.

    Each round knows the mean of the `RECENT` rounds before it, and the shares are the mean of the last ones.
    """
    recent: deque[Shares] = deque([np.zeros(len(graph.chains))], RECENT)
    for _ in range(rounds):
        table = Table(graph, policy, shares_by_chain(np.mean(recent, axis=0), graph))
        recent.append(transit_shares(table))
    return table, np.mean(recent, axis=0)


def shares_by_chain(shares: Shares, graph: Graph) -> Mapping[ChainIdentity, int]:
    """Shares in millionths, as the key `spread` takes them."""
    return {chain.identity: round(WHOLE_PPM * float(each)) for chain, each in zip(graph.chains, shares, strict=True)}


def blocks_share(graph: Graph) -> float:
    """The share of pairs of chains with two routes that share no transit: those within one block of the graph."""
    joined: nx.Graph[ChainIdentity] = nx.Graph()
    joined.add_edges_from((a, b) for a, others in graph.neighbours().items() for b in others)
    sizes = [len(block) for block in nx.biconnected_components(joined) if len(block) > 2]
    return sum(size * (size - 1) for size in sizes) / (len(graph.chains) * (len(graph.chains) - 1))
