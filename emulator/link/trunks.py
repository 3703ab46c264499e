"""A network split over hosts, as one of them sees it: whose each node is, and the trunks to the others.

The engine plays the sending halves of its own nodes' link ends and the receiving halves of what comes to them; a packet
that leaves for a node of another host goes over the trunk to it, with the instant at which it is due. Invariant: both
ends of a trunk have the same split, the same network, rows and seed, and cookies that the run's secret gives.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from emulator.model.network import Ints

LARGEST_DATAGRAM = 8972  # what a path with an MTU of 9,000 bytes carries in one piece
USUAL_DATAGRAM = 1472  # and with one of 1,500 bytes
LEAST_DATAGRAM = 1232  # what any path carries that carries IPv6
IP_HEADERS = 28  # IPv4 and UDP: an MTU less them is the largest datagram


class Trunk(NamedTuple):
    """The way to one other host. `fd` is a UDP socket connected to that host's one; -1: a trunk in memory, for tests.
    `datagram_bytes` (1,232 to 8,972, the same on both hosts) is the largest size that is tried before play, and in
    memory the one that is sent."""

    fd: int
    cookie_sent: int
    cookie_expected: int
    datagram_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """The split: the number of this host, that of each node's host (0 to 63), and a trunk to every other host."""

    own: int
    of_node: Ints
    trunks: Mapping[int, Trunk]  # by host


def cookie(secret: bytes, sender: int, receiver: int) -> int:
    """What every datagram from one host to another carries, so that strangers and earlier runs are not taken for it."""
    said = f"trunk {sender} {receiver}".encode()
    return int.from_bytes(hmac.digest(secret, said, "sha256")[:8], "little")


def trunk(secret: bytes, own: int, peer: int, fd: int = -1, datagram_bytes: int | None = None) -> Trunk:
    """The trunk of host `own` to `peer` in the run with this secret."""
    most = datagram_bytes or (USUAL_DATAGRAM if fd < 0 else LARGEST_DATAGRAM)
    return Trunk(fd, cookie(secret, own, peer), cookie(secret, peer, own), most)
