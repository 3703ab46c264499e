"""Which of two networks of a run a node belongs to, by its name: that of xRoute, or the baseline beside it.

Invariant: a node of a baseline has the name of the other network's node behind the baseline's own ("hub-relayer-1").
"""

from __future__ import annotations

import re

__all__ = ["side_of"]

_BESIDE = re.compile(r"([a-z]+)-(?:[a-z]-0|relayer-[0-9]+)")


def side_of(node: str) -> str:
    """The baseline's name; "" for every other node."""
    match = _BESIDE.fullmatch(node)
    return match[1] if match else ""
