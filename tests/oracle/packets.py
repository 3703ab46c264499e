"""Packets as the models pass them on, and what a capture sees of them."""

from __future__ import annotations

from typing import NamedTuple

from oracle.packet_bytes import VIRTIO, pieces

Data = bytes | tuple[bytes, ...]  # a single packet, or the segments of a merged one


class Packet(NamedTuple):
    at_s: float  # offered; of a packet in flight: due
    data: Data
    size: int  # bytes on the wire
    dest: int = -1  # place in the route table; -1: nobody has looked
    hops: int = 0  # hop limit, once somebody has looked
    node: int = -1  # that receives it


class Departure(NamedTuple):
    """A packet that left, or was dropped for `cause` (an EndStats index)."""

    t_s: float
    data: Data
    cause: int = 0


def segments(data: Data, ip: int = VIRTIO) -> Data:
    """A packet in the form in which tests compare it: a merged one by its segments."""
    if isinstance(data, tuple) or len(data) < VIRTIO or not data[1]:
        return data
    parts = pieces(data, ip)
    return tuple(parts) if len(parts) > 1 else parts[0]


def joined(parts: tuple[bytes, ...]) -> Data:
    """Segments as one packet again."""
    return parts if len(parts) > 1 else parts[0]
