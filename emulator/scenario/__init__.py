"""Scenario: a TOML file read into typed values, or refused with every mistake in it at once.

Invariant: what `load` returns needs no further checking of types, units, keys or references inside the file; names of
nodes and links are checked when the topology is known (`Scenario.check_names`). Names below are imported on first use,
so that `skyloom list` does not pay for pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.scenario.catalogue import Bundled, bundled
    from emulator.scenario.schema.action import Action
    from emulator.scenario.schema.capture import Capture
    from emulator.scenario.schema.models import Expect, Fidelity, Rounds, Scenario
    from emulator.scenario.schema.parameters import Parameter, parameters_of
    from emulator.scenario.schema.program import Program
    from emulator.scenario.toml.loader import from_topo_file, load
    from emulator.scenario.topology import build_topology

__all__ = [
    "Action",
    "Bundled",
    "Capture",
    "Expect",
    "Fidelity",
    "Parameter",
    "Program",
    "Rounds",
    "Scenario",
    "build_topology",
    "bundled",
    "from_topo_file",
    "load",
    "parameters_of",
]

_HOMES = {
    "catalogue": ("Bundled", "bundled"),
    "toml.loader": ("from_topo_file", "load"),
    "schema.action": ("Action",),
    "schema.capture": ("Capture",),
    "schema.models": ("Expect", "Fidelity", "Rounds", "Scenario"),
    "schema.parameters": ("Parameter", "parameters_of"),
    "schema.program": ("Program",),
    "topology": ("build_topology",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
