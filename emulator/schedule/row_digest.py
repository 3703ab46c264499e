"""Digests of the rows that a planner computed: equal digests of so many rows say that the schedules were equal.

Invariant: a digest is of all rows up to its own; there is one after each power of two of rows, and one after the last.
"""

from __future__ import annotations

import zlib

from emulator.model.network import ScheduleRow, SubstepTables

_COLUMNS = ("delay_start_s", "delay_end_s", "rate_bps", "loss", "up", "peer")


class RowDigests:
    """`add` each row in order; `digests` are CRC-32 in hexadecimal, by the count of rows that each covers."""

    def __init__(self) -> None:
        self._rows = 0
        self._crc = 0
        self._kept: dict[str, str] = {}

    def add(self, row: ScheduleRow) -> None:
        """The next row. Routes are left out: they follow from the delays."""
        for name in _COLUMNS:
            self._crc = zlib.crc32(getattr(row, name).tobytes(), self._crc)
        if row.substep is not None:
            for name in SubstepTables.__slots__:
                self._crc = zlib.crc32(getattr(row.substep, name).tobytes(), self._crc)
        for each in row.handovers:
            said = f"{each.t_s:.9f} {each.link} {each.before} {each.after};"
            self._crc = zlib.crc32(said.encode(), self._crc)
        self._rows += 1
        if self._rows & (self._rows - 1) == 0:
            self._kept[str(self._rows)] = f"{self._crc:08x}"

    @property
    def digests(self) -> dict[str, str]:
        return self._kept | ({str(self._rows): f"{self._crc:08x}"} if self._rows else {})
