"""Where the snapshots of a screen come from: a run that this command started, a run elsewhere, or a finished one.

Invariant: the screen asks, and learns from later snapshots what came of it; no call here waits for the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from emulator.observe.snapshot import Snapshot
from emulator.observe.view import View


class Source(Protocol):
    """A run as a screen needs it: RunHandle (our own), Watch (another terminal's), Replay (finished)."""

    @property
    def fd(self) -> int:
        """Descriptor that becomes readable when `receive` will not block."""

    def receive(self) -> Snapshot | None:
        """The next snapshot; None: the run has ended, and nothing more will come."""

    def view(self, view: View) -> None:
        """What is looked at from now on; snapshots to come have its rows."""

    def fault(self, action: Mapping[str, Any]) -> None:
        """Do this to the network: keys and values of `ActionRunner.perform`. What came of it is told by an event."""

    def stop(self) -> None:
        """End the run: the first time gracefully, with a verdict."""

    def detach(self) -> None:
        """Leave the run to itself."""


@runtime_checkable
class Seekable(Protocol):
    """A source of a finished run: it has a time cursor, and snapshots come when the cursor or the view moves."""

    def seek(self, delta_s: float) -> None:
        """Move the cursor by scenario seconds, no further than the ends of the run; infinities are the ends."""
