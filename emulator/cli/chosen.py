"""Loads the scenario that `run` or `plan` is given: by name, by file, or a topology file by itself.

Invariant: every option that changes the scenario works with each of these, or is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.scenario import Scenario


def choose(
    scenario: str | None, topo: str | None, overrides: list[str], elements: Path | None, skip_bad: bool
) -> Scenario:
    """Load it. UsageError unless exactly one of `scenario` and `topo` is given; else what loading raises."""
    from emulator.model.errors import UsageError
    from emulator.scenario import from_topo_file, load

    if topo is not None and scenario is None:
        return from_topo_file(topo, overrides, elements, skip_bad)
    if scenario is not None and topo is None:
        return load(scenario, overrides, elements, skip_bad)
    raise UsageError("name one scenario (see `skyloom list`), or a Mininet topology by --topo FILE.py")
