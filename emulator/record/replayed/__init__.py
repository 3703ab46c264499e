"""What a replay tells: which decisions of two runs of one scenario were equal, wherever they can be compared.

Invariant: a decision counts as compared only where the emulator had to decide the same in both runs: the schedule and
what follows from it, and what is drawn for the n-th packet of a link end, whose values hold for the whole run. What
real time decides (when a packet arrives, what a full queue drops) is never judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.record.replayed.captured import captured
from emulator.record.replayed.constants import Constants
from emulator.record.replayed.drawn import drawn
from emulator.record.replayed.finding import Finding
from emulator.record.replayed.told import told

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.load import Run

__all__ = ["Finding", "findings"]


def findings(first: Run, second: Run, network: Network, seed: int) -> list[Finding]:
    """What can be said of two runs of the scenario that gives `network`. DataError where one cannot be read."""
    duration_s = max(run.verdict.duration_s if run.verdict else 0.0 for run in (first, second))
    constants = Constants(network, duration_s, (first, second))
    return [
        *told(first, second),
        *drawn(first, second, network, seed, constants),
        *captured(first, second, network, constants),
    ]
