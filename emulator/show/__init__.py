"""What people see: the live screen and the end-of-run summary. Reads snapshots and run folders, never live objects."""

from __future__ import annotations

from emulator.show.live import LiveScreen

__all__ = ["LiveScreen"]
