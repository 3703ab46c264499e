"""A network written out link by link: nodes, and links with constant values or a recorded trace for each direction.

Invariant: every node is live and every link end has a schedule of its own, so nothing moves but what a trace says.
"""

from __future__ import annotations

from math import inf
from pathlib import Path

from pydantic import model_validator

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
    a_port: str = ""
    """Interface of `a`; by default eth0, eth1, … in the order of the node's links."""
    b_port: str = ""
    """Interface of `b`."""
    ethernet: bool = False
    """Whether it carries Ethernet frames instead of IP packets, so that ARP, bridges and IS-IS work."""
    carrier: bool = False
    """Whether its interfaces show no carrier while it is down."""
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
    """Tables of `topologies.links`: nodes come from the links that name them, and from `nodes`."""

    link: tuple[Link, ...] = ()
    """The links."""
    nodes: tuple[str, ...] = ()
    """Nodes by name, which come first, in this order; such as those that have no link."""
    addresses: bool = True
    """Whether nodes have addresses. Without, they have those only that their programs give to their interfaces."""

    @model_validator(mode="after")
    def _ends_differ(self) -> Config:
        if not self.link and not self.nodes:
            raise Unfit("neither a link nor a node", "at least one [[link]]")
        for number, link in enumerate(self.link):
            if link.a == link.b:
                raise Unfit(f"link {number} joins {link.a!r} to itself", "two nodes")
        return self


def build(config: Config, options: BuildOptions) -> NetworkBuilder:
    """The topology of a scenario's tables. DataError: a trace that cannot be read."""
    builder = NetworkBuilder(options)
    names = dict.fromkeys((*config.nodes, *(name for link in config.link for name in (link.a, link.b))))
    address = None if config.addresses else ""
    node = {
        name: builder.add_node(name, "router", live=True, forwards=True, ipv4=address, ipv6=address) for name in names
    }
    for link in config.link:
        forward, backward = (_end(link, trace, options) for trace in (link.trace, link.trace_back))
        builder.add_link(
            node[link.a], node[link.b], forward, backward, a_port=link.a_port, b_port=link.b_port,
            ethernet=link.ethernet, carrier=link.carrier,
        )  # fmt: skip
    builder.number_links_by_node()
    return builder


def _end(link: Link, trace: str | None, options: BuildOptions) -> EndSpec:
    if trace is None:
        return EndSpec(effects(link.queue), PiecewiseSchedule.constant(link.delay_s, link.rate_bps, link.loss))
    return EndSpec(effects(link.queue), traces.from_file(Path(options.directory) / trace, link.delay_s))
