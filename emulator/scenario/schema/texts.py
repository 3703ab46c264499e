"""Texts with placeholders, against the network that the scenario builds: each must fill on each of its nodes.

Invariant: what passes here fills without an error in the run; each text has one problem at most, at its own key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from emulator.model.errors import Problem, Unfit
from emulator.model.names import matching
from emulator.scenario.placeholders import Places, fill
from emulator.scenario.schema.models import Scenario
from emulator.scenario.toml.spans import Path

if TYPE_CHECKING:
    from emulator.model.network import Network

_Text = tuple[Path, str, Sequence[str]]  # key path, text, globs of the nodes that it is filled for


def check_texts(scenario: Scenario, network: Network) -> list[Problem]:
    """What does not fill: names of nodes and globs that match nothing, addresses that a node has not."""
    places = Places(network, scenario.directory)
    found = []
    for path, text, globs in _texts(scenario):
        if "{" not in text:
            continue
        try:
            for index, node in enumerate(matching(globs, places.live)):
                fill(text, places.at(node, index))
        except Unfit as error:
            found.append(scenario.problem(path, error.found, error.expected))
    return found


def _texts(scenario: Scenario) -> Iterator[_Text]:
    for number, program in enumerate(scenario.programs):
        for word, text in enumerate(program.command or ()):
            yield ("program", number, "command", word), text, program.nodes
        for key, text in program.environment.items():
            yield ("program", number, "environment", key), text, program.nodes
        if program.ready is not None:
            for key in ("tcp", "http"):
                if isinstance(text := getattr(program.ready, key), str):
                    yield ("program", number, "ready", key), text, program.nodes
            for word, text in enumerate(program.ready.command or ()):
                yield ("program", number, "ready", "command", word), text, program.nodes
        for word, text in enumerate(program.entry_point or ()):
            yield ("program", number, "entry_point", word), text, program.nodes
    for number, file in enumerate(scenario.files):
        yield ("file", number, "content"), file.content, file.nodes
    for number, action in enumerate(scenario.actions):
        for word, text in enumerate(action.command or ()):
            yield ("action", number, "command", word), text, action.nodes or ()
