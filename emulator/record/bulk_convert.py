"""Converts stretches of captured packets, of one link end and one size, as arrays, checksums included.

A flood of datagrams is converted some ten times as fast as one by one, so that a capture of it does not take the core
that the sender needs. Invariant: what comes out is what `CaptureConverter` makes of the packets one by one.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emulator.link.packet import NEEDS_CSUM, VIRTIO, virtio

MANY = 16  # packets alike from which it pays

Rows = NDArray[np.uint8]  # a packet a row


def stretches(*columns: array[int]) -> list[tuple[int, int, bool]]:
    """Cut columns of one length into stretches in order: begin, end, whether there are MANY and all of them equal."""
    count = len(columns[0])
    if count < MANY:
        return [(0, count, False)]
    same = np.ones(count - 1, bool)
    for column in columns:
        values = np.frombuffer(column, np.uint32)
        same &= values[1:] == values[:-1]
    found, done = [], 0
    for begin, end in pairwise([0, *(np.flatnonzero(~same) + 1).tolist(), count]):
        if end - begin >= MANY:
            if done < begin:
                found.append((done, begin, False))
            found.append((begin, end, True))
            done = end
    if done < count:
        found.append((done, count, False))
    return found


def packets(body: memoryview, count: int, whole: bool) -> Rows | None:
    """`count` packets of one size without their virtio headers, checksums completed where packets are `whole`; None
    where those headers differ."""
    rows = np.frombuffer(body, np.uint8).reshape(count, -1)
    size = rows.shape[1]
    if size < VIRTIO or (rows[:, :VIRTIO] != rows[0, :VIRTIO]).any():
        return None
    flags, gso, _, _, start, offset = virtio.unpack_from(body)
    bare = rows[:, VIRTIO:]
    at = start + offset
    if not whole or not flags & NEEDS_CSUM or gso or VIRTIO + at + 2 > size:
        return bare
    words = np.zeros((count, (max(size - VIRTIO - start, 0) + 1) // 2), ">u2")
    words.view(np.uint8)[:, : size - VIRTIO - start] = bare[:, start:]
    total = words.sum(axis=1, dtype=np.uint64)
    check = (65535 - total % 65535) % 65535  # of 0 and 65535, which are the same, the one that UDP sends
    bare = bare.copy()
    bare[:, at : at + 2] = np.where(check == 0, 65535, check).astype(">u2")[:, None].view(np.uint8)
    return bare
