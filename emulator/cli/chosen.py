"""Loads the scenario that `run` or `plan` is given: by name, by file, or a topology file by itself.

Invariant: every option that changes the scenario works with each of these, or is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.model.printable import one_line

if TYPE_CHECKING:
    from emulator.scenario import Scenario


def choose(
    scenario: str | None, topo: str | None, overrides: list[str], elements: Path | None, skip_bad: bool,
    wan: str | None = None, images: Iterable[str] = (),
) -> Scenario:  # fmt: skip
    """Load it, and say what an imported file has that means nothing here. UsageError unless exactly one of `scenario`
    and `topo` is given; else what loading raises."""
    from emulator.model.errors import UsageError
    from emulator.scenario import from_topo_file, load
    from emulator.scenario.importers.options import ImportOptions

    if topo is not None and scenario is None:
        if wan is not None or images:
            raise UsageError("--wan and --image go with docker-compose and containerlab files only, not with --topo")
        return from_topo_file(topo, overrides, elements, skip_bad)
    if scenario is not None and topo is None:
        loaded = load(scenario, overrides, elements, skip_bad, ImportOptions.of(wan, images))
        for note in loaded.notes:
            sys.stderr.write(f"note: {one_line(note)}\n")
        return loaded
    raise UsageError("name one scenario (see `skyloom list`), or a Mininet topology by --topo FILE.py")
