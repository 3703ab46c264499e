"""A network written out link by link: nodes, and links with constant values or a recorded trace for each direction.

Invariant: every node is live and every link end has a schedule of its own, so nothing moves but what a trace says.
"""

from __future__ import annotations

from math import inf
from pathlib import Path

from pydantic import Field, model_validator

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import Unfit
from emulator.model.network import BuildOptions, EndSpec, PiecewiseSchedule
from emulator.model.tables import Table
from emulator.model.units import Duration, Rate
from emulator.schedule import traces
from topologies.link_keys import Probability, Queue, effects


class Link(Table):
    """A link between two nodes; a trace replaces rate, delay and loss of its direction by what it holds."""

    a: str
    """Node at one end."""
    b: str
    """Node at the other end."""
    delay_s: Duration = 0.0
    """Propagation delay of each direction."""
    rate_bps: Rate = inf
    """Rate of each direction."""
    loss: Probability = 0.0
    """Chance of loss per packet."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    trace: str | None = None
    """File for the direction from a to b: CSV where it ends in .csv, else a Mahimahi trace, with `delay` beside it."""
    trace_back: str | None = None
    """The same for the direction from b to a."""


class Config(Table):
    """Tables of `topologies.links`: nodes come from the links that name them."""

    link: tuple[Link, ...] = Field(min_length=1)
    """The links."""

    @model_validator(mode="after")
    def _ends_differ(self) -> Config:
        for number, link in enumerate(self.link):
            if link.a == link.b:
                raise Unfit(f"link {number} joins {link.a!r} to itself", "two nodes")
        return self


def build(config: Config, options: BuildOptions) -> NetworkBuilder:
    """The topology of a scenario's tables. DataError: a trace that cannot be read."""
    builder = NetworkBuilder(options)
    names = dict.fromkeys(name for link in config.link for name in (link.a, link.b))
    node = {name: builder.add_node(name, "router", live=True, forwards=True) for name in names}
    for link in config.link:
        forward, backward = (_end(link, trace, options) for trace in (link.trace, link.trace_back))
        builder.add_link(node[link.a], node[link.b], forward, backward)
    builder.number_links_by_node()
    return builder


def _end(link: Link, trace: str | None, options: BuildOptions) -> EndSpec:
    if trace is None:
        return EndSpec(effects(link.queue), PiecewiseSchedule.constant(link.delay_s, link.rate_bps, link.loss))
    return EndSpec(effects(link.queue), traces.from_file(Path(options.directory) / trace, link.delay_s))
