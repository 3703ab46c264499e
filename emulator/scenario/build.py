"""From a Scenario to its Network: the only way, for runs, plans, replays, reports and sweeps alike.

Invariant: equal scenarios give equal networks. Every network has a timeline; a node that does not forward never lies
inside a path; least-delay routes are as old as `routing_step` allows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from emulator.model.errors import DataError, ScenarioError

if TYPE_CHECKING:
    from emulator.model.builder import NetworkBuilder
    from emulator.model.network import Network, Timeline
    from emulator.scenario.schema.models import Scenario


@dataclass(frozen=True, slots=True)
class Built:
    """A network, and the topology that it was made by."""

    network: Network
    topology: NetworkBuilder

    def describe(self, t_s: float) -> dict[str, Any]:
        """What the topology itself shows of an instant, such as who sees whom; empty where it shows nothing."""
        return self.topology.describe(t_s)


def build(scenario: Scenario) -> Built:
    """The scenario's network and topology. ScenarioError or DataError where its code or its data will not do.

    Names of programs, actions and captures are not checked: see `build_network`.
    """
    from emulator.scenario.topology import build_topology

    topology = build_topology(scenario)
    network = topology.network()
    if network.timeline is None:
        network = replace(network, timeline=_timeline(network, scenario))
    return Built(network, topology)


def build_network(scenario: Scenario) -> Network:
    """The scenario's network, with every name in the scenario checked against it. ScenarioError or DataError."""
    network = build(scenario).network
    check(scenario, network)
    return network


def check(scenario: Scenario, network: Network) -> None:
    """Checks every name in the scenario against its network. ScenarioError with all that do not fit."""
    from emulator.scenario.schema.names import check_names
    from emulator.scenario.schema.placement import check_placement
    from emulator.scenario.schema.texts import check_texts

    names = [node.name for node in network.nodes]
    ends = list(dict.fromkeys(name for end in range(2 * len(network.links)) for name in network.end_names(end)))
    problems = check_names(scenario, names, ends, live=[node.name for node in network.nodes if node.live])
    problems += [*check_texts(scenario, network), *check_placement(scenario, network)]
    if problems:
        raise ScenarioError(problems)


def _timeline(network: Network, scenario: Scenario) -> Timeline:
    """Rows of a network whose links all have tables of their own: routes, and what round trips should take."""
    import numpy as np

    from emulator.schedule.timeline import KnotTimeline

    no_transit = np.array([not node.forwards for node in network.nodes], dtype=np.bool_)
    try:
        return KnotTimeline(
            network.nodes, network.links, scenario.step_s, network.routing, no_transit, scenario.routing_step_s
        )
    except ValueError as error:
        raise DataError(str(error)) from error
