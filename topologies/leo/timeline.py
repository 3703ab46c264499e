"""The timeline of a satellite network: delays, rates and routes of each step, as rows.

Invariant: a row depends on its step number alone (see `selection.py`). Nodes: satellites 0…N-1, stations, gateways,
then hosts behind gateways. Links: ISLs 0…L-1, one access link per antenna of each station, one feeder link per antenna
of each gateway, fibres.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from emulator.model.network import Bools, Floats, Handover, Ints, Rates, ScheduleRow, SubstepSpec, SubstepTables
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S, ecef_to_geodetic
from emulator.orbit.grid import Grid
from emulator.orbit.handover import Sight
from emulator.orbit.visibility import Stations, can_follow, distance, line_of_sight
from emulator.schedule.routes import least_delay_ends, path_delay
from emulator.schedule.timeline import routing_steps
from topologies.leo.selection import Instant, Selection
from topologies.leo.terminal_model.compile import compile_step, knots_a_step
from topologies.leo.terminal_model.model import AccessModel


@dataclass(frozen=True, slots=True)
class LinkInventory:
    """What the network consists of beside orbits and stations. `rate_bps`, `loss`: per link end."""

    grid: Grid
    satellites: int
    rate_bps: Floats
    loss: Floats
    hosts: Stations | None = None  # points of presence and servers, in the order of their nodes
    fibre: Ints = field(default_factory=lambda: np.empty((0, 2), dtype=np.int32))  # (B, 2) nodes that fibres join
    fibre_s: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class DelayRule:
    """How distances become delays. The defaults are physics."""

    speed_m_s: float = SPEED_OF_LIGHT_M_S
    held: bool = False  # the delay of a step's start holds for the step
    feeder_s: float = 0.0  # beside the distance, on feeder links


@dataclass(frozen=True, slots=True)
class _Links:
    """What each link end is like in a step."""

    start_s: Floats
    end_s: Floats
    rate_bps: Floats
    loss: Floats
    up: Bools
    peer: Ints
    substep: SubstepTables | None


@dataclass(frozen=True, slots=True)
class _Routes:
    next_end: Ints
    usable: Bools  # per end
    peer: Ints


class LeoTimeline:
    """Rows of a constellation with ground stations, and gateways where there are any."""

    def __init__(
        self,
        selection: Selection,
        inventory: LinkInventory,
        live: Ints,
        routing: str = "least-delay",
        routing_step_s: float | None = None,
        delay_rule: DelayRule | None = None,
        model: AccessModel | None = None,
    ) -> None:
        """`live`: nodes with routes towards them. `model`: what access links do beside their geometry."""
        self.selection, self.inventory, self.grid = selection, inventory, inventory.grid
        self.propagator, self.stations, self.step_s = selection.propagator, selection.stations, selection.step_s
        self.satellites, self.hosts, self.model = inventory.satellites, inventory.hosts, model
        feeder_links = selection.feeder_links
        self.gateways = feeder_links.sites if feeder_links is not None else None
        self.routing = routing
        self.live = np.asarray(live, dtype=np.int32)
        self._delay_rule = delay_rule or DelayRule()
        self.rates = Rates(inventory.rate_bps, inventory.loss) if model is None else None
        self._routing_steps = routing_steps(self.step_s, routing_step_s, len(self.live))
        isls, count = len(inventory.grid), len(self.stations)
        access = count * selection.antennas
        gateways = 0 if feeder_links is None else len(feeder_links.sites)
        self.nodes = inventory.satellites + count + gateways + (0 if inventory.hosts is None else len(inventory.hosts))
        self.station_nodes = np.arange(inventory.satellites, inventory.satellites + count, dtype=np.int32)
        self._station = np.repeat(np.arange(count), selection.antennas)  # of each antenna
        self.up_ends = np.arange(2 * isls, 2 * (isls + access), 2, dtype=np.int32)
        self._isl_peer = np.stack([inventory.grid.b, inventory.grid.a], axis=1).reshape(-1)
        first = inventory.satellites + count
        antennas = 0 if feeder_links is None else feeder_links.antennas
        self._feeder_node = np.repeat(np.arange(first, first + gateways), antennas).astype(np.int32)
        self._fibre_peer = inventory.fibre[:, ::-1].reshape(-1)
        self._closed = np.zeros(self.nodes, dtype=bool)
        self._closed[self.station_nodes] = True
        self._index = np.full(self.nodes, -1, dtype=np.int64)  # destination index of a node
        self._index[self.live] = np.arange(len(self.live))
        self.substep: SubstepSpec | None = None
        if model is not None:
            ends = np.arange(2 * isls, 2 * (isls + access), dtype=np.int32)
            self.substep = SubstepSpec(ends, knots_a_step(model, self.step_s))

    # -- selection ---------------------------------------------------------------------------------------------------

    def instants(self, first: int, count: int) -> Iterator[Instant]:
        """Geometry and access selection of `count` steps, without routes."""
        return self.selection.instants(first, count)

    def sight(self, t_s: float, positions: Floats) -> Sight:
        """What the stations see at an instant."""
        return self.selection.sight(t_s, positions)

    def handovers(self, first: int, count: int) -> Iterator[Handover]:
        """Handovers of a window, without the cost of its routes."""
        for instant in self.instants(first, count):
            yield from instant.handovers

    def serving(self, step: int) -> dict[int, int]:
        """The satellite of each access link during a step, -1: none; by number of the link."""
        held = next(self.instants(step, 1)).held
        return dict(enumerate(held.satellite.tolist(), len(self.grid)))

    def positions(self, t_s: float) -> Floats:
        """Latitude and longitude (degrees) of every node at an instant, (nodes, 2); NaN: cannot be placed."""
        satellites = self.propagator.ecef(np.array([t_s]))[0]
        fixed = [sites.position for sites in (self.stations, self.gateways, self.hosts) if sites is not None]
        latitude, longitude, _ = ecef_to_geodetic(np.concatenate([satellites, *fixed]))
        return np.degrees(np.stack([latitude, longitude], axis=1))

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self, first: int, count: int, with_routes: bool = True) -> Iterator[ScheduleRow]:
        """Rows of the steps first … first+count-1."""
        if not with_routes:
            nowhere = np.empty((0, self.nodes), dtype=np.int32)
            for instant in self.instants(first, count):
                links = self._links(instant)
                yield self._row(instant, links, _Routes(nowhere, links.up, links.peer))
            return
        # Routes may be older than their step: of the last routing step, or of step 0 where they are static.
        begin = first - first % self._routing_steps if self.routing == "least-delay" else first
        routes: _Routes | None = None
        if self.routing == "static" and first > 0:
            routes = self._routes(self._links(next(self.instants(0, 1))), None)
        for instant in self.instants(begin, first + count - begin):
            links = self._links(instant)
            if self.routing == "least-delay":
                routes = self._routes(links, routes if instant.step % self._routing_steps else None)
            elif routes is None:
                routes = self._routes(links, None)
            if instant.step >= first:
                yield self._row(instant, links, routes)

    def _links(self, instant: Instant) -> _Links:
        """Every link end in a step: ISLs, access links, feeders, fibres, in this order."""
        start_s, end_s = self._delays(instant)
        serving = instant.held.satellite
        served = serving >= 0
        follows = self._follows(instant)
        isls = self.isls_up(instant)
        up = [isls, served, follows >= 0, np.ones(len(self.inventory.fibre), dtype=bool)]
        isl_peer = np.where(np.repeat(isls, 2), self._isl_peer, -1)
        access_peer = np.stack([serving, np.where(served, self.station_nodes[self._station], -1)], axis=1).reshape(-1)
        feeder_peer = np.stack([follows, np.where(follows >= 0, self._feeder_node, -1)], axis=1).reshape(-1)
        peer = np.concatenate([isl_peer, access_peer, feeder_peer, self._fibre_peer]).astype(np.int32)
        rate_bps, loss, up_ends = self.inventory.rate_bps, self.inventory.loss, np.repeat(np.concatenate(up), 2)
        if self._delay_rule.held:
            end_s = start_s
        if self.model is None or self.substep is None:
            return _Links(start_s, end_s, rate_bps, loss, up_ends, peer, None)
        ends, begin_s = self.substep.ends, instant.step * self.step_s
        tables, means = compile_step(
            self.model, begin_s, begin_s + self.step_s, start_s[ends[::2]], end_s[ends[::2]], self.substep.knots
        )
        idle = np.repeat(~served, 2)
        tables.count[idle] = 0  # an interruption of a link that serves is in its table, and withdraws no routes
        start_s, rate_bps, loss = start_s.copy(), rate_bps.copy(), loss.copy()
        start_s[ends], rate_bps[ends], loss[ends] = means.delay_s, means.rate_bps, means.loss
        end_s = np.where(np.isin(np.arange(len(end_s)), ends), start_s, end_s)
        return _Links(start_s, end_s, rate_bps, loss, up_ends, peer, tables)

    def _delays(self, instant: Instant) -> tuple[Floats, Floats]:
        """Propagation delays of all ends at both ends of the step; 0 where a link has no partner."""
        a, b = self.grid.a, self.grid.b
        serving, follows = instant.held.satellite, self._follows(instant)
        rule, delays = self._delay_rule, []
        for positions in (instant.start, instant.end):
            isl = distance(positions[a], positions[b])
            access = distance(self.stations.position[self._station], positions[np.maximum(serving, 0)])
            space = [isl, np.where(serving >= 0, access, 0.0)]
            if self.gateways is not None and len(follows):
                sites = np.repeat(self.gateways.position, len(follows) // len(self.gateways), axis=0)
                feeder = distance(sites, positions[np.maximum(follows, 0)]) + rule.feeder_s * rule.speed_m_s
                space.append(np.where(follows >= 0, feeder, 0.0))
            seconds = np.nan_to_num(np.concatenate(space)) / rule.speed_m_s
            delays.append(np.repeat(np.concatenate([seconds, self.inventory.fibre_s]), 2))
        return delays[0], delays[1]

    def _follows(self, instant: Instant) -> Ints:
        """Satellite of each gateway's antennas, -1: none."""
        return instant.assignment.satellite if instant.assignment is not None else np.empty(0, dtype=np.int32)

    def isls_up(self, instant: Instant) -> Bools:
        """ISLs that hold through a step: in sight at both ends of it, and turning slowly enough."""
        a, b = self.grid.a, self.grid.b
        start, end = instant.start, instant.end
        seen = line_of_sight(start[a], start[b]) & line_of_sight(end[a], end[b])
        return seen & can_follow(start[b] - start[a], end[b] - end[a], self.step_s)

    def _tails(self, peer: Ints) -> Ints:
        """Node that sends on each end: who receives on the other end of the link."""
        return peer.reshape(-1, 2)[:, ::-1].reshape(-1)

    def _routes(self, links: _Links, old: _Routes | None) -> _Routes:
        """All routes anew, or `old` brought up to date where access links moved.

        No path goes through a station, so a handover changes the routes towards that station and those from it, and no
        others; a change of ISLs or feeders changes all. A link that is new beside others waits for the next routing.
        """
        delay_s, up, peer = links.start_s, links.up, links.peer
        if self.routing == "none":
            return _Routes(np.full((len(self.live), self.nodes), -1, dtype=np.int32), up, peer)
        isl_ends, feeder_ends = 2 * len(self.grid), 2 * (len(self.grid) + len(self.up_ends))
        if (
            old is None
            or not np.array_equal(old.usable[:isl_ends], up[:isl_ends])
            or not np.array_equal(old.peer[feeder_ends:], peer[feeder_ends:])
        ):
            return _Routes(self._least_delay(delay_s, up, peer, self.live), up, peer)
        before, after = old.peer[self.up_ends], peer[self.up_ends]
        had = np.bincount(self._station, before >= 0, len(self.stations)) > 0
        moved = np.unique(self._station[(before != after) & ((before >= 0) | ~had[self._station])])
        if not len(moved):
            return _Routes(old.next_end, up, peer)
        next_end = old.next_end.copy()
        towards = self.station_nodes[moved]
        next_end[self._index[towards]] = self._least_delay(delay_s, up, peer, towards)
        for station in moved:
            self._route_from(int(station), next_end, links)
        return _Routes(next_end, up, peer)

    def _route_from(self, station: int, next_end: Ints, links: _Links) -> None:
        """Routes from a station anew: by its quickest access link, where satellites send on as `next_end` says."""
        node, ends = self.station_nodes[station], self.up_ends[self._station == station]
        ends = ends[links.peer[ends] >= 0]
        next_end[:, node] = -1
        if len(ends):
            beyond_s = path_delay(next_end, links.peer, links.start_s, self.live, links.peer[ends])
            total_s = beyond_s + links.start_s[ends]
            best = total_s.argmin(axis=1)
            reached = np.isfinite(total_s[np.arange(len(best)), best]) & (self.live != node)
            next_end[:, node] = np.where(reached, ends[best], -1)

    def _least_delay(self, delay_s: Floats, up: Bools, peer: Ints, destinations: Ints) -> Ints:
        end = np.flatnonzero(up).astype(np.int32)
        tail = self._tails(peer)[end]
        return least_delay_ends(tail, peer[end], delay_s[end], end, self.nodes, destinations, self._closed)

    def _row(self, instant: Instant, links: _Links, routes: _Routes) -> ScheduleRow:
        next_end = self._still_there(routes.next_end, links.peer) if self.routing == "static" else routes.next_end
        return ScheduleRow(
            instant.step, links.start_s, links.end_s, links.rate_bps, links.loss, links.up, links.peer, next_end,
            instant.handovers, links.substep,
        )  # fmt: skip

    def _still_there(self, next_end: Ints, peer: Ints) -> Ints:
        """Static routes without the entries that would send on a moving link whose satellite has changed since."""
        first = 2 * len(self.grid)
        down_ends = np.arange(first + 1, first + 2 * (len(self.up_ends) + len(self._feeder_node)), 2)
        stale = np.isin(next_end, down_ends) & (
            self._tails(peer)[np.maximum(next_end, 0)] != np.arange(self.nodes, dtype=np.int32)
        )
        return np.where(stale, np.int32(-1), next_end)
