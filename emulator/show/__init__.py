"""What people see: the live screen, the end-of-run summary, drawings and reports. Reads snapshots and run folders, never live objects."""

from __future__ import annotations

from emulator.show.live import LiveScreen
from emulator.show.summary import print_summary

__all__ = ["LiveScreen", "print_summary"]
