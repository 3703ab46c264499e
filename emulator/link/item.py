"""What link ends pass on: packets on their way, where an end asks what holds, and who listens to it."""

from __future__ import annotations

from collections.abc import Callable

from emulator.schedule.knots import Segment

# time (of offer, then of arrival), packet, wire bytes, destination index (-1: not looked up), hop limit, far node
Item = tuple[float, bytes, int, int, int, int]
# what holds at an instant, the node that receives, the time until which both are known to hold, and the toll: hops
# that leaving costs (1 where the sender is a transit node, 0 where a kernel has counted the hop)
Source = Callable[[float], tuple[Segment, int, float, int]]
Tap = Callable[[float, float, int, bytes], None]  # time it left, asked arrival, EndStats cause or 0, packet
