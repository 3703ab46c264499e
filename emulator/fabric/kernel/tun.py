"""TUN and TAP devices: the ports through which the relay gets a node's packets and frames.

Invariant: every device is persistent, so closing its descriptor costs nothing and its namespace's death frees it (the
kernel needs 38 s to close 1,600 devices that are not). Packets carry a 10-byte virtio header (IFF_VNET_HDR), in both
kinds, so that merged segments and unfinished checksums can pass from one namespace to another unchanged.
"""

from __future__ import annotations

import os
import struct
from fcntl import ioctl

DEVICE = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST, TUNSETOFFLOAD, TUNSETIFINDEX = 0x400454CA, 0x400454CB, 0x400454D0, 0x400454DA
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 0x01, 0x02, 0x04
OFFLOAD = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6
FIRST_INDEX = 100  # interface numbers that we choose start here, clear of lo and of fallback tunnels


def open_port(name: str, index: int, ethernet: bool = False, offload: bool = False) -> int:
    """Create device `name` with interface number `index` in the calling thread's namespace; returns its descriptor.

    The descriptor is non-blocking. `offload` lets the kernel hand over TCP segments merged and checksums unfinished.
    Raises OSError.
    """
    fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        ioctl(fd, TUNSETIFINDEX, struct.pack("i", index))
        kind = (IFF_TAP if ethernet else IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR
        ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(), kind))
        ioctl(fd, TUNSETPERSIST, 1)
        if offload:
            ioctl(fd, TUNSETOFFLOAD, OFFLOAD)
    except OSError:
        os.close(fd)
        raise
    return fd
