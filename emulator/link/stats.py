"""Counters of a link end, in the order of the `stats` message, defined once for every reader.

Invariant (conservation): sent + duplicated = delivered + every drop + packets still inside the end.
"""

from __future__ import annotations

from enum import IntEnum


class EndStats(IntEnum):
    """Index of each cumulative counter in the list that a `stats` message holds for one end.

    Packets are what crosses the relay as one piece (a merged TCP segment counts once); bytes are wire bytes, with the
    headers of every segment.
    """

    SENT_PACKETS = 0  # offered to the end by its sender
    SENT_BYTES = 1
    DELIVERED_PACKETS = 2  # given to the node at the far end
    DELIVERED_BYTES = 3
    DROP_QUEUE = 4  # the queue was full
    DROP_LOSS = 5  # random loss, scheduled or in bursts
    DROP_OUTAGE = 6  # the link was down, or had no far node
    DROP_OVERLOAD = 7  # the relay held more than its memory allows, or the receiving port refused the packet
    DROP_NOROUTE = 8  # the transit node at the far end had no route for it
    DROP_TTL = 9  # its hop limit ended at the transit node at the far end
    ASKED_DELAY_SUM_S = 10  # of departed packets: propagation and jitter
    LATE_SUM_S = 11  # of packets written to a port: real minus asked time
    LATE_MAX_S = 12
    DUPLICATED = 13
    CORRUPTED = 14


DROPS = (
    EndStats.DROP_QUEUE,
    EndStats.DROP_LOSS,
    EndStats.DROP_OUTAGE,
    EndStats.DROP_OVERLOAD,
    EndStats.DROP_NOROUTE,
    EndStats.DROP_TTL,
)
