"""Digests of a schedule's rows: equal digests of so many rows say that two runs had the same schedule so far.

Invariant: a digest is of all rows up to its own, without their routes, which follow from the delays.
"""

from __future__ import annotations

import zlib

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
