"""Builds a run's network again from its folder: scheduled values of its links, owners of addresses.

Invariant: a network that cannot be built again (its topology module has gone) is no error: what depends on it is left
out of the report, which says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.record.load import Run
from emulator.schedule.reader import ScheduleReader
from emulator.schedule.recomputed import RecomputedRows

if TYPE_CHECKING:
    from emulator.model.network import EndSpec, Network

STEPS = 2**53  # of a timeline: messages tell how far it is asked
ROWS_BYTES = 100e6  # of rows that are kept, as far as routes tell
NO_NETWORK = {
    "program", "action", "expect", "capture", "prediction", "parameters", "rounds", "fidelity", "engine", "ends",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """What holds for a link end over the whole run; None where it changes."""

    rate_bps: float | None  # inf: unlimited
    loss: float | None  # probability for a packet; burst loss by its mean


@dataclass(frozen=True, slots=True)
class ScheduledValues:
    """Grants by link end, node names by address, live nodes in the order of the scenario."""

    grants: dict[str, Grant] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    trouble: str = ""
    paths: Paths | None = None


class Paths:
    """Propagation delays between live nodes along the routes, as the schedule has them."""

    def __init__(self, network: Network) -> None:
        row_bytes = 4 * len(network.live) * len(network.nodes)
        kept = max(2, min(64, int(ROWS_BYTES / max(1, row_bytes))))
        self._schedule = ScheduleReader(network, RecomputedRows(network.timeline, STEPS, kept))

    def delay_s(self, sender: str, receiver: str, t_s: float) -> float | None:
        """From one live node to another at a time; None where there is no route, or no such node."""
        return self._schedule.path_delay_s(sender, receiver, t_s)


def scheduled_values(run: Run) -> ScheduledValues:
    """Build the network of the run's scenario again, without its programs and their configuration."""
    try:
        network = _network(run.document)
    except Exception as error:  # of a module of the scenario's own, which may do anything
        said = " ".join(str(error).split()) or repr(error)
        return ScheduledValues(trouble=f"the network cannot be built again: {said[:200]}")
    names: dict[str, str] = {}
    for node in network.nodes:
        names |= {address: node.name for address in (node.ipv4, node.ipv6) if address}
    for link in network.links:
        for node_number, address in ((link.a, link.a_address), (link.b, link.b_address)):
            if address:
                names[address.partition("/")[0]] = network.nodes[node_number].name
    grants = {network.end_name(end): _grant(network, end) for end in range(2 * len(network.links))}
    return ScheduledValues(grants, names, [network.nodes[number].name for number in network.live], "", Paths(network))


def _network(document: Mapping[str, Any]) -> Network:
    from emulator.scenario import load
    from emulator.scenario.build import build_network
    from emulator.scenario.toml.writer import dumps

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.toml"
        path.write_text(dumps({key: value for key, value in document.items() if key not in NO_NETWORK}))
        return build_network(load(str(path)))


def _grant(network: Network, end: int) -> Grant:
    spec = network.end_spec(end)
    if spec.schedule is None:
        rates = network.timeline.rates if network.timeline is not None else None
        if rates is None:
            return Grant(None, None)
        return Grant(float(rates.rate_bps[end]), _with_bursts(float(rates.loss[end]), spec))
    rate, loss = spec.schedule.rate_bps, spec.schedule.loss
    return Grant(
        float(rate[0]) if (rate == rate[0]).all() else None,
        _with_bursts(float(loss[0]), spec) if (loss == loss[0]).all() else None,
    )


def _with_bursts(loss: float, spec: EndSpec) -> float:
    """The chance of loss with the mean of burst loss: the share of time in each state times its loss."""
    burst = spec.effects.burst_loss
    if burst is None:
        return loss
    changes = burst.good_to_bad + burst.bad_to_good
    bad = burst.good_to_bad / changes if changes else 0.0
    return 1 - (1 - loss) * (1 - bad * burst.loss_bad - (1 - bad) * burst.loss_good)
