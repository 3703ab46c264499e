"""The one rule on merged segments: when TCP segments may cross the relay in one piece, and how large that may be.

Invariant: merging never changes what a link does. Where an effect looks at single packets, or a packet can be lost, or
the slowest link needs more than about a millisecond for the piece, segments stay single.
"""

from __future__ import annotations

from math import inf, isfinite

from emulator.network import Network, Row

WHOLE = 65536  # the kernel's own bound on a merged segment
PIECE_S = 1e-3  # what the slowest link may take to send a merged segment
LEAST = 2 * 1514  # below two full packets there is nothing to merge


def merged_bytes(network: Network, first: Row | None = None) -> int:
    """Bytes that a merged segment may have in this network; 0: segments must not be merged.

    `first` is the first row of the network's timeline, which speaks for the ends that have no knots of their own.
    """
    slowest_bps = inf
    for end in range(2 * len(network.links)):
        spec = network.end_spec(end)
        if spec.effects.per_packet:
            return 0
        if spec.knots is not None:
            rates, losses = spec.knots.rate_bps, spec.knots.loss
        elif first is not None:
            rates, losses = first.rate_bps[end : end + 1], first.loss[end : end + 1]
        else:
            return 0  # nothing is known of this end
        if losses.any():
            return 0
        served = rates[rates > 0]
        if len(served):
            slowest_bps = min(slowest_bps, float(served.min()))
        queue = min(spec.effects.queue_bytes, spec.effects.queue_packets * 1514)
        if queue < 2 * WHOLE and spec.effects.queue_packets < 64:  # a short queue counts its packets one by one
            return 0
    if not isfinite(slowest_bps):
        return WHOLE
    size = int(slowest_bps * PIECE_S / 8)
    return min(size, WHOLE) if size >= LEAST else 0
