"""A low-Earth-orbit network: satellites with ISLs, and ground stations that hand over.

Invariant: node and link numbers are the order of addition: satellites, stations, gateways, hosts behind them; ISLs, one
moving access link per antenna of each station, whose far end the timeline names, one moving feeder link per antenna of
each gateway, fibres. Satellites and gateways are transit nodes unless the scenario makes them live.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import DataError
from emulator.model.network import Bools, BuildOptions, EndSpec, Floats, Ints
from emulator.orbit import element_files, hypatia, walker
from emulator.orbit import grid as grids
from emulator.orbit.elements import Constellation, Epoch
from emulator.orbit.grid import Grid
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import Stations, look, near
from topologies.leo.access import GatewayNetwork, access_effects, access_of, feeder_links_of, gateway_network_of
from topologies.leo.config import MOST_ANTENNAS, Config, Station
from topologies.leo.gateway_sites import Site
from topologies.leo.gateways import FeederLinks
from topologies.leo.selection import Selection
from topologies.leo.timeline import LeoTimeline, LinkInventory
from topologies.link_keys import effects

__all__ = ["Config", "LeoTopology", "build"]

DEFAULT_EPOCH = Epoch(2_461_041.5, 0.0)  # 2026-01-01 00:00 UTC
SITE_S = 250e-6  # from the router of a point of presence to the host there
COVERAGE_STEP_S = 10.0  # between the instants of a long run at which a station is looked for a satellite
COUNTED = 600  # instants of a run at most at which the satellites in view are counted


def build(config: Config, options: BuildOptions) -> LeoTopology:
    """The topology of a scenario's tables. DataError: a bad element file, a station that never sees a satellite."""
    return LeoTopology(config, options)


@dataclass(frozen=True, slots=True)
class _Group:
    """Nodes on the ground that have a role in common."""

    prefix: str  # of their names
    role: str
    sites: Sequence[Station | Site]
    live: bool = False  # whatever the scenario materialises
    forwards: bool = False


