"""A network in the shape of a graph: a live node for every node, a link for every edge, and what links do in rounds.

Invariant: node i of the graph is the node `n<i>`, every edge is one link, and a port is named by the node at its far
end: `n0:n3` is the end by which n0 sends to n3.

A ring on which messages from n2 to n1 are late by a round in rounds 3, 9, 15, … (slots of 40 ms from 500 ms on):

    topology = "topologies.graph"
    routing = "neighbours"

    [graph]
    spec = "cycle:6"            # or petersen, grid:4x4, regular:64,4, nx.circular_ladder_graph:5, net.graphml, …
    delay = "10 ms"
    overtake = true

    [slots]
    start = "500 ms"
    length = "40 ms"
    period = 6
    events = [{ round = 3, edge = ["n2", "n1"], delay_rounds = 1 }]

Names and families of graphs: `topologies.graph.names`, `topologies.graph.families`; files: `topologies.graph.files`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from math import inf
from typing import Annotated

from pydantic import AfterValidator, model_validator

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import DataError, Unfit
from emulator.model.network import BuildOptions, EndSpec, PiecewiseSchedule
from emulator.model.tables import Table
from emulator.model.units import Duration, Rate, show
from topologies.graph.slots import SlotPlan
from topologies.graph.spec import graph_of
from topologies.link_keys import Probability, Queue, effects

__all__ = ["Config", "build", "graph_of"]

_NODE = re.compile(r"n\d+")
_EXTRA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def _extra(name: str) -> str:
    if not _EXTRA.fullmatch(name):
        raise Unfit(f"{name!r}", "letters, digits, '.', '_' and '-', 63 at most")
    if _NODE.fullmatch(name):
        raise Unfit(f"{name!r}", "another name, those of the graph's nodes are n0, n1, …")
    return name


class Graph(Table):
    """The graph, and what all its links have in common."""

    spec: str
    """A name (petersen), a family (cycle:6, grid:4x4), a NetworkX generator (nx.NAME:ARG) or a file."""
    delay_s: Duration = 0.01
    """Propagation delay of each direction."""
    rate_bps: Rate = inf
    """Rate of each direction."""
    loss: Probability = 0.0
    """Chance of loss per packet."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    overtake: bool = False
    """Whether a later packet may arrive first where the delay falls; expected where messages are late by rounds."""
    ethernet: bool = False
    """Whether links carry Ethernet frames instead of IP packets, so that ARP, bridges and IS-IS work; the nodes at
    both ends need a namespace, see `materialise`."""
    carrier: bool = False
    """Whether the interfaces of a link show no carrier while it is down."""
    extra: tuple[Annotated[str, AfterValidator(_extra)], ...] = ()
    """Names of live nodes without links: observers, adversaries."""


class Config(Table):
    """Tables of `topologies.graph`."""

    graph: Graph
    """The graph."""
    slots: SlotPlan | None = None
    """What links do in slotted rounds."""

    @model_validator(mode="after")
    def _messages_keep_to_their_slots(self) -> Config:
        delay_s, plan = self.graph.delay_s, self.slots
        if delay_s == inf:
            raise Unfit("`graph.delay` unlimited", "a time")
        if plan is not None and delay_s >= plan.length_s:
            length = show(plan.length_s, "duration")
            raise Unfit(
                f"`graph.delay` of {show(delay_s, 'duration')} with `slots.length` of {length}",
                "a delay below the length of a slot, so that messages arrive in it",
            )
        twice = {name for name in self.graph.extra if self.graph.extra.count(name) > 1}
        if twice:
            raise Unfit(f"`graph.extra` has {min(twice)!r} twice", "each name once")
        return self


def build(config: Config, options: BuildOptions) -> NetworkBuilder:
    """The topology of a scenario's tables. DataError: no such graph, events on edges that it does not have."""
    table = config.graph
    try:
        graph = graph_of(table.spec, options.seed, options.directory)
    except ValueError as error:
        raise DataError(f"graph.spec: found {error}") from None
    name = [f"n{number}" for number in graph]
    edges = [(name[a], name[b]) for a, b in graph.edges()]
    base = EndSpec(
        replace(effects(table.queue), overtake=table.overtake),
        PiecewiseSchedule.constant(table.delay_s, table.rate_bps, table.loss),
    )
    ends = dict.fromkeys(end for a, b in edges for end in ((a, b), (b, a)))
    varying = _knots(config.slots, base, ends, name, options.duration_s)
    builder = NetworkBuilder(options)
    node = {each: builder.add_node(each, live=True) for each in (*name, *table.extra)}
    for a, b in edges:
        forward, backward = (
            replace(base, schedule=varying[end]) if end in varying else base for end in ((a, b), (b, a))
        )  # fmt: skip
        builder.add_link(
            node[a], node[b], forward, backward, a_port=b, b_port=a, ethernet=table.ethernet, carrier=table.carrier
        )
    builder.number_links_by_node()
    return builder


def _knots(
    plan: SlotPlan | None, base: EndSpec, ends: Collection[tuple[str, str]], name: list[str], duration_s: float
) -> dict[tuple[str, str], PiecewiseSchedule]:
    """Tables of the ends that vary. DataError names the event that does not fit the graph."""
    if plan is None:
        return {}
    for number, event in enumerate(plan.events):
        if event.edge in ends:
            continue
        where = f"slots.events.{number}.edge: found {list(event.edge)}"
        for node in event.edge:
            if node not in name:
                raise DataError(f"{where}, and no node {node!r}; expected nodes n0 to {name[-1]}")
        near = ", ".join(b for a, b in ends if a == event.edge[0])
        raise DataError(f"{where}, which is no edge; expected a neighbour of {event.edge[0]}: {near or 'it has none'}")
    assert base.schedule is not None
    try:
        return plan.knots(dict.fromkeys(ends, base.schedule), duration_s)
    except ValueError as error:
        raise DataError(f"slots.events: found {error}") from None
