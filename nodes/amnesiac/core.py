"""The rule of one node: the senders of a round determine the receivers of the next one.

Invariant: there is no state. Both functions are pure; that is the meaning of "amnesiac".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

Name = TypeVar("Name")


def first(neighbours: Iterable[Name]) -> list[Name]:
    """The receivers of a source in round 1: every neighbour."""
    return list(neighbours)


def following(neighbours: Iterable[Name], senders: Collection[Name]) -> list[Name]:
    """The receivers of a node in the round after it received the message from the neighbours `senders`.

    All neighbours but the senders; none if it received nothing. Copies of the message from one neighbour in one round
    count once. Hussak and Trehan, "On the termination of a flooding process" (PODC 2019).
    """
    if not senders:
        return []
    return [name for name in neighbours if name not in senders]
