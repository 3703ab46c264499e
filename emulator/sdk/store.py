"""Store: what a program must still know after a crash, in LMDB.

Invariant: when `apply` returns, all its records are kept or, after a crash on the way, none of them is; nothing is sent
before what it rests on has been applied. Each value carries a checksum, so that a store that was damaged is noticed
when it is read: a program then refuses to start, as one that has forgotten part of what it said can break its word.

LMDB was chosen after `benchmarks/dagbft_store.py`. RocksDB's commits cost a half of LMDB's to the disk and a third of
its 0.16 ms to the kernel, but it takes 23 MB of memory and three threads in each process where LMDB takes 0.4 MB and
none, and a run has many such processes on few cores. SQLite is slower in both; a log of our own could not
find or delete anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import lmdb

from emulator.model.errors import DataError
from emulator.sdk.disk import Record

__all__ = ["Store"]

REMEDY = "Restore it from a copy, or delete the folder: the program then starts without memory."
_CHECK_BYTES = 8
_MAP_BYTES = 1 << 36  # of addresses, not of disk or memory: the file grows as it is written


class Store:
    """One process's store. With `sync` records survive the loss of power, without it the death of the process.

    Raises DataError where the folder holds something that is not a sound store; `remedy` is what it says to do. Reading
    and applying may happen in different threads.
    """

    def __init__(self, folder: Path, tables: Iterable[str], *, sync: bool = True, remedy: str = REMEDY) -> None:
        self.folder = folder
        self.sync = sync
        self._remedy = remedy
        folder.mkdir(parents=True, exist_ok=True)
        names = tuple(tables)
        try:
            self._environment = lmdb.open(
                str(folder), map_size=_MAP_BYTES, max_dbs=len(names), sync=sync, metasync=sync, max_readers=16
            )
            self._tables = {name: self._environment.open_db(name.encode()) for name in names}
        except lmdb.Error as error:
            raise self._damaged(str(error)) from None

    def apply(self, records: Iterable[Record]) -> None:
        """Keep all of these, in one transaction."""
        with self._environment.begin(write=True) as transaction:
            for table, key, value in records:
                if value is None:
                    transaction.delete(key, db=self._tables[table])
                else:
                    transaction.put(key, _check(key, value) + value, db=self._tables[table])

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value of a key. Raises DataError where it is damaged."""
        try:
            with self._environment.begin(db=self._tables[table]) as transaction:
                found = transaction.get(key)
        except lmdb.Error as error:
            raise self._damaged(str(error)) from None
        return None if found is None else self._sound(table, key, found)

    def items(self, table: str, first: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys from `first` on with their values, ascending. Raises DataError where one is damaged."""
        try:
            with self._environment.begin(db=self._tables[table]) as transaction:
                cursor = transaction.cursor()
                if cursor.set_range(first):
                    for key, value in cursor:
                        yield bytes(key), self._sound(table, key, value)
        except lmdb.Error as error:
            raise self._damaged(str(error)) from None

    def _sound(self, table: str, key: bytes, found: bytes) -> bytes:
        value = bytes(found[_CHECK_BYTES:])
        if found[:_CHECK_BYTES] != _check(key, value):
            raise self._damaged(f"the checksum of {table} {bytes(key).hex()} is wrong")
        return value

    def _damaged(self, what: str) -> DataError:
        return DataError(f"the store {self.folder} is damaged: {what}. {self._remedy}")

    def close(self) -> None:
        self._environment.close()


def _check(key: bytes, value: bytes) -> bytes:
    return blake2b(value, digest_size=_CHECK_BYTES, key=bytes(key)[:64]).digest()
