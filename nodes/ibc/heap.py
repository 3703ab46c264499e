"""How often a process of IBC looks for garbage that holds itself."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 50_000


def collect_rarely() -> None:
    """Look after so many new objects, not after Python's 700: the JSON of a block is tens of thousands, all of them
    alive while it is read, and each look visits those that are there."""
    gc.set_threshold(YOUNG_OBJECTS)
