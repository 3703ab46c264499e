"""Why a route proof is refused: which check, and which hop or clause.

Invariant: checks are numbered in the order in which they are made, the cheapest first.
"""

from __future__ import annotations

from enum import IntEnum

from emulator.model.errors import Stated

__all__ = ["Check", "RouteRejected"]


class Check(IntEnum):
    """A step of verification."""

    SIZE = 1  # more bytes or hops than allowed, or bytes that are no proof
    POLICY = 2  # not the policy that the source committed to
    REPLAY = 3  # delivered before
    TIMEOUT = 4
    CLIENT = 5  # the verifying chain's own client
    HOP = 6  # what a chain of the route was to hold of the next one
    NAME = 7  # identities: of another chain, twice on the route, or not bound
    CLAUSE = 8  # what the policy requires
    KEY = 9  # what the last chain was to hold, or not to hold


class RouteRejected(Stated):
    """A proof that does not hold. `place` is the number of the hop or of the policy's clause, where there is one."""

    def __init__(self, check: Check, found: str, expected: str, place: int | None = None) -> None:
        super().__init__(found, expected)
        self.check = check
        self.place = place

    def __str__(self) -> str:
        where = "" if self.place is None else f" {self.place}"
        return f"{self.check.name.lower()}{where}: {super().__str__()}"
