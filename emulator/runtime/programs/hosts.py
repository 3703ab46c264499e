"""The hosts of a run: what a process finds on its node, from its environment to its working folder.

Invariant: a node's host is made once, when the first process needs it; every process of the node gets the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.record.folder import file_name, reason
from emulator.scenario.placeholders import Places, fill

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder
    from emulator.scenario import Scenario


class Hosts:
    """The hosts of one run."""

    def __init__(self, scenario: Scenario, network: Network, folder: RunFolder) -> None:
        self._scenario = scenario
        self._folder = folder
        self._places = Places(network, scenario.directory)
        self._nodes = {node.name: node for node in network.nodes}

    def variables(self, node: str) -> dict[str, str]:
        """Environment variables that every program of a node has."""
        spec = self._nodes[node]
        return {
            "SKYLOOM_NODE": node,
            "SKYLOOM_ADDRESS": spec.ipv4,
            "SKYLOOM_ADDRESS6": spec.ipv6,
            "SKYLOOM_RUN": str(self._folder.path),
            "SKYLOOM_SEED": str(self._scenario.seed),
        }

    def filled(self, node: str, index: int, text: str, join: str = ",") -> str:
        """A text with its placeholders filled in for node number `index` of those that it is for."""
        return fill(text, self._places.at(node, index), join)

    def working_folder(self, node: str) -> str:
        """The folder in which commands of a node run; it stays in the run folder."""
        name = f"nodes/{file_name(node)}"
        try:
            return str(self._folder.make_folder(name))
        except OSError as error:
            self._folder.warn(f"{name} cannot be made: {reason(error)}; commands of {node} run in /")
            return "/"

    def command(
        self,
        node: str,
        index: int,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        join: str = ",",
    ) -> dict[str, Any]:
        """Fields of Spawn for a command with placeholders, on node number `index` of those that it runs on."""
        place = self._places.at(node, index)
        program, *arguments = (fill(word, place, join) for word in words)
        variables = self.variables(node)
        variables |= {key: fill(text, place, join) for key, text in (environment or {}).items()}
        return {
            "command": (self._found(program), *arguments),
            "variables": variables,
            "directory": self.working_folder(node),
        }

    def _found(self, program: str) -> str:
        """A relative path of a program is relative to the scenario, as every path of its file is."""
        beside = Path(self._scenario.directory, program)
        return str(beside) if "/" in program else program
