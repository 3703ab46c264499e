"""What `f` offers to do to a node or a link: the choices of the table of verbs, each with the action that it asks for.

Invariant: an action goes the way of every planned one, and leaves its event.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from emulator.model.verbs import VERBS, Kind


class Choice(NamedTuple):
    """A line of the list."""

    words: str  # "set delay 200 ms"
    meaning: str
    action: dict[str, Any]


def choices(kind: Kind, name: str) -> list[Choice]:
    """What can be done to the node or link end of that name."""
    return [
        Choice(offered.words, offered.meaning, {**verb.on(kind, name), **(offered.values or {})})
        for verb in VERBS.values()
        for offered in verb.choices(kind)
    ]
