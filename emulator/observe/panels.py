"""The protocols of a run and their panels on the live screen, found by the programs of the scenario.

Invariant: a panel is code of a protocol package, which may have faults: its first error ends that panel and is shown in
its place; the run and the other panels continue.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgpack

from emulator.model.names import matching
from emulator.observe.widget_schema import check
from emulator.sdk.protocol import Panel, PanelContext, PanelView, Protocol, TrafficRecords, Widget, load, protocol_of

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.scenario import Scenario

VIEW_BYTES = 8_000  # of a panel in a snapshot
STANDARD = TrafficRecords()
EDGES = 2_000  # links between live nodes that a panel gets


@dataclass(slots=True)
class _Shown:
    protocol: Protocol
    panel: Panel | None
    failure: str = ""


class Panels:
    """One panel for each protocol that has one, fed by the records of all its programs."""

    def __init__(self, found: Sequence[tuple[Protocol, PanelContext]]) -> None:
        self._of_program: dict[str, _Shown] = {}
        self._shown: list[_Shown] = []
        self._quiet: dict[str, frozenset[str]] = {}
        self._traffic: dict[str, TrafficRecords] = {}
        for protocol, context in found:
            shown = _Shown(protocol, None)
            for program in context.configs:
                self._of_program[program] = shown
                self._quiet[program] = protocol.quiet
                self._traffic[program] = protocol.traffic
            if protocol.panel:
                self._shown.append(shown)
                try:
                    shown.panel = load(protocol.panel)(context)
                except Exception as error:
                    self._fail(shown, error)

    @staticmethod
    def none() -> Panels:
        """Panels of a run whose programs name no protocol."""
        return Panels([])

    @staticmethod
    def of(scenario: Scenario, network: Network) -> Panels:
        """The panels of a scenario's programs on this network."""
        return Panels(protocols_of(scenario, network))

    def traffic_of(self, program: str) -> TrafficRecords:
        """The names of a program's records of traffic."""
        return self._traffic.get(program, STANDARD)

    def event(self, t_s: float, node: str, program: str, kind: str, data: Mapping[str, Any]) -> bool:
        """Pass an event to its panel; returns whether its protocol leaves it out of the event log."""
        shown = self._of_program.get(program)
        if shown is None:
            return False
        if shown.panel is not None:
            try:
                shown.panel.event(t_s, node, kind, data)
            except Exception as error:
                self._fail(shown, error)
        return kind in self._quiet[program]

    def sample(self, t_s: float, node: str, program: str, name: str, value: float, key: str) -> None:
        """Feed a sample."""
        shown = self._of_program.get(program)
        if shown is not None and shown.panel is not None:
            try:
                shown.panel.sample(t_s, node, name, value, key)
            except Exception as error:
                self._fail(shown, error)

    def views(self, t_s: float) -> list[PanelView]:
        """The present views of all panels. A view that is too large loses its last widgets."""
        return [self._view(shown, t_s) for shown in self._shown]

    def _view(self, shown: _Shown, t_s: float) -> PanelView:
        widgets: list[Widget] = []
        if shown.panel is not None:
            try:
                widgets = list(shown.panel.widgets(t_s))
                for widget in widgets:
                    check(widget)
                while widgets and len(msgpack.packb(widgets)) > VIEW_BYTES:
                    widgets.pop()
            except Exception as error:
                self._fail(shown, error)
        if shown.failure:
            widgets = [{"kind": "facts", "rows": [["this panel broke", shown.failure]]}]
        return {"protocol": shown.protocol.name, "title": shown.protocol.title, "widgets": widgets}

    @staticmethod
    def _fail(shown: _Shown, error: Exception) -> None:
        traceback.print_exception(error)
        shown.panel = None
        shown.failure = f"{type(error).__name__}: {error}"[:200]


def protocols_of(scenario: Scenario, network: Network) -> list[tuple[Protocol, PanelContext]]:
    """The protocols of the scenario's programs, in the order of the programs, each with the context of its panel."""
    live = [network.nodes[number].name for number in network.live]
    named = set(live)
    edges = []
    for link in network.links:
        ends = network.nodes[link.a].name, network.nodes[link.b].name
        if not link.moving and named.issuperset(ends):
            edges.append(ends)
            if len(edges) == EDGES:
                break
    found: dict[str, tuple[Protocol, PanelContext]] = {}
    for program in scenario.programs:
        protocol = protocol_of(program.run)
        if protocol is None:
            continue
        nodes = matching(program.nodes, live)
        config = {program.name: program.config_values}
        if protocol.name not in found:
            context = PanelContext((), {}, scenario.parameters, tuple(edges), scenario.duration_s, scenario.prediction)
            found[protocol.name] = (protocol, context)
        protocol, context = found[protocol.name]
        both = tuple(dict.fromkeys([*context.nodes, *nodes]))
        found[protocol.name] = (protocol, replace(context, nodes=both, configs={**context.configs, **config}))
    return list(found.values())
