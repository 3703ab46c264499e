"""Topology: the code behind a scenario's `topology` key, ours (`Config` and `build`) or a plain Mininet file.

Invariant: nothing here touches the kernel; a topology is a description until the fabric builds it. Mininet, which is
slow to load, is loaded only for files that use it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from emulator.model.errors import Absent, DataError, ScenarioError, SkyloomError, found_and_expected
from emulator.scenario import imports
from emulator.scenario.schema.checks import choices

if TYPE_CHECKING:
    from mininet.topo import Topo

    from emulator.model.builder import NetworkBuilder
    from emulator.model.network import BuildOptions
    from emulator.scenario.schema.models import Scenario


@dataclass(frozen=True, slots=True)
class TopologyCode:
    """A topology that can be built: with the model of its tables, or None for a Mininet class."""

    config: type[BaseModel] | None
    make: Callable[..., NetworkBuilder | Topo]  # ours: make(config, options); Mininet's: make()


def topology_code(reference: str, directory: Path) -> TopologyCode:
    """The code that `topology = "module"`, `"file.py"` or `"file.py:NAME"` refers to. LookupError where it is amiss."""
    name, separator, chosen = reference.rpartition(":")
    if not separator:
        name, chosen = reference, ""
    loaded = imports.module(name, directory)
    config = getattr(loaded, "Config", None)
    if not hasattr(loaded, "build"):
        return TopologyCode(None, _mininet_choice(loaded, name, chosen))
    if chosen:
        raise Absent(f"{reference!r} names a part of a module with `build`", f"{name!r}")
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise Absent(f"{name!r} has `build` but no `Config`", "a pydantic model `Config` beside it")
    return TopologyCode(config, loaded.build)


def _mininet_choice(loaded: ModuleType, name: str, chosen: str) -> Callable[..., Topo]:
    """The Topo of a Mininet file: an entry of its `topos`, or one of the Topo subclasses that it defines."""
    from mininet.topo import Topo

    classes = {
        key: value
        for key, value in vars(loaded).items()
        if isinstance(value, type) and issubclass(value, Topo) and value.__module__ == loaded.__name__
    }
    listed = getattr(loaded, "topos", None)
    topos: dict[str, Any] = {str(key): value for key, value in listed.items()} if isinstance(listed, dict) else {}
    known = classes | topos
    if chosen:
        if chosen not in known:
            expected = f"one of its topologies{choices(chosen, list(known))}"
            raise Absent(f"{name!r} has no topology {chosen!r}", expected)
        candidates = [known[chosen]]
    else:
        candidates = list((topos or classes).values())
    if not candidates:
        raise Absent(f"{name!r} describes no topology", "`Config` and `build`, `topos`, or a Topo subclass")
    if len(candidates) > 1:
        named = ", ".join(f"{name}:{key}" for key in (topos or classes))
        raise Absent(f"{name!r} describes {len(candidates)} topologies", f"one of {named}")
    if not callable(candidates[0]):
        raise Absent(f"a topology of {name!r} cannot be called", "a Topo subclass or a function")
    make: Callable[..., Topo] = candidates[0]
    return make


def build_topology(scenario: Scenario) -> NetworkBuilder:
    """The scenario's topology, with all its nodes and links. ScenarioError or DataError where its code or its data will
    not do."""
    from emulator.model.builder import NetworkBuilder
    from emulator.model.network import BuildOptions

    try:
        code = topology_code(scenario.topology, Path(scenario.directory))
    except LookupError as error:
        found, expected = found_and_expected(error)
        raise ScenarioError([scenario.problem(("topology",), found, expected)]) from error
    options = BuildOptions(
        materialise=scenario.materialise,
        routing=scenario.routing,
        step_s=scenario.step_s,
        routing_step_s=scenario.routing_step_s,
        seed=scenario.seed,
        duration_s=scenario.duration_s,
        directory=scenario.directory,
        skip_bad=scenario.skip_bad,
    )
    try:
        made = _made(code, scenario, options)
    except SkyloomError:
        raise
    except Exception as error:
        meant = isinstance(error, ValueError) and "; expected " in str(error)
        raise DataError(f"topology {scenario.topology}: {error if meant else imports.describe(error)}") from error
    if isinstance(made, NetworkBuilder):
        return made
    mininet = sys.modules.get("mininet.topo")
    if mininet is None or not isinstance(made, mininet.Topo):
        expected = "a mininet.topo.Topo" if code.config is None else "a NetworkBuilder"
        raise DataError(f"topology {scenario.topology}: gave {type(made).__name__}, expected {expected}")
    from emulator.fabric.mininet.convert import TopoBuilder

    return TopoBuilder(made, options)


def _made(code: TopologyCode, scenario: Scenario, options: BuildOptions) -> object:
    """What the topology's code gives. A Topo with two nodes of one name is refused, which Mininet would not do."""

    def make() -> object:
        return code.make() if code.config is None else code.make(scenario.tables, options)

    if "mininet.topo" not in sys.modules:
        made = make()
        if "mininet.topo" not in sys.modules:
            return made
    from emulator.fabric.mininet.convert import refuse_duplicates

    with refuse_duplicates():
        return make()
