"""Digests of a schedule's rows: equal digests of so many rows say that two runs had the same schedule so far.

Invariant: a digest is of all rows up to its own, without their routes, which follow from the delays.
"""

from __future__ import annotations

import zlib
from hashlib import blake2b
from math import isclose
from typing import NamedTuple

import numpy as np

from emulator.model.network import ScheduleRow, SubstepTables

_COLUMNS = ("delay_start_s", "delay_end_s", "rate_bps", "loss", "up", "peer")


class RowDigest:
    """Takes rows in order."""

    def __init__(self) -> None:
        self._crc = 0

    def add(self, row: ScheduleRow) -> str:
        """The digest of this row and all before it: CRC-32 in hexadecimal."""
        for name in _COLUMNS:
            self._add(getattr(row, name).tobytes())
        if row.substep is not None:
            for name in SubstepTables.__slots__:
                self._add(getattr(row.substep, name).tobytes())
        for each in row.handovers:
            self._add(f"{each.t_s:.9f} {each.link} {each.before} {each.after};".encode())
        return f"{self._crc:08x}"

    def _add(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)


class Joined(NamedTuple):
    """What hosts that compute the same row must agree on: who is joined to whom and by which routes, bit for bit, and
    the sum of delays, to the last digits."""

    digest: str
    delays_s: float

    def agrees(self, other: Joined) -> bool:
        return self.digest == other.digest and isclose(self.delays_s, other.delays_s, rel_tol=1e-9)


def joined(row: ScheduleRow) -> Joined:
    """That of a row: BLAKE2 of 64 bits in hexadecimal."""
    found = blake2b(digest_size=8)
    for column in (row.peer, row.up, row.next_end):
        found.update(np.ascontiguousarray(column).data)
    delays_s = row.delay_start_s[row.up]
    return Joined(found.hexdigest(), float(delays_s[np.isfinite(delays_s)].sum()))


class KeptDigests:
    """Digests by the count of rows that each covers: after 1, 2, 4, 8, … rows, and the last."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def note(self, rows: int, digest: str) -> None:
        """The digest of so many rows; each count once, in order."""
        self._last = {str(rows): digest}
        if rows & (rows - 1) == 0:
            self._kept |= self._last

    @property
    def digests(self) -> dict[str, str]:
        return self._kept | self._last
