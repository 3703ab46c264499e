"""The one rule on merged segments: when TCP segments may cross the relay in one piece, and how large that may be.

Invariant: merging never changes what a link does. Where an effect looks at single packets, or a packet can be lost, or
the slowest link needs more than about a millisecond for the piece, segments stay single. Where a queue counts packets,
too, for a merged segment would count as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from emulator.network import EndSpec, Network, Rates, Row

WHOLE = 65536  # the kernel's own bound on a merged segment
PIECE_S = 1e-3  # what the slowest link may take to send a merged segment
QUEUE_PIECES = 8  # merged segments that a queue must have room for
LEAST = 2 * 1514  # below two full packets there is nothing to merge


def merged_bytes(
    network: Network, first: Row | Rates | None = None, rates_bps: Iterable[float] = (), losses: Iterable[float] = ()
) -> int:
    """Bytes that a merged segment may have in this network; 0: segments must not be merged.

    `first` is the first row of the network's timeline, or its constant rates: it speaks for the ends without knots.
    `rates_bps` and `losses` are what links are going to be set to while the run plays.
    """
    if any(losses) or network.fine is not None:  # finer tables are not known beforehand: they may lose packets
        return 0
    groups: dict[int, tuple[EndSpec, list[int]]] = {}  # thousands of ends share a few specs
    for number, link in enumerate(network.links):
        groups.setdefault(id(link.forward), (link.forward, []))[1].append(2 * number)
        groups.setdefault(id(link.backward), (link.backward, []))[1].append(2 * number + 1)
    least = min([WHOLE, *(rate_bps * PIECE_S / 8 for rate_bps in rates_bps if rate_bps > 0)])
    for spec, ends in groups.values():
        effects = spec.effects
        if spec.knots is not None:
            rates, losses = spec.knots.rate_bps, spec.knots.loss
        elif first is not None:
            rates, losses = first.rate_bps[ends], first.loss[ends]
        else:
            return 0  # nothing is known of these ends
        if effects.per_packet or isfinite(effects.queue_packets) or losses.any():
            return 0
        piece_s = min(PIECE_S, effects.queue_s / QUEUE_PIECES)
        slowest_bps = float(rates[rates > 0].min(initial=inf))
        least = min(least, effects.queue_bytes / QUEUE_PIECES, slowest_bps * piece_s / 8)
    return int(least) if least >= LEAST else 0
