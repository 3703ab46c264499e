"""Plays one loaded scenario from its launch to its exit code, for `skyloom run` and `skyloom sweep`.

Invariant: a run that is refused before it began leaves no folder and raises; one that began always has its folder, and
its exit code is that of the run, whatever Ctrl-C did to it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emulator.client.run_handle import RunHandle
    from emulator.record.folder import RunFolder
    from emulator.scenario import Scenario


class Screen(Protocol):
    """Who is shown what a run does."""

    def follow(self, handle: RunHandle, /) -> bool:
        """Show the run until it ends (False) or the user detaches from it (True)."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a run ended. `interrupted`: somebody asked it to. `detached`: it goes on without us, and has no exit code."""

    folder: RunFolder
    exit_code: int
    interrupted: bool
    detached: bool = False


def play(
    scenario: Scenario, runs: Path, screen: Screen, hosts: int | None = None, cluster: str | None = None
) -> Played:
    """Run the scenario into a new folder below `runs`, spread as `launch` says. Raises what `launch` raises, with
    nothing left behind.

    The caller must have no threads (matplotlib and polars make some), because the run is forked from it.
    """
    from emulator.client import launch
    from emulator.model.errors import EXIT_INTERRUPTED, SkyloomError
    from emulator.record import RunFolder

    folder = RunFolder.create(runs, scenario.name)
    try:
        handle = launch(scenario, folder, hosts=hosts, cluster=cluster)
    except SkyloomError:
        folder.discard()
        raise
    except KeyboardInterrupt:
        folder.discard()
        sys.stderr.write("interrupted before the run began\n")
        raise
    with handle.forwarding_interrupts():
        detached = screen.follow(handle)
    if detached:
        return Played(folder, 0, False, detached)
    code = handle.wait()
    if not folder.has_verdict():
        code = code or EXIT_INTERRUPTED
    return Played(folder, code, handle.stops > 0)
