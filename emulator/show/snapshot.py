"""The snapshot under its first name; it lives in `emulator.record.snapshot`, where the runtime may import it from."""

from __future__ import annotations

from emulator.record.snapshot import PHASES, EventRow, FlowRow, HandoverRow, LinkRow, Phase, ProbeRow, Snapshot

__all__ = ["PHASES", "EventRow", "FlowRow", "HandoverRow", "LinkRow", "Phase", "ProbeRow", "Snapshot"]
