"""What a core keeps and may read again: records in tables, and a disk in memory for tests and simulations.

Invariant: records that are applied together are kept together, or none of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

__all__ = ["Disk", "MemoryDisk", "Record", "RecordStore"]


class Record(NamedTuple):
    """Something to keep; a value of None deletes it."""

    table: str
    key: bytes
    value: bytes | None


class Disk(Protocol):
    """What a core may read of what it had kept."""

    def get(self, table: str, key: bytes) -> bytes | None: ...
    def items(self, table: str, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]: ...


class RecordStore(Protocol):
    """What keeps records: `store.Store` on a disk."""

    @property
    def sync(self) -> bool:
        """Whether `apply` waits for the disk."""
        ...

    def apply(self, records: Iterable[Record], /) -> None:
        """Keep all of these, or none where it raises or the process dies on the way."""
        ...

    def close(self) -> None: ...


class MemoryDisk:
    """The same without a disk, for simulations: survives the core that wrote it."""

    sync = False  # so that `durable.Durable` keeps records here, too

    def __init__(self) -> None:
        self._tables: dict[str, dict[bytes, bytes]] = {}

    def apply(self, records: Iterable[Record]) -> None:
        for table, key, value in records:
            rows = self._tables.setdefault(table, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value

    def get(self, table: str, key: bytes) -> bytes | None:
        return self._tables.get(table, {}).get(key)

    def items(self, table: str, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys from `first` on with their values, ascending."""
        rows = self._tables.get(table, {})
        for key in sorted(key for key in rows if key >= first):
            yield key, rows[key]

    def close(self) -> None:
        """Nothing to close: what is kept stays."""
