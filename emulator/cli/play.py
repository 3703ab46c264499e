"""Playing one loaded scenario from its launch to its exit code: what `skyloom run` and `skyloom sweep` share.

Invariant: a run that is refused before it began leaves no folder and raises; one that began always has its folder, and
its exit code is that of the run, whatever Ctrl-C did to it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emulator.record.folder import RunFolder
    from emulator.record.snapshot import Snapshot
    from emulator.scenario import Scenario


class Screen(Protocol):
    """Who is shown what a run does."""

    def update(self, snapshot: Snapshot) -> None:
        """Take the next snapshot, some four a second."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a run ended. `interrupted`: somebody asked it to."""

    folder: RunFolder
    exit_code: int
    interrupted: bool


def play(scenario: Scenario, runs: Path, screen: AbstractContextManager[Screen]) -> Played:
    """Run the scenario into a new folder below `runs`. Raises what `launch` raises, with nothing left behind.

    The caller must have no threads (matplotlib and polars make some), because the run is forked from it.
    """
    from emulator.errors import EXIT_INTERRUPTED, SkyloomError
    from emulator.record import RunFolder
    from emulator.runtime import launch

    folder = RunFolder.create(runs, scenario.name)
    try:
        handle = launch(scenario, folder)
    except SkyloomError:
        folder.discard()
        raise
    with screen as shown, handle.forwarding_interrupts():
        for snapshot in handle.snapshots():
            shown.update(snapshot)
    code = handle.wait()
    if not folder.has_verdict():
        code = code or EXIT_INTERRUPTED
    return Played(folder, code, handle.stops > 0)
