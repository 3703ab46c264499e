"""The plug of a port: what makes its interface show carrier or none, so that programs see a link go and come.

Invariant: when `set` returns, the node's kernel says so (IFF_RUNNING, routes marked `linkdown`) and acts so: what is
sent without carrier is dropped and counted as tx_dropped. By itself Linux announces a lost carrier up to a second late
(net/core/link_watch.c handles one such event a second); asking for the link state by ethtool makes it do so at once.
Needs Linux 5.0.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from fcntl import ioctl

from emulator.fabric.kernel import syscalls

TUNGETIFF, TUNSETCARRIER, TUNGETDEVNETNS = 0x800454D2, 0x400454E2, 0x54E3
SIOCETHTOOL, ETHTOOL_GLINK = 0x8946, 0x0A


class CarrierDevice:
    """Carrier of the TUN or TAP device behind `fd`, which stays its owner's. Raises OSError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._name = bytes(ioctl(fd, TUNGETIFF, bytes(40)))[:16]
        netns = ioctl(fd, TUNGETDEVNETNS)
        try:
            with syscalls.inside(netns):
                self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        finally:
            os.close(netns)
        self._question = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_GLINK, 0), 8)
        self._request = struct.pack("=16sQ16x", self._name, ctypes.addressof(self._question))

    def set(self, up: bool) -> None:
        """Show carrier, or none. Takes 50-200 µs."""
        ioctl(self._fd, TUNSETCARRIER, struct.pack("=i", up))
        ioctl(self._socket.fileno(), SIOCETHTOOL, self._request)

    def close(self) -> None:
        self._socket.close()
