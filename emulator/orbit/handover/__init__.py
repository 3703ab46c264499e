"""Handover policies: which satellite serves which station.

A policy is a file with one function `(Sight, Held) -> wished satellite per station` and a line in POLICIES; a scenario
may choose it once a topology's table names it too (`ground.policy` in topologies/leo/config.py). `starlink.SlotDraw` is
one that is made for a run, since it needs a seed and the time of day.
"""

from __future__ import annotations

from emulator.orbit.handover.highest_elevation import highest_elevation
from emulator.orbit.handover.longest_pass import longest_pass
from emulator.orbit.handover.nearest import nearest
from emulator.orbit.handover.selection import Held, Policy, Sight, all_in_view, choose

POLICIES: dict[str, Policy] = {
    "nearest": nearest,
    "highest_elevation": highest_elevation,
    "longest_pass": longest_pass,
}

__all__ = ["POLICIES", "Held", "Policy", "Sight", "all_in_view", "choose"]