class LeoTopology(NetworkBuilder):
    """Satellites `sat-…` with ports isl0 … isl3 and down, stations `gs-…` with port up, whose link ends are up0 … where
    it has several antennas, gateways `gw-…` with ports ant0 …, points of presence `edge-…` with a host `pop-…` each,
    fibres between ports fibre0 …"""

    timeline: LeoTimeline

    def __init__(self, config: Config, options: BuildOptions) -> None:
        super().__init__(options)
        state = _hypatia(config, options)
        config = _with_stations(config, state)
        self.config, self.duration_s = config, options.duration_s
        self.constellation = state.constellation if state else _constellation(config, options)
        self.extra = {"shell": self.constellation.label, "epoch": self.constellation.epoch.text()}
        propagator = Propagator(self.constellation)
        self.grid = state.grid if state and config.isl.pattern is None else _grid(config, propagator)
        self.places = config.ground.places
        mask_deg = 0.0 if config.ground.terminal == "opensn" else config.ground.min_elevation_deg
        stations = Stations.at(
            [place.lat_deg for place in self.places], [place.lon_deg for place in self.places],
            [place.altitude_m for place in self.places], mask_deg,
            max_range_m=inf if config.ground.max_range_m is None else config.ground.max_range_m,
        )  # fmt: skip
        if options.routing == "neighbours":
            raise DataError("routing is 'neighbours'; expected 'least-delay', 'static' or 'none' in a constellation")
        preferred = _mesh(self.grid, len(self.constellation)) if config.ground.serving == "mesh" else None
        self.access = access_of(config, options, self.constellation.epoch, stations)
        self.sites = gateway_network_of(config, options)
        self._refuse_blind(propagator, stations, options)
        self.antennas = self._antennas(propagator, stations)
        if self.antennas > 1 and options.routing == "none":
            raise DataError(
                f"{self.antennas} antennas a station, and routing is 'none'; expected ground.antennas = 1, or another "
                "routing: nothing else chooses among the access links of a station"
            )
        self._add_nodes()
        feeder_links = None
        if self.sites:
            feeder_links = feeder_links_of(config, options, self.sites, self.access.slots, self.antennas)
        inventory = self._add_links(feeder_links)
        selection = Selection(
            propagator, stations, self.access.policy, self.access.min_dwell_s, options.step_s, len(self.grid),
            preferred, feeder_links, self.antennas,
        )  # fmt: skip
        self.timeline = LeoTimeline(
            selection, inventory, np.array(self.live, dtype=np.int32), options.routing, options.routing_step_s,
            self.access.delay_rule, self.access.model,
        )  # fmt: skip

    def _add_nodes(self) -> None:
        shells = () if self.config.shell.elements else self.config.shell.shells
        per_plane = shells[0].per_plane if len(shells) == 1 else 250
        for number, name in enumerate(self.constellation.names):
            first, second = divmod(number, per_plane)
            ipv4 = _ipv4(first + 1, second + 1, number)
            self.add_node(name, "satellite", ipv4=ipv4, forwards=True, shared_downlink=True)
        first = len(self.nodes)
        for group in self._ground():
            for site in group.sites:
                index = len(self.nodes) - first
                self.add_node(
                    f"{group.prefix}{site.name}", group.role, live=group.live, forwards=group.forwards,
                    ipv4=f"10.255.{index // 250}.{index % 250 + 1}", position=(site.lat_deg, site.lon_deg),
                    shared_uplink=group.prefix == "gs-" and self.antennas > 1,
                )  # fmt: skip

    def _ground(self) -> list[_Group]:
        """What stands on the ground, in the order of its nodes. Hosts and stations are leaves; a live router would
        learn of changed routes later than the relay."""
        groups = [_Group("gs-", "ground station", self.places, live=True)]
        if self.sites is None:
            return groups
        groups += [
            _Group("gw-", "gateway", self.sites.gateways, forwards=True),
            _Group("edge-", "point of presence", self.sites.pops, forwards=True),
            _Group("pop-", "host", self.sites.pops, live=True),
        ]
        if self.config.gateways.server_delay_s is not None:
            pop = self.sites.pops[self.sites.home[0]]
            groups.append(_Group("", "host", (Site("server", pop.lat_deg, pop.lon_deg),), live=True))
        return groups

    def _add_links(self, feeder_links: FeederLinks | None) -> LinkInventory:
        """Adds the links in the order that the timeline numbers them."""
        isl, ground = self.config.isl, self.config.ground
        satellites, stations, grid = len(self.constellation), len(self.places), self.grid
        end = EndSpec(effects(isl.queue))
        for a, b, a_port, b_port in zip(
            grid.a.tolist(), grid.b.tolist(), grid.a_port.tolist(), grid.b_port.tolist(), strict=True
        ):
            self.add_link(
                a, b, end, a_port=f"isl{a_port}", b_port=f"isl{b_port}", ethernet=isl.ethernet, carrier=isl.carrier
            )
        up, down = (EndSpec(effects) for effects in access_effects(self.config))
        numbers = range(self.antennas) if self.antennas > 1 else (None,)
        for station in range(satellites, satellites + stations):
            for number in numbers:
                self.add_link(
                    station, 0, up, down, a_port="up", b_port="down", moving=True, antenna=number,
                    ethernet=ground.ethernet, carrier=ground.carrier,
                )  # fmt: skip
        access = stations * self.antennas
        rate_bps = [np.full(2 * len(grid), isl.rate_bps), np.tile([ground.rate_up_bps, ground.rate_down_bps], access)]
        loss = [np.full(2 * len(grid), isl.loss), np.full(2 * access, ground.loss)]
        if self.sites is None or feeder_links is None:
            return LinkInventory(grid, satellites, np.concatenate(rate_bps), np.concatenate(loss))
        fibre, fibre_s = self._add_ground_links(feeder_links, self.sites)
        more = 2 * (len(feeder_links) + len(fibre))
        rate_bps.append(np.full(more, self.config.gateways.rate_bps))
        loss.append(np.zeros(more))
        hosts = [site for group in self._ground()[2:] for site in group.sites]
        at = Stations.at([site.lat_deg for site in hosts], [site.lon_deg for site in hosts], [0.0] * len(hosts), 0.0)
        return LinkInventory(grid, satellites, np.concatenate(rate_bps), np.concatenate(loss), at, fibre, fibre_s)

    def _add_ground_links(self, feeder_links: FeederLinks, sites: GatewayNetwork) -> tuple[Ints, Floats]:
        """Feeder links, then fibres; returns the nodes that the fibres join (B, 2), and their delays."""
        end = EndSpec(effects(self.config.gateways.queue))
        first = len(self.constellation) + len(self.places)
        gateways, pops = len(sites.gateways), len(sites.pops)
        for gateway in range(first, first + gateways):
            for antenna in range(feeder_links.antennas):
                self.add_link(
                    gateway, 0, end, a_port=f"ant{antenna}", b_port="down", moving=True,
                    ethernet=self.config.ground.ethernet,
                )  # fmt: skip
        edge = first + gateways
        fibre = np.where(sites.fibre < 0, first - 1 - sites.fibre, edge + sites.fibre)
        local = np.stack([edge + np.arange(pops), edge + pops + np.arange(pops)], axis=1)
        fibre, fibre_s = np.concatenate([fibre, local]), np.concatenate([sites.fibre_s, np.full(pops, SITE_S)])
        if self.config.gateways.server_delay_s is not None:
            server = len(self.nodes) - 1
            fibre = np.concatenate([fibre, [[edge + int(sites.home[0]), server]]])
            fibre_s = np.append(fibre_s, self.config.gateways.server_delay_s)
        ports: Counter[int] = Counter()
        for a, b in fibre.tolist():
            self.add_link(a, b, end, a_port=f"fibre{ports[a]}", b_port=f"fibre{ports[b]}")
            ports.update((a, b))
        return fibre.astype(np.int32), fibre_s

    def _refuse_blind(self, propagator: Propagator, stations: Stations, options: BuildOptions) -> None:
        """DataError if a station sees no satellite in the whole run. A long run is looked at every COVERAGE_STEP_S."""
        reach_deg = self._reach()[1]
        if beyond := [place for place in self.places if abs(place.lat_deg) > reach_deg + 1.0]:
            raise DataError("\n".join(self._blind(place, options) for place in beyond))
        steps = max(1, round(options.duration_s / options.step_s))
        stride = 1 if steps <= 600 else max(1, int(COVERAGE_STEP_S // options.step_s))
        sampled = np.arange(0, steps, stride) * options.step_s
        blind = np.arange(len(stations), dtype=np.int32)
        for t_s in np.split(sampled, np.arange(1, len(sampled), 64)):  # nearly always the first instant is enough
            for positions in propagator.ecef(t_s):
                few = stations.some(blind)
                seen = few.sees(*look(few, positions, near(few, positions)))
                blind = blind[~seen.any(axis=1)]
                if not len(blind):
                    return
        raise DataError("\n".join(self._blind(self.places[index], options) for index in blind))

    def _antennas(self, propagator: Propagator, stations: Stations) -> int:
        """Antennas of a station; where they follow all satellites, the most that any station sees at COUNTED instants
        of the run or, of a short one, at each of its steps."""
        if self.config.ground.antennas != "all":
            return self.config.ground.antennas
        steps = max(1, round(self.duration_s / self.options.step_s))
        counted = np.arange(0, steps, -(-steps // COUNTED)) * self.options.step_s
        most = 1
        for t_s in np.split(counted, np.arange(8, len(counted), 8)):
            for positions in propagator.ecef(t_s):
                seen = stations.sees(*look(stations, positions, near(stations, positions)))
                most = max(most, int(seen.sum(axis=1).max()))
        return min(most, MOST_ANTENNAS)

    def _reach(self) -> tuple[float, float]:
        """Highest inclination (degrees from the equator's plane), and the latitude up to which satellites serve."""
        tilts = np.degrees([record.inclo for record in self.constellation.records])
        inclination = float(np.minimum(tilts, 180 - tilts).max())
        height_m = max(record.alta for record in self.constellation.records) * 6378.135e3
        return inclination, inclination + walker.coverage_deg(height_m, self.config.ground.min_elevation_deg)

    def _blind(self, place: Station, options: BuildOptions) -> str:
        inclination_deg, reach_deg = self._reach()
        mask_deg = self.config.ground.min_elevation_deg
        text = (
            f"station gs-{place.name} never sees a satellite of {self.constellation.label} in {options.duration_s:g} s "
            f"(latitude {place.lat_deg:g}°; orbits inclined by {inclination_deg:.1f}° serve up to about "
            f"{min(reach_deg, 90):.1f}° above an elevation of {mask_deg:g}°). "
        )
        if abs(place.lat_deg) > reach_deg:
            return text + "Lower ground.min_elevation_deg, take a shell of higher inclination, or move the station."
        return text + "Let the run last longer, lower ground.min_elevation_deg, or take more satellites."

    def describe(self, t_s: float) -> dict[str, Any]:
        """What `skyloom plan` shows beside routes: the shell, its ISLs, and what each station sees at `t_s`."""
        from topologies.leo.describe import describe

        return describe(self, t_s)


def _hypatia(config: Config, options: BuildOptions) -> hypatia.State | None:
    """What a folder of Hypatia's holds; None where the satellites come from elsewhere."""
    folder = Path(options.directory) / (config.shell.elements or "")
    if config.shell.elements is None or not hypatia.is_state(folder):
        return None
    return hypatia.read(folder, Epoch.of(config.shell.epoch) if config.shell.epoch else None)


def _with_stations(config: Config, state: hypatia.State | None) -> Config:
    """The config with the stations of a folder, where it names none itself."""
    if state is None or not state.stations or config.ground.stations is not None or config.ground.station:
        return config
    stations = tuple(
        Station.model_validate(
            {
                "name": place.name, "lat_deg": place.lat_deg, "lon_deg": place.lon_deg,
                "altitude": f"{place.altitude_m:.3f} m",
            }
        )
        for place in state.stations
    )  # fmt: skip
    return config.model_copy(update={"ground": config.ground.model_copy(update={"station": stations})})


def _constellation(config: Config, options: BuildOptions) -> Constellation:
    epoch = Epoch.of(config.shell.epoch) if config.shell.epoch else None
    if config.shell.elements is None:
        return walker.constellation_of(config.shell.shells, epoch or DEFAULT_EPOCH)
    return element_files.read(Path(options.directory) / config.shell.elements, options.skip_bad, epoch)


def _grid(config: Config, propagator: Propagator) -> Grid:
    pattern = config.isl.pattern or ("raan" if config.shell.elements else "+grid")
    if pattern == "none":
        return grids.none()
    if pattern == "+grid":
        shells = config.shell.shells
        return grids.joined([grids.walker_grid(shell) for shell in shells], [shell.total for shell in shells])
    position, velocity = propagator.teme(np.zeros(1))
    return grids.raan_grid(position[0], velocity[0])


def _mesh(grid: Grid, satellites: int) -> Bools | None:
    """Which satellites belong to the largest group that ISLs join; None where that is all, or where there are no ISLs.

    Element sets hold satellites on their way to a shell, and several shells, which no ISLs join: a station served by
    one of those would reach nobody.
    """
    if not len(grid):
        return None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(grid), dtype=np.int8), (grid.a, grid.b)), shape=(satellites, satellites))
    groups, group = connected_components(links, directed=False)
    if groups == 1:
        return None
    mesh: Bools = group == np.argmax(np.bincount(group))
    return mesh


def _ipv4(first: int, second: int, number: int) -> str:
    """10.<plane>.<slot>.1 where that fits, so that sat-0312 is 10.3.12.1; else numbered from 10.128.0.1 on."""
    if first < 128 and second < 256:
        return f"10.{first}.{second}.1"
    number += 1
    return f"10.{128 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
