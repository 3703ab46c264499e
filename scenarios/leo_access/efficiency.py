"""What share of the link's rate TCP delivered: the number that `terminal.overhead` has to make up for.

Invariant: the rate is that of the same schedule which the flow crossed, averaged over the time of that flow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from emulator.model.network import Floats
from scenarios.leo_access.emulated import DOWN, UP

if TYPE_CHECKING:
    from emulator.record.load import Run

GRAIN_S = 0.05


def delivered(run: Run, direction: str) -> Floats:
    """Goodput by mean rate of the link, of each terminal with flows in that direction; none without the model."""
    import polars

    from emulator.scenario import build_topology, load
    from topologies.leo import LeoTopology
    from topologies.leo.terminal_model import model as access

    topology = build_topology(load(str(run.path / "scenario.toml")))
    model = topology.access.model if isinstance(topology, LeoTopology) else None
    if model is None:
        return np.zeros(0)
    way = {DOWN: access.DOWN, UP: access.UP}[direction]
    bits: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    flows = run.events.filter((polars.col("kind") == "flow") & (polars.col("program") == direction))
    for row in flows.iter_rows(named=True):
        data = json.loads(row["data"])
        node = data["peer"] if direction == UP else row["node"]
        begin_s, end_s = spans.get(node, (np.inf, -np.inf))
        spans[node] = min(begin_s, row["t_s"] - data["duration_s"]), max(end_s, row["t_s"])
        bits[node] = bits.get(node, 0.0) + 8.0 * data["bytes"]
    shares = []
    for node, (begin_s, end_s) in spans.items():
        place = model.names.index(node.removeprefix("gs-"))
        t_s = np.arange(begin_s, end_s, GRAIN_S)
        slots = np.array([model.slots.number(t) for t in t_s.tolist()])
        rate = [
            model.at(way, number, np.broadcast_to(t_s[slots == number], (len(model), int((slots == number).sum()))))
            for number in np.unique(slots).tolist()
        ]
        mean_bps = float(np.concatenate([values.rate_bps[place] for values in rate]).mean()) if rate else np.nan
        shares.append(bits[node] / (end_s - begin_s) / mean_bps)
    return np.array(shares)
