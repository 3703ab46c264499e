"""The layout of a scenario on several hosts: its partition, and what that was made from. For `run` and `plan` alike.

Invariant: equal scenarios and networks give equal layouts, so a run repeats with its number of hosts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emulator.model.errors import DataError, ScenarioError, Unfit, UsageError
from emulator.model.names import matches, matching
from emulator.model.network import Floats, Ints, Network, ScheduleRow, Timeline
from emulator.record.load import load_run
from emulator.runtime.cluster.adjacency import Adjacency, adjacency
from emulator.runtime.cluster.demand import Demand, Load, Traffic, demand, expected_traffic, mean_traffic
from emulator.runtime.cluster.partition import Partition, partition
from emulator.runtime.cluster.units import NotApart, Rules

if TYPE_CHECKING:
    from emulator.record.load import Run
    from emulator.scenario.schema.models import Scenario

INSTANTS = 5  # of the run at which routes are followed
Tell = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


@dataclass(frozen=True, slots=True)
class Layout:
    """A partition, and what it was made from."""

    partition: Partition
    demand: Demand
    near: Adjacency
    rules: Rules
    measured: bool  # whether the packets are those of an earlier run
    cores: tuple[float, ...] | None  # of each host; None: they are alike


def lay_out(
    scenario: Scenario, network: Network, hosts: int, measured: Path | None = None, tell: Tell | None = None,
    cores: Sequence[float] | None = None,
) -> Layout:  # fmt: skip
    """The layout of `network`, whose names are checked, on `hosts` hosts; `measured`: folder of an earlier run; `cores`
    of the hosts, where the scenario does not say them.

    UsageError where the network cannot be cut into so many, ScenarioError where `[cluster]` cannot hold, DataError
    where the earlier run is of another network.
    """
    timeline = network.timeline
    assert timeline is not None
    steps = max(1, -int(-scenario.duration_s // timeline.step_s))
    rules = Rules(
        scenario.cluster.min_cross_delay_s,
        _groups(network, scenario.cluster.together),
        _groups(network, scenario.cluster.apart),
    )
    rows = timeline.rows(0, steps, with_routes=False)
    near = adjacency(network, _told(rows, steps, tell), _delays_set(scenario, network))
    if measured is None:
        expected = expected_traffic(network, _instants(timeline, steps), _load(scenario, network))
        asked = demand(network, expected, program_cpu(scenario, network))
    else:
        asked = _as_measured(scenario, network, load_run(measured), steps)
    of_hosts = _cores(scenario, hosts, cores)
    try:
        made = partition(network, hosts, asked, near, rules, of_hosts)
        return Layout(made, asked, near, rules, measured is not None, of_hosts)
    except NotApart as error:
        path = ("cluster", "apart") if error.group is None else ("cluster", "apart", error.group)
        raise ScenarioError([scenario.problem(path, error.found, error.expected)]) from error
    except Unfit as error:
        raise UsageError(f"--hosts {hosts}: {error}") from error


def owner_hash(network: Network, partition: Partition) -> str:
    """The number of hosts, and a hash of which of them each node is on."""
    rows = zip(network.nodes, partition.owner.tolist(), strict=True)
    text = "\n".join(f"{node.name} {owner}" for node, owner in rows)
    return f"{partition.hosts}:{blake2b(text.encode(), digest_size=8).hexdigest()}"


def differs(scenario: Scenario, found: str) -> bool:
    """Whether an earlier run of the scenario over as many hosts had another `owner_hash`."""
    known = scenario.cluster.owner_hash
    return known != found and known.partition(":")[0] == found.partition(":")[0]


def _cores(scenario: Scenario, hosts: int, cores: Sequence[float] | None) -> tuple[float, ...] | None:
    given = scenario.cluster.cores
    if given and len(given) < hosts:
        found = f"the cores of {len(given)} out of {hosts} hosts"
        raise ScenarioError([scenario.problem(("cluster", "cores"), found, "those of each")])
    return tuple(given or cores or ())[:hosts] or None


def _load(scenario: Scenario, network: Network) -> Load | None:
    """Who sends how much, as the scenario says; None where it does not."""
    live = {network.nodes[node].name: node for node in network.live}
    found: dict[int, dict[int, float]] = {}
    for load in scenario.cluster.load:
        senders = [live[name] for name in matching(load.senders, live)]
        for receiver in (live[name] for name in matching(load.receivers, live)):
            sent = found.setdefault(receiver, {})
            sent |= {node: sent.get(node, 0.0) + load.packets for node in senders if node != receiver}
    return found if scenario.cluster.load else None


def _as_measured(scenario: Scenario, network: Network, run: Run, steps: int) -> Demand:
    """The demand of the packets of an earlier run. The engine takes as much in all as it did there."""
    asked = demand(network, measured_traffic(network, run, steps), program_cpu(scenario, network))
    cores = run.verdict.lateness_budget.get("engine_cpu_share") if run.verdict is not None else None
    return asked._replace(engine=asked.engine * cores / asked.engine.sum()) if cores else asked


def program_cpu(scenario: Scenario, network: Network) -> Floats:
    """Cores that programs are expected to take on each node."""
    cpu = np.zeros(len(network.nodes))
    live = {network.nodes[node].name: node for node in network.live}
    for program in scenario.programs:
        cpu[[live[name] for name in matching(program.nodes, live)]] += scenario.cluster.cpu_of(program)
    return cpu


def measured_traffic(network: Network, run: Run, steps: int) -> Traffic:
    """The packets that link ends carried in the first `steps` of an earlier run, as means over them. DataError where it
    has other ends, or carried nothing."""
    import polars as pl

    timeline = network.timeline
    assert timeline is not None
    number = {network.end_name(end): end for end in range(2 * len(network.links))}
    unknown = sorted(set(run.links["end"].unique()) - number.keys())
    if unknown:
        raise DataError(f"--from {run.path}: link end {unknown[0]}; expected a run of this scenario's network")
    middle_s = pl.col("t_s") - pl.col("interval_s") / 2
    table = run.links.select(
        (middle_s / timeline.step_s).floor().clip(0).alias("step"),
        pl.col("end").replace_strict(number, return_dtype=pl.Int32),
        "sent_packets",
    ).filter(pl.col("step") < steps)
    by_step = {int(step): part for (step,), part in table.partition_by("step", as_dict=True).items()}
    if not by_step:
        raise DataError(f"--from {run.path}: no packets in the time of this scenario; expected a run that carried some")

    def instants() -> Iterator[tuple[Ints, Floats]]:
        for row in timeline.rows(0, max(by_step) + 1, with_routes=False):
            packets = np.zeros(len(row.peer))
            part = by_step.get(row.step)
            if part is not None:
                np.add.at(packets, part["end"].to_numpy(), part["sent_packets"].to_numpy() / timeline.step_s)
            yield row.peer, packets

    return mean_traffic(len(network.nodes), instants())


def _told(rows: Iterator[ScheduleRow], steps: int, tell: Tell | None) -> Iterator[ScheduleRow]:
    for row in rows:
        if tell is not None:
            tell("delays: steps", row.step, steps)
        yield row


def _instants(timeline: Timeline, steps: int) -> Iterator[ScheduleRow]:
    """Rows of INSTANTS steps spread over the run, without those in which nothing differs from the one before."""
    before: ScheduleRow | None = None
    for step in np.unique(np.linspace(0, steps - 1, min(INSTANTS, steps)).astype(int)).tolist():
        row = next(iter(timeline.rows(step, 1, with_routes=False)))
        columns = ("delay_start_s", "up", "peer")
        if before is None or not all(np.array_equal(getattr(row, name), getattr(before, name)) for name in columns):
            yield next(iter(timeline.rows(step, 1)))
        before = row


def _groups(network: Network, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[int, ...], ...]:
    names = [node.name for node in network.nodes]
    return tuple(tuple(node for node, name in enumerate(names) if matches(globs, name)) for globs in groups)


def _delays_set(scenario: Scenario, network: Network) -> Mapping[int, float]:
    """The shortest delay that the scenario's actions give to link ends."""
    shortest: dict[int, float] = {}
    for action in scenario.actions:
        if action.delay_s is not None and action.links:
            for end in range(2 * len(network.links)):
                if any(matches(action.links, name) for name in network.end_names(end)):
                    shortest[end] = min(shortest.get(end, np.inf), action.delay_s)
    return shortest
