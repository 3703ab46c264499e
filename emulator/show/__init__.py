"""What people see: the live screen, the end-of-run summary, drawings and reports.

Invariant: it reads snapshots and folders of runs and sweeps, never live objects.
"""

from __future__ import annotations

from emulator.show.screen import LiveScreen
from emulator.show.summary import print_summary

__all__ = ["LiveScreen", "print_summary"]
