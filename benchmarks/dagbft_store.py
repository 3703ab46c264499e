"""What a commit costs in the stores that a validator could keep its records in: prints one line a store.

python benchmarks/dagbft_store.py [FOLDER]     folder on the file system to be measured; a temporary one by default

A commit is what a primary keeps at once: 10 records of 1,000 bytes under random keys. "disk" survives the loss of power
(fsync, or what the store calls so), "process" the death of the process. RocksDB is left out where rocksdict is not
installed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from emulator.sdk.disk import Record
from emulator.sdk.store import Store

COMMITS, RECORDS, VALUE = 300, 10, os.urandom(1000)
Apply = Callable[[list[tuple[bytes, bytes]]], None]


def lmdb_(folder: Path, sync: bool) -> Apply:
    store = Store(folder, ["table"], sync=sync)
    return lambda rows: store.apply([Record("table", key, value) for key, value in rows])


def sqlite(folder: Path, sync: bool) -> Apply:
    folder.mkdir()
    database = sqlite3.connect(folder / "database")
    database.execute("pragma journal_mode=wal")
    database.execute(f"pragma synchronous={'full' if sync else 'off'}")
    database.execute("create table rows (key blob primary key, value blob) without rowid")

    def apply(rows: list[tuple[bytes, bytes]]) -> None:
        database.executemany("insert or replace into rows values (?, ?)", rows)
        database.commit()

    return apply


def rocksdb(folder: Path, sync: bool) -> Apply:
    import rocksdict

    database = rocksdict.Rdict(str(folder))
    options = rocksdict.WriteOptions()
    options.sync = sync

    def apply(rows: list[tuple[bytes, bytes]]) -> None:
        batch = rocksdict.WriteBatch()
        for key, value in rows:
            batch.put(key, value)
        database.write(batch, options)

    return apply


def own_log(folder: Path, sync: bool) -> Apply:
    """The least that could be done: append, and nothing can be found or deleted."""
    folder.mkdir()
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def apply(rows: list[tuple[bytes, bytes]]) -> None:
        os.write(log, b"".join(key + value for key, value in rows))
        if sync:
            os.fdatasync(log)

    return apply


def commits_s(apply: Apply) -> Iterator[float]:
    for _ in range(COMMITS):
        rows = [(os.urandom(32), VALUE) for _ in range(RECORDS)]
        began_s = time.perf_counter()
        apply(rows)
        yield time.perf_counter() - began_s


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for name, make in (("LMDB", lmdb_), ("SQLite", sqlite), ("RocksDB", rocksdb), ("append-only log", own_log)):
            for sync in (True, False):
                try:
                    apply = make(Path(folder) / f"{name}-{sync}", sync)
                except ImportError:
                    print(f"{name:16} not installed")
                    break
                times_s = sorted(commits_s(apply))
                mean_s, late_s = sum(times_s) / COMMITS, times_s[COMMITS * 99 // 100]
                kind = "disk" if sync else "process"
                print(f"{name:16} {kind:8} {mean_s * 1e3:7.3f} ms a commit, p99 {late_s * 1e3:7.3f} ms")


if __name__ == "__main__":
    main()
