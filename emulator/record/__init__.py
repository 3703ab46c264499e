"""The run folder: events, samples, links, packets and the verdict. Writers of plain values: no process, no clock."""

from __future__ import annotations

from emulator.record.folder import RunFolder
from emulator.record.load import Run, load_run

__all__ = ["Run", "RunFolder", "load_run"]
