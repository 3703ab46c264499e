"""Hosts in regions: each host behind the hub of its region, all hubs joined, one region perhaps drifting away.

Invariant: host i is `a<i>` in region i·count // hosts. Between hosts of one region a packet needs `latency`, between
hosts of two regions `latency + between` (and its share of the drift), each way. Hubs forward inside the relay.

    topology = "topologies.regions"

    [regions]
    hosts = 64
    count = 2
    latency = "2 ms"
    between = "40 ms"
    drift = "10 ms"             # the last region moves away by 10 ms each second
"""

from __future__ import annotations

from itertools import combinations
from math import inf

import numpy as np
from pydantic import Field, model_validator

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import Unfit
from emulator.model.network import BuildOptions, EndSpec, PiecewiseSchedule
from emulator.model.tables import Table
from emulator.model.units import Duration, Rate
from topologies.link_keys import Probability, Queue, effects

__all__ = ["Config", "build"]


class Regions(Table):
    """Hosts, regions, and the times between them."""

    hosts: int = Field(ge=1, le=5000)
    """Number of hosts: a0, a1, …"""
    count: int = Field(1, ge=1, le=100)
    """Number of regions; hosts are dealt to them in order, as evenly as can be."""
    latency_s: Duration = 0.002
    """Delay between two hosts of one region, one way: half of it on the access link of each."""
    between_s: Duration = 0.0
    """Delay between the hubs of two regions, one way."""
    drift_s: Duration = 0.0
    """Delay by which the last region moves away from every other one in each second."""
    rate_bps: Rate = inf
    """Rate of each access link, each way."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    loss: Probability = 0.0
    """Chance of loss per packet on each end of an access link: a message between hosts crosses two."""
    ethernet: bool = False
    """Whether links carry Ethernet frames instead of IP packets, so that ARP, bridges and IS-IS work; the nodes at
    both ends need a namespace, see `materialise`."""
    carrier: bool = False
    """Whether the interfaces of a link show no carrier while it is down."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Regions:
        if self.count > self.hosts:
            raise Unfit(f"{self.count} regions for {self.hosts} hosts", "a host in each region")
        for key in ("latency", "between", "drift"):
            if getattr(self, f"{key}_s") == inf:
                raise Unfit(f"`{key}` unlimited", "a time")
        if self.count == 1:
            for key in ("between", "drift"):
                if getattr(self, f"{key}_s"):
                    raise Unfit(f"`{key}` with one region", f"a `count` of 2 or more, or no `{key}`")
        return self


class Config(Table):
    """Tables of `topologies.regions`."""

    regions: Regions
    """Hosts, regions, and the times between them."""


def build(config: Config, options: BuildOptions) -> NetworkBuilder:
    """The topology of a scenario's table: hosts a0, …, hubs hub0, …; ports `up` of hosts, `a<i>`, `hub<j>` of hubs."""
    table = config.regions
    builder = NetworkBuilder(options)
    hosts = [builder.add_node(f"a{host}", live=True) for host in range(table.hosts)]
    hubs = [builder.add_node(f"hub{region}", "router", forwards=True) for region in range(table.count)]
    access = EndSpec(effects(table.queue), PiecewiseSchedule.constant(table.latency_s / 2, table.rate_bps, table.loss))
    for index, host in enumerate(hosts):
        hub = hubs[index * table.count // table.hosts]
        builder.add_link(
            host, hub, access, a_port="up", b_port=f"a{index}", ethernet=table.ethernet, carrier=table.carrier
        )
    still = EndSpec(effects(table.queue), PiecewiseSchedule.constant(table.between_s))
    moving = EndSpec(effects(table.queue), _ramp(table.between_s, table.drift_s, options.duration_s))
    for a, b in combinations(range(table.count), 2):
        trunk = moving if b == table.count - 1 and table.drift_s else still
        builder.add_link(
            hubs[a], hubs[b], trunk, a_port=f"hub{b}", b_port=f"hub{a}", ethernet=table.ethernet, carrier=table.carrier
        )
    builder.number_links_by_node()
    return builder


def _ramp(delay_s: float, per_s: float, duration_s: float) -> PiecewiseSchedule:
    """A delay that grows from time 0 to the end of the run."""
    both = np.ones(2)
    t_s = np.array([0.0, duration_s])
    return PiecewiseSchedule(t_s, delay_s + per_s * t_s, both * inf, both * 0.0, both > 0)
