"""What link ends pass on: packets on their way, where an end asks what holds, and what they tell of their packets."""

from __future__ import annotations

from collections.abc import Callable

from emulator.schedule.knots import Segment

# time (of offer, then of arrival), packet, wire bytes, destination index (-1: not looked up), hop limit, far node
Item = tuple[float, bytes, int, int, int, int]
# what holds at an instant, the node that receives, the time until which both are known to hold, and the toll: hops
# that leaving costs (1 where the sender is a transit node, 0 where a kernel has counted the hop)
Source = Callable[[float], tuple[Segment, int, float, int]]


class Log:
    """What link ends let go of, one after another, in lists that only grow until someone takes all of it.

    `rows` begin with the time at which a packet left (or was dropped) and the packet; an Item will do. `marks` has,
    for each of them, link end · 256 + EndStats index of the drop's cause (0: it was sent).
    """

    __slots__ = ("marks", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[float, bytes, *tuple[int, ...]]] = []
        self.marks: list[int] = []
