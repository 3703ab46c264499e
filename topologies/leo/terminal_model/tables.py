"""`[terminal]`: every constant of the access model, with its unit, its default and where that comes from.

Invariant: the defaults are fitted on the published statistics of one site, Osnabrück (WetLinks, Laniewski et al., TMA
2024), by `python -m benchmarks.access_fit`; what those statistics cannot tell is taken from the literature, or chosen,
and docs/leo-access.md says which.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from emulator.model.errors import Unfit
from emulator.model.tables import Table
from emulator.model.units import Duration, Rate, Share, show


def _below_one(value: float) -> float:
    if value >= 1:
        raise Unfit(f"{show(value, 'share')}", "a share below 100 %")
    return value


def _share(value: float) -> float:
    if value > 1:
        raise Unfit(f"{show(value, 'share')}", "a share of at most 100 %")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        raise Unfit("0", "more than 0")
    return value


Part = Annotated[Share, AfterValidator(_below_one)]
Chance = Annotated[Share, AfterValidator(_share)]
Span = Annotated[Duration, AfterValidator(_positive)]
Speed = Annotated[Rate, AfterValidator(_positive)]
Hours = Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=24, max_length=24)]

# medians of the hours 0 … 23, by the hourly medians of throughput (Fig 8a and 8c)
LOAD_DOWN = (
    0.371, 0.358, 0.356, 0.350, 0.336, 0.312, 0.349, 0.377, 0.377, 0.379, 0.403, 0.408,
    0.401, 0.400, 0.410, 0.428, 0.451, 0.480, 0.492, 0.518, 0.504, 0.471, 0.416, 0.402,
)  # fmt: skip
LOAD_UP = (
    0.692, 0.703, 0.715, 0.709, 0.674, 0.637, 0.652, 0.672, 0.677, 0.665, 0.678, 0.664,
    0.665, 0.660, 0.663, 0.666, 0.661, 0.669, 0.675, 0.670, 0.661, 0.655, 0.665, 0.674,
)  # fmt: skip


class Terminal(Table):
    """Constants of `terminal = "starlink"`. Odds of load mean load / (1 - load): how much others wait for us."""

    slot_s: Span = 15.0
    """How long a satellite and a gateway are assigned: the same grid for all terminals."""
    slot_phase_s: Duration = 12.0
    """Second of the minute (UTC) at which a slot begins, and every slot after it."""

    elevation_deg: float = Field(67.2, ge=0, le=90)
    """Elevation of the satellites that are chosen most."""
    elevation_spread_deg: float = Field(12.7, gt=0)
    """How far (one standard deviation) the choice strays from it."""
    pole_weight: float = -0.15
    """Weight of the direction cosine towards the nearer pole in the score. The poleward lean that is seen comes from
    the shell, whose satellites crowd there, and from the arc below."""
    arc_exclusion_deg: float = Field(18.0, ge=0, le=90)
    """Satellites this close to the geostationary arc are not used."""

    processing_up_s: Duration = 0.0012
    """Terminal and satellite, from the dish to the feeder link, beside the wait for a grant."""
    processing_down_s: Duration = 0.0012
    """Satellite and terminal, from the feeder link to the dish."""
    gateway_processing_s: Duration = 0.0005
    """The gateway, each way; part of the feeder link's delay."""
    frame_s: Duration = 0.001333
    """Downlink frame (750 a second); half of it is waited on average, and always."""
    grant_s: Span = 0.005
    """Time between uplink grants on an idle beam; grows with the odds of load, as (1 + odds)."""
    queue_up_s: Duration = 0.0017
    """Wait in the scheduler on the way up for each unit of the odds of load."""
    queue_down_s: Duration = 0.0021
    """Wait in the scheduler on the way down for each unit of the odds of load."""

    load_down: Hours = LOAD_DOWN
    """Share of a beam's downlink that others take, median of each local hour 0 … 23."""
    load_up: Hours = LOAD_UP
    """Share of the uplink that others take, median of each local hour."""
    load_spread_down: float = Field(0.862, ge=0)
    """Standard deviation of the logarithm of the downlink's odds of load, from slot to slot."""
    load_spread_up: float = Field(0.626, ge=0)
    """The same of the uplink."""
    load_jitter: float = Field(0.6, ge=0)
    """The same within a slot, both ways."""
    load_step_s: Span = 0.25
    """How often the load changes within a slot; a slot is a multiple of it."""
    load_correlation_s: Duration = 0.5
    """Time in which what the load did within a slot is forgotten to 1/e."""

    peak_down_bps: Speed = 372e6
    """What a terminal alone in a beam gets, median of slots."""
    peak_up_bps: Speed = 44e6
    """The same of the uplink."""
    peak_spread: float = Field(0.2, ge=0)
    """Standard deviation of the logarithm of the peak rates from slot to slot (modulation, elevation, beam)."""
    overhead: Part = 0.05
    """Share of the link's rate that the rates above do not show, because they are what TCP delivers."""
    dip_first: Part = 0.12
    """How much lower rates are in the first second of a slot."""
    dip_last: Part = 0.08
    """How much lower rates are in the last second of a slot."""
    rain_mm_h: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    """Rain rates above which each of the factors below holds."""
    rain_factor: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        0.82, 0.757, 0.73, 0.698, 0.687, 0.697,
    )  # fmt: skip
    """Rates in rain as a share of those without; delays do not change."""

    outage: Chance = 0.08
    """Chance that a change of slot interrupts the link."""
    longest_outage_s: Duration = 0.15
    """Interruptions last up to this long, evenly spread, from the edge of the slot on."""
    loss: Chance = 0.0
    """Loss of single packets at any time, each way; independent losses at high rates are not what is seen."""
    blips: float = Field(0.5, ge=0, le=4)
    """Mean number of very short gaps in a slot, each way: what loses one probe of a train."""
    longest_blip_s: Duration = 0.025
    """Blips last up to this long, evenly spread."""
    bursts: float = Field(0.06, ge=0, le=2)
    """Mean number of bursts of losses in a slot, each way."""
    burst_at_edge: Chance = 0.75
    """Share of the bursts that lie in the last 100 ms or the first second of their slot."""
    burst_s: Duration = 0.04
    """Median length of a burst."""
    burst_spread: float = Field(1.6, ge=0)
    """Standard deviation of the logarithm of its length; no burst is longer than 3 s."""
    burst_loss: Chance = 0.6
    """Loss within a burst."""

    @model_validator(mode="after")
    def _fits_together(self) -> Terminal:
        steps = self.slot_s / self.load_step_s
        if abs(steps - round(steps)) > 1e-6 or round(steps) > 1000:
            raise Unfit(
                f"`load_step` {self.load_step_s:g} s in a `slot` of {self.slot_s:g} s",
                "a whole part of it, at most 1000 in one",
            )
        if self.grant_s < 0.001:
            raise Unfit(f"`grant` {show(self.grant_s, 'duration')}", "at least 1 ms")
        if self.slot_s < 3:
            raise Unfit(f"`slot` {show(self.slot_s, 'duration')}", "at least 3 s")
        if len(self.rain_mm_h) != len(self.rain_factor):
            raise Unfit(
                f"{len(self.rain_mm_h)} values of `rain_mm_h` and {len(self.rain_factor)} of `rain_factor`",
                "as many of each",
            )
        if list(self.rain_mm_h) != sorted(set(self.rain_mm_h)) or self.rain_mm_h[0] < 0:
            raise Unfit("`rain_mm_h` does not rise", "rising rates of 0 or more")
        return self
