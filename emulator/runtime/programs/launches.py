"""What a launch takes on the machine of its node: namespaces, and the fields of a Spawn.

Invariant: only what the node's machine has is asked here; what the scenario says is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.runtime.programs.launch import PROBE, Launch

if TYPE_CHECKING:
    from emulator.runtime.programs.hosts import Hosts
    from emulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a launch takes on its machine: descriptors of namespaces and control groups by kind ("net" at least), and
    fields of `messages.Spawn`."""

    namespaces: dict[str, int]
    fields: dict[str, Any]


Resolve = Callable[[Launch], Resolved]


class Launches:
    """Resolves launches on the machine of their nodes."""

    def __init__(self, scenario: Scenario, hosts: Hosts) -> None:
        self._programs = {program.name: program for program in scenario.programs}
        self._directory = scenario.directory
        self._hosts = hosts

    def resolve(self, launch: Launch) -> Resolved:
        """DataError or EmulationError where the node cannot have it."""
        match launch.kind:
            case "program":
                return self._program(launch)
            case "probe":
                return self._probe(launch)
            case _:
                return self._command(launch)

    def _command(self, launch: Launch) -> Resolved:
        namespaces = self._hosts.namespaces(launch.node, whole=True)  # first: it refuses what is no live node
        if launch.kind == "exec":
            return Resolved(namespaces, self._hosts.command(launch.node, launch.index, launch.command))
        return Resolved(namespaces, self._of_terminal(launch))

    def _program(self, launch: Launch) -> Resolved:
        program, node = self._programs[launch.program], launch.node
        fields: dict[str, Any] = {"start_s": launch.start_s}
        if program.run:
            fields |= {"run": program.run, "config": program.config_values, "directory": self._directory}
            fields |= self._hosts.surroundings(node)
        else:
            fields |= self._hosts.command(
                node, launch.index, program.command or (), program.environment, program.join, program.entry_point
            )
        return Resolved(self._hosts.namespaces(node, whole=program.run is None), fields)

    def _probe(self, launch: Launch) -> Resolved:
        program, node = self._programs[launch.program], launch.node
        ready = program.ready
        assert ready is not None

        def filled(text: str) -> str:
            return self._hosts.filled(node, launch.index, text, program.join)

        ports = [filled(ready.tcp)] if isinstance(ready.tcp, str) else []
        if isinstance(ready.tcp, int):
            ports = [f"{host}:{ready.tcp}" for host in (filled("{address}"), "127.0.0.1")]
        config = {"tcp": ports, "http": filled(ready.http or ""), "command": [*map(filled, ready.command or ())]}
        namespaces = self._hosts.namespaces(node, whole=True)
        if not ready.command:
            namespaces = {"net": namespaces["net"]}  # an image need not have what Python loads on the way
        fields = {
            "directory": self._hosts.working_folder(node), **self._hosts.surroundings(node),
            "run": PROBE, "config": config,
        }  # fmt: skip
        return Resolved(namespaces, fields)

    def _of_terminal(self, launch: Launch) -> dict[str, Any]:
        fields = {
            "environment": launch.environment, "directory": launch.directory,
            **self._hosts.surroundings(launch.node),  # of an image where the node has one
            "command": launch.command, "terminal": launch.terminal,
        }  # fmt: skip
        fields["variables"] |= {"TERM": term} if (term := launch.environment.get("TERM")) else {}
        return fields
