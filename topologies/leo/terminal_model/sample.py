"""The model asked directly, without links: round trips and rates as measurements see them, for many terminals.

What fits and tests of the model use; what users see is measured through sockets (`skyloom validate leo-access`).
"""

from __future__ import annotations

import numpy as np

from emulator.model.network import Floats
from emulator.model.streams import Keys, key, uniform
from topologies.leo.terminal_model.model import DOWN, UP, AccessModel


def round_trips(model: AccessModel, first: int, slots: int, probes: int, span_s: float) -> Floats:
    """Round trips beside the geometry, in seconds, of trains of `probes` packets in `span_s` (at most a slot), as
    (S, slots, probes). A train begins at a random instant of each of `slots` slots from number `first` on."""
    keys = _keys(model)
    found = np.empty((len(model), slots, probes))
    for place in range(slots):
        number = first + place
        start = uniform(keys, number, 0) * model.constants.slot_s
        since: Floats = start + (np.arange(probes) + uniform(keys, number, 1, np.arange(probes))) * span_s / probes
        up_s = _across(model, UP, number, since, "delay_s")
        found[:, place] = up_s + _across(model, DOWN, number, since + up_s, "delay_s")
    return found


def rates(model: AccessModel, way: int, first: int, slots: int, span_s: float = 15.0, points: int = 60) -> Floats:
    """Mean rates of spans (at most a slot) that begin at a random instant of each slot, in bit/s: (S, slots)."""
    keys = _keys(model)
    found = np.empty((len(model), slots))
    for place in range(slots):
        start = uniform(keys, first + place, 2) * model.constants.slot_s
        since = start + (np.arange(points) + 0.5) * span_s / points
        found[:, place] = _across(model, way, first + place, since, "rate_bps").mean(axis=1)
    return found


def _keys(model: AccessModel) -> Keys:
    return np.array([key("sample", name) for name in model.names], dtype=np.uint64)[:, None]


def _across(model: AccessModel, way: int, number: int, since: Floats, field: str) -> Floats:
    """A value at instants that count from the begin of slot `number`, and may lie in the next."""
    slot_s = model.constants.slot_s
    begin_s = model.slots.begin_s(number)
    here: Floats = getattr(model.at(way, number, begin_s + np.minimum(since, slot_s - 1e-6)), field)
    if (since < slot_s).all():
        return here
    there = getattr(model.at(way, number + 1, begin_s + np.clip(since, slot_s, 2 * slot_s - 1e-6)), field)
    return np.where(since < slot_s, here, there)
