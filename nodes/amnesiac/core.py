"""The rule of one node: what was heard in a round says to whom the message goes in the next one.

Invariant: there is no state. Both functions are pure, which is what "amnesiac" means; a node that kept anything from
one round to the next would be another algorithm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

Name = TypeVar("Name")


def first(neighbours: Iterable[Name]) -> list[Name]:
    """To whom a source sends in round 1: to every neighbour."""
    return list(neighbours)


def following(neighbours: Iterable[Name], heard: Collection[Name]) -> list[Name]:
    """To whom a node sends in the round after one in which it heard the message from `heard`.

    To all neighbours that it did not hear it from, and to nobody where it heard nothing. Copies of the message from one
    neighbour in one round count once. Hussak and Trehan, "On the termination of a flooding process" (PODC 2019).
    """
    if not heard:
        return []
    return [name for name in neighbours if name not in heard]
