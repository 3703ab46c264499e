"""A wide-area network: hosts spread over sites, and between any two sites the round trip that was measured there.

Invariant: a packet from a host of one site to a host of another takes half of the measured round trip, over the trunk
that joins the two. Measured round trips break the triangle inequality (from Stockholm to Tokyo a detour over Virginia
is quicker than what a packet takes), so routes are not those of least delay but the trunk itself, always.

    topology = "topologies.wan"

    [wan]
    hosts = 10                  # v0, v1, …; host i is at site i modulo the number of sites
    map = "five-regions"        # or matrix = "file.csv": round trips in ms, site names as header
    rate = "1 Gbit/s"           # of each access link, each way
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, cycle
from math import inf, sqrt
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import DataError, Unfit
from emulator.model.network import BuildOptions, EndSpec, Rates, ScheduleRow, SubstepSpec
from emulator.model.tables import Table
from emulator.model.units import Duration, Rate
from topologies.link_keys import Probability, Queue, effects
from topologies.wan.maps import MAPS, WanMap, from_file

__all__ = ["Config", "Wan", "build", "map_of"]

MOST_PORT = 15  # characters of an interface name


class Wan(Table):
    """Sites, hosts, and what lies between them."""

    hosts: int = Field(10, ge=1, le=1000)
    """Number of hosts, dealt to the sites in turn; a site without a host is left out."""
    places: dict[str, str] = Field(default_factory=dict)
    """Hosts by name and the site of each, instead of `hosts`; those with "" are dealt to the sites in turn."""
    prefix: str = Field("v", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,15}$")
    """Hosts are named by it and their number."""
    map: Literal[tuple(MAPS)] | None = None  # type: ignore[valid-type]
    """A known map; "five-regions" where there is no `matrix`."""
    matrix: str | None = None
    """CSV file of round trips in milliseconds instead of a known map: a matrix with the site names as header, or a list
    with the columns from, to, rtt and deviation."""
    sites: tuple[str, ...] = ()
    """Sites of the map to use, in this order; by default all."""
    local_s: Duration = 0.0005
    """Delay between two hosts of one site, one way, where the matrix has none on its diagonal."""
    rate_bps: Rate = inf
    """Rate of each access link, each way."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    loss: Probability = 0.0
    """Chance of loss per packet between two sites."""
    jitter_s: Duration = 0.0
    """Mean of what is added to the delay between two sites, packet by packet, uniform up to twice as much. Without it
    deviations of a list are played: delays spread about the measured mean, uniform, by the measured deviation."""
    ethernet: bool = False
    """Whether links carry Ethernet frames instead of IP packets, so that ARP, bridges and IS-IS work; the nodes at
    both ends need a namespace, see `materialise`."""
    carrier: bool = False
    """Whether the interfaces of a link show no carrier while it is down."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Wan:
        if self.map is not None and self.matrix is not None:
            raise Unfit("both `map` and `matrix`", "one of them")
        for key in ("local", "jitter"):
            if getattr(self, f"{key}_s") == inf:
                raise Unfit(f"`{key}` unlimited", "a time")
        if self.rate_bps <= 0:
            raise Unfit("`rate` of 0 bit/s", "a rate above 0")
        if self.matrix is None:
            known = MAPS[self.map or "five-regions"].part(self.sites or MAPS[self.map or "five-regions"].sites).sites
            for host, site in self.places.items():
                if site and site not in known:
                    raise Unfit(f"host {host!r} at site {site!r}", f"one of {', '.join(known)}")
        return self


class Config(Table):
    """Tables of `topologies.wan`."""

    wan: Wan = Field(default_factory=lambda: Wan.model_validate({}))
    """Sites, hosts, and what lies between them."""


def map_of(table: Wan, directory: str) -> WanMap:
    """The sites that have hosts, with what was measured between them. DataError: a bad matrix or unknown sites."""
    whole = from_file(Path(directory) / table.matrix) if table.matrix else MAPS[table.map or "five-regions"]
    try:
        if not table.places:
            return whole.part((table.sites or whole.sites)[: table.hosts])
        part = whole.part(table.sites or whole.sites)
        used = set(_sites_of_hosts(table, part).values())
        return part.part([site for site in part.sites if site in used])
    except ValueError as error:
        raise DataError(f"wan.{'places' if table.places else 'sites'}: {error}") from None


def _sites_of_hosts(table: Wan, map: WanMap) -> dict[str, str]:
    """Every host and its site, in order. ValueError: a site that the map has not."""
    if not table.places:
        return {f"{table.prefix}{number}": map.sites[number % len(map.sites)] for number in range(table.hosts)}
    turn = cycle(map.sites)
    placed = {host: site or next(turn) for host, site in table.places.items()}
    map.part(tuple(dict.fromkeys(placed.values())))
    return placed


def build(config: Config, options: BuildOptions) -> NetworkBuilder:
    """The topology of a scenario's table: hosts with a port `up`, and routers named as the sites, with a port to each
    host and to each other site. Hosts come first, then sites; access links first, then the trunks of all pairs of
    sites. DataError: a matrix that cannot be read or played."""
    if options.routing == "neighbours":
        raise DataError("routing = 'neighbours' with topologies.wan; expected 'least-delay', 'static' or 'none'")
    table, map = config.wan, map_of(config.wan, options.directory)
    names, count = map.sites, len(map.sites)
    placed: dict[str, list[str]] = {site: [] for site in names}
    site_of_host = _sites_of_hosts(table, map)
    hosts = list(site_of_host)
    if both := sorted(set(hosts) & set(names)):
        key = "places" if table.places else "prefix"
        raise DataError(f"wan.{key}: host {both[0]!r} has the name of a site; expected another name")
    place = [names.index(site) for site in site_of_host.values()]
    builder = NetworkBuilder(options)
    builder.extra["sites"] = placed
    for number, host in enumerate(hosts):
        builder.add_node(host, live=True)
        placed[names[place[number]]].append(host)
    sites = [builder.add_node(site, "router", forwards=True) for site in names]
    ports = names if max(len(name) for name in names) <= MOST_PORT else [f"site{number}" for number in range(count)]
    access = EndSpec(effects(table.queue))
    jitter_s = _jitter_s(table, map)
    for number, host in enumerate(hosts):
        builder.add_link(
            number, sites[place[number]], access, a_port="up", b_port=f"to-{host}"[-MOST_PORT:],
            ethernet=table.ethernet, carrier=table.carrier,
        )  # fmt: skip
    for a, b in combinations(range(count), 2):
        there, back = (EndSpec(replace(effects(table.queue), jitter_s=jitter_s[pair])) for pair in ((a, b), (b, a)))
        builder.add_link(
            sites[a], sites[b], there, back, a_port=ports[b], b_port=ports[a],
            ethernet=table.ethernet, carrier=table.carrier,
        )  # fmt: skip
    builder.timeline = WanTimeline(table, map, place, builder.live, options)
    return builder


def _local_s(table: Wan, map: WanMap) -> list[float]:
    """Delay between two hosts of each site."""
    return [map.one_way_s(site, site) or table.local_s for site in range(len(map.sites))]


def _jitter_s(table: Wan, map: WanMap) -> dict[tuple[int, int], float]:
    """Mean jitter of each trunk: that of the table, or what spreads uniformly by the measured deviation. It is part of
    the measured way, so no more than the trunk has."""
    local_s = _local_s(table, map)
    pairs = [(a, b) for a in range(len(map.sites)) for b in range(len(map.sites)) if a != b]
    if table.jitter_s:
        return dict.fromkeys(pairs, table.jitter_s)
    return {(a, b): min(sqrt(3) * map.spread_s(a, b), _trunk_s(map, a, b, local_s)) for a, b in pairs}


class WanTimeline:
    """The same row at every step: measured delays, and routes over one trunk."""

    def __init__(self, table: Wan, map: WanMap, place: list[int], live: list[int], options: BuildOptions) -> None:
        """`place`: the number of each host's site."""
        self.step_s = options.step_s
        hosts, count = len(place), len(map.sites)
        local_s = _local_s(table, map)
        jitter_s = {} if table.jitter_s else _jitter_s(table, map)
        delay_s = [local_s[place[host]] / 2 for host in range(hosts) for _ in range(2)]
        peer = [node for host in range(hosts) for node in (hosts + place[host], host)]
        trunk_end: dict[tuple[int, int], int] = {}
        for a, b in combinations(range(count), 2):
            for start, stop in ((a, b), (b, a)):
                trunk_end[start, stop] = len(delay_s)
                delay_s.append(_trunk_s(map, start, stop, local_s) - jitter_s.get((start, stop), 0.0))
                peer.append(hosts + stop)
        self._peer = np.array(peer, dtype=np.int32)
        trunks = np.arange(len(delay_s)) >= 2 * hosts
        rates = Rates(np.where(trunks, inf, table.rate_bps), np.where(trunks, table.loss, 0.0))
        self.rates: Rates | None = rates
        self.substep: SubstepSpec | None = None
        next_end = np.full((len(live), hosts + count), -1, dtype=np.int32)
        if options.routing != "none":
            for row, goal in enumerate(live):
                site = place[goal] if goal < hosts else goal - hosts
                next_end[row, :hosts] = 2 * np.arange(hosts)
                for other in range(count):
                    next_end[row, hosts + other] = trunk_end.get((other, site), 2 * goal + 1 if goal < hosts else -1)
                next_end[row, goal] = -1
        delays = np.array(delay_s)
        self._row = ScheduleRow(
            step=0, delay_start_s=delays, delay_end_s=delays, rate_bps=rates.rate_bps, loss=rates.loss,
            up=np.ones(len(delays), dtype=np.bool_), peer=self._peer, next_end=next_end,
        )  # fmt: skip

    def rows(self, first: int, count: int, with_routes: bool = True) -> Iterator[ScheduleRow]:
        """Rows first … first + count - 1."""
        next_end = self._row.next_end[: None if with_routes else 0]
        for step in range(first, first + count):
            yield replace(self._row, step=step, next_end=next_end)


def _trunk_s(map: WanMap, a: int, b: int, local_s: list[float]) -> float:
    """What is left for the trunk: half the round trip, without the access links at both of its ends."""
    trunk_s = map.one_way_s(a, b) - (local_s[a] + local_s[b]) / 2
    if trunk_s < 0:
        raise DataError(
            f"sites {map.sites[a]} and {map.sites[b]} are {map.rtt_ms[a][b]:g} ms apart (round trip), less than hosts "
            f"of one site; expected a smaller `wan.local` or diagonal"
        )
    return trunk_s
