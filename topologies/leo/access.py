"""What `ground.terminal` makes of a satellite network: policy, rule of delays, and the access model, from its tables.

Invariant: with `terminal = "ideal"` and no gateways nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np

from emulator.model.errors import DataError
from emulator.model.network import BuildOptions, Effects, Floats, Ints
from emulator.orbit.elements import Epoch
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.handover import POLICIES, Policy
from emulator.orbit.handover.starlink import SlotDraw, Weights
from emulator.orbit.visibility import Stations
from topologies.leo.config import Config, one_of
from topologies.leo.gateway_sites import GATEWAYS, POPS, Site, great_circle_m, read_gateways, read_pops
from topologies.leo.gateways import FeederLinks
from topologies.leo.terminal_model.model import AccessModel
from topologies.leo.terminal_model.slots import Slots
from topologies.leo.terminal_model.weather import read_rain
from topologies.leo.timeline import DelayRule
from topologies.link_keys import effects

STARRYNET_SPEED_M_S = SPEED_OF_LIGHT_M_S * 17.31 / 29.5  # its constant for every link, 0.587 c


@dataclass(frozen=True, slots=True)
class Access:
    """How stations reach satellites: by which policy (None: all in view), with which delays."""

    policy: Policy | None
    min_dwell_s: float
    delay_rule: DelayRule
    model: AccessModel | None
    slots: Slots


def access_of(config: Config, options: BuildOptions, epoch: Epoch, stations: Stations) -> Access:
    """The access links of a scenario. DataError: steps that miss the edges of slots, a bad weather file."""
    ground, terminal = config.ground, config.terminal
    slots = Slots.of(epoch.datetime(), terminal.slot_s, terminal.slot_phase_s)
    if ground.terminal == "ideal":
        policy = None if ground.antennas == "all" else POLICIES[ground.policy]
        return Access(policy, ground.min_dwell_s, DelayRule(), None, slots)
    if ground.terminal != "starlink":
        speed = STARRYNET_SPEED_M_S if ground.terminal == "starrynet" else SPEED_OF_LIGHT_M_S
        policy = None if ground.antennas == "all" else POLICIES["nearest"]
        return Access(policy, 0.0, DelayRule(speed, held=True), None, slots)
    if not slots.meets(options.step_s):
        raise DataError(
            f"steps of {options.step_s:g} s from {epoch.text()} on do not meet the edges of slots (every "
            f"{terminal.slot_s:g} s from second {terminal.slot_phase_s:g} of the minute on); expected `step` and "
            '`shell.epoch` so that each slot begins with a step, such as step = "1 s" from a whole second on'
        )
    names = [place.name for place in ground.places]
    weights = Weights(
        terminal.elevation_deg, terminal.elevation_spread_deg, terminal.pole_weight, terminal.arc_exclusion_deg
    )
    draw = SlotDraw(weights, stations, names, options.seed, slots.number, _starts(slots, options.step_s))
    return Access(draw, 0.0, DelayRule(feeder_s=terminal.gateway_processing_s), _model(config, options, slots), slots)


def access_effects(config: Config) -> tuple[Effects, Effects]:
    """The queues of a station's link, up and down.

    The model's are memory: a bound in time becomes bytes at the median rate, and does not shrink as the rate falls
    (it would throw most of a full queue away at once); full ones drop from the front.
    """
    plain = effects(config.ground.queue)
    if config.ground.terminal != "starlink":
        return plain, plain
    table = config.terminal
    medians_bps = [
        peak_bps * (1 - float(np.median(load)))
        for peak_bps, load in ((table.peak_up_bps, table.load_up), (table.peak_down_bps, table.load_down))
    ]
    up, down = (
        replace(plain, queue_s=inf, queue_bytes=min(plain.queue_bytes, plain.queue_s * bps / 8), head_drop=True)
        for bps in medians_bps
    )
    return up, down


def antenna_names(config: Config, antennas: int) -> list[str]:
    """A name for each antenna of each station, by which its random numbers are drawn: the first has its station's."""
    numbers = range(antennas)
    return [f"{place.name}{f'/{number}' if number else ''}" for place in config.ground.places for number in numbers]


def _starts(slots: Slots, step_s: float) -> Callable[[float], bool]:
    return lambda t_s: slots.number(t_s) != slots.number(t_s - step_s)


def _model(config: Config, options: BuildOptions, slots: Slots) -> AccessModel:
    ground = config.ground
    names = [place.name for place in ground.places]
    antennas = ground.antennas if isinstance(ground.antennas, int) else 1
    places = [place for place in ground.places for _ in range(antennas)]
    lon_deg = np.array([place.lon_deg for place in places])
    fixed = np.array([np.nan if place.hour is None else place.hour for place in places])
    dry = np.array([ground.rain_mm_h if place.rain_mm_h is None else place.rain_mm_h for place in places])
    own = np.array([place.rain_mm_h is not None for place in places])
    series = None
    if ground.weather is not None:
        series = read_rain(Path(options.directory) / ground.weather, names, slots.start)

    def hours(t_s: float) -> Floats:
        return np.where(np.isnan(fixed), slots.hour(t_s, lon_deg), np.nan_to_num(fixed))

    def rain(t_s: float) -> Floats:
        return dry if series is None else np.where(own, dry, np.repeat(series(t_s), antennas))

    load = np.array([place.load for place in places])
    return AccessModel(config.terminal, slots, options.seed, antenna_names(config, antennas), hours, rain, load)


