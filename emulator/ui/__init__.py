"""What people see while a run plays: the live screen.

Invariant: it reads snapshots and folders of runs and sweeps, never live objects.
"""

from __future__ import annotations

from emulator.ui.terminal import LiveScreen

__all__ = ["LiveScreen"]
