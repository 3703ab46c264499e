"""Ports: where packets enter and leave the relay, many at a time.

Invariant: a port gives and takes whole packets with their virtio header in front, and never blocks. Another kind of
port (an AF_PACKET ring, a socket to another relay) needs `fileno`, `receive` and `send` and nothing else.
"""

from __future__ import annotations

import os
from itertools import repeat

LARGEST = 65535 + 10 + 14  # an IP packet, its virtio header, an Ethernet header


class TunPort:
    """A TUN or TAP descriptor with IFF_VNET_HDR. `end` is where its packets are sent, -1: looked up by destination."""

    __slots__ = ("_fd", "end", "ethernet", "node")

    def __init__(self, fd: int, node: int, end: int, ethernet: bool = False) -> None:
        self._fd = fd
        self.node = node
        self.end = end
        self.ethernet = ethernet

    def fileno(self) -> int:
        return self._fd

    def receive(self, most: int) -> list[bytes]:
        """Up to `most` packets that wait in the kernel; fewer means that none is left (or the device is down)."""
        packets: list[bytes] = []
        try:  # extend keeps what it had when the iterator raises
            packets.extend(map(os.read, repeat(self._fd, most), repeat(LARGEST)))
        except OSError:  # EAGAIN: none left; EIO, EBADFD: the interface is down or gone
            pass
        return packets

    def send(self, packets: list[bytes]) -> list[int]:
        """Hand packets to the kernel in order; returns the places of those it refused."""
        fd, write = self._fd, os.write
        refused: list[int] = []
        for place, data in enumerate(packets):
            try:
                write(fd, data)
            except OSError:  # EIO: the interface is down; EINVAL: not a packet; ENOMEM
                refused.append(place)
        return refused