@dataclass(frozen=True, slots=True)
class GatewayNetwork:
    """Gateways and what stands behind them: PoPs and fibres, by number within these lists."""

    gateways: tuple[Site, ...]
    pops: tuple[Site, ...]
    fibre: Ints  # (B, 2): gateway g → -1 - g, PoP p → p
    fibre_s: Floats  # one way
    home: Ints  # (S) PoP of each station
    to_home_s: Floats  # (S, G) from each gateway to the PoP of each station


def gateway_network_of(config: Config, options: BuildOptions) -> GatewayNetwork | None:
    """Gateways of a scenario, with the fibre behind them; None: it has none. DataError: none within reach."""
    table = config.gateways
    if not table.expected:
        return None
    folder = Path(options.directory)
    known = GATEWAYS if table.file is None else {site.name: site for site in read_gateways(folder / table.file)}
    known_pops = POPS if table.pops_file is None else {site.name: site for site in read_pops(folder / table.pops_file)}
    places = config.ground.places
    lat, lon = np.array([place.lat_deg for place in places]), np.array([place.lon_deg for place in places])
    gateways = _gateways(config, known, lat, lon)
    if table.pops is None:
        nearest = great_circle_m(*_degrees(gateways), list(known_pops.values())).argmin(axis=1)
        pops = tuple(list(known_pops.values())[number] for number in sorted(set(nearest.tolist())))
    else:
        pops = tuple(known_pops[_named(name, known_pops, "gateways.pops")] for name in table.pops)
    metre_s = table.fibre_detour / (table.fibre_speed * SPEED_OF_LIGHT_M_S)
    to_pop_m = great_circle_m(*_degrees(gateways), pops)  # (G, P)
    between_m = great_circle_m(*_degrees(pops), pops)
    nearest = to_pop_m.argmin(axis=1)
    fibres = [(-1 - gateway, int(pop), to_pop_m[gateway, pop]) for gateway, pop in enumerate(nearest)]
    fibres += [(a, b, between_m[a, b]) for a in range(len(pops)) for b in range(a + 1, len(pops))]
    home = great_circle_m(lat, lon, pops).argmin(axis=1).astype(np.int32)
    to_home_s = (to_pop_m.min(axis=1) + between_m[home][:, nearest]) * metre_s
    fibre = np.array([(a, b) for a, b, _ in fibres], dtype=np.int32)
    return GatewayNetwork(gateways, pops, fibre, np.array([metres for *_, metres in fibres]) * metre_s, home, to_home_s)


def _gateways(config: Config, known: dict[str, Site], lat: Floats, lon: Floats) -> tuple[Site, ...]:
    table = config.gateways
    if isinstance(table.sites, tuple):
        return tuple(known[_named(name, known, "gateways.sites")] for name in table.sites)
    apart = great_circle_m(lat, lon, list(known.values()))
    if (apart > table.reach_m).all():  # a station without one may do with ISLs, if another has one
        raise DataError(
            f"no gateway within {table.reach_m / 1e3:g} km of any station: the nearest is {apart.min() / 1e3:.0f} km "
            "away; expected a longer gateways.reach, gateways.sites by name, or other stations"
        )
    near = set(np.flatnonzero((apart <= table.reach_m).any(axis=0)).tolist())
    return tuple(site for number, site in enumerate(known.values()) if number in near)


def _named(name: str, known: dict[str, Site], key: str) -> str:
    try:
        return one_of(name, known, "site")
    except ValueError as error:
        raise DataError(f"{key}: {error}") from None


def _degrees(sites: tuple[Site, ...]) -> tuple[Floats, Floats]:
    return np.array([site.lat_deg for site in sites]), np.array([site.lon_deg for site in sites])


def feeder_links_of(
    config: Config, options: BuildOptions, network: GatewayNetwork, slots: Slots, antennas: int
) -> FeederLinks:
    """The feeder links of these gateways, for stations with so many antennas each."""
    table, names = config.gateways, antenna_names(config, antennas)
    lat, lon = _degrees(network.gateways)
    sites = Stations.at(lat.tolist(), lon.tolist(), [0.0] * len(lat), table.min_elevation_deg)
    return FeederLinks(
        sites, min(table.antennas, len(names)), np.repeat(network.to_home_s, antennas, axis=0), table.spread_s, names,
        options.seed, slots.number, _starts(slots, options.step_s),
    )  # fmt: skip
