"""Tables that grow during a run: rows are appended to a spool file of msgpack arrays, which becomes Parquet at the end.

Invariant: the spool always ends at the end of a row, also after a disk error; only a crash in the middle of a write can
leave half a row, and reading then stops there and reports the number of lost bytes. Memory is bounded for both.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from emulator.record.folder import reason

if TYPE_CHECKING:
    import polars as pl

BUFFER_BYTES = 256 * 1024
CHUNK_ROWS = 100_000  # rows in memory while converting
READ_BYTES = 1 << 20
LARGEST_ROW_BYTES = 1 << 20

Columns = dict[str, str]  # name -> "f64", "i64", "text" or "json"


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of a conversion: rows in the table, bytes of the spool that could not be read."""

    rows: int
    lost_bytes: int


class Spool:
    """Appends rows to `<folder>/<name>.spool`. Disk errors do not raise: `stopped` is the reason of the end."""

    def __init__(self, folder: Path, name: str, columns: Columns, on_warning: Callable[[str], None]) -> None:
        self.name = name
        self.columns = columns
        self.path = folder / f"{name}.spool"
        self.rows = 0
        self.lost_rows = 0
        self.stopped = ""
        self._folder = folder
        self._warn = on_warning
        self._pack = msgpack.Packer(default=_plain, autoreset=True).pack
        self._buffer = bytearray()
        self._buffered_rows = 0
        self._whole_bytes = 0
        self._fd = -1
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self._stop(error)

    def add(self, row: Sequence[object]) -> None:
        """Append one row: the values of `columns`, in that order."""
        self.rows += 1
        if self.stopped:
            self.lost_rows += 1
            return
        try:
            packed = self._pack(row)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            self._refuse(str(error))
            return
        if len(packed) > LARGEST_ROW_BYTES:
            self._refuse(f"larger than {LARGEST_ROW_BYTES} bytes")
            return
        self._buffer += packed
        self._buffered_rows += 1
        if len(self._buffer) >= BUFFER_BYTES:
            self.flush()

    def add_all(self, rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self.add(row)

    def flush(self) -> None:
        """Write the buffer to the file; call it about once a second, to bound the loss by a crash."""
        if not self._buffer or self._fd < 0:
            return
        view = memoryview(self._buffer)
        sent = 0
        try:
            while sent < len(view):
                sent += os.write(self._fd, view[sent:])
        except OSError as error:
            self._stop(error)
        else:
            self._whole_bytes += sent
            self._buffered_rows = 0
        finally:
            view.release()
            self._buffer.clear()

    def close(self) -> None:
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def finish(self) -> Converted:
        """Close, write `<name>.parquet` and remove the spool. A full disk leaves the spool and a warning."""
        self.close()
        try:
            converted = to_parquet(self.path, self._folder / f"{self.name}.parquet", self.columns)
        except OSError as error:
            self._warn(f"{self.name}.parquet is not written: {reason(error)}; its rows are in {self.path.name}")
            return Converted(0, 0)
        if self.lost_rows:
            self._warn(f"{self.name}: {self.lost_rows} of {self.rows} rows are lost")
        with suppress(OSError):
            self.path.unlink()
        return converted

    def _refuse(self, why: str) -> None:
        self.lost_rows += 1
        self._warn(f"{self.name}: a row cannot be recorded ({why})")

    def _stop(self, error: OSError) -> None:
        self.stopped = reason(error)
        self.lost_rows += self._buffered_rows
        self._warn(f"recording of {self.name} stopped: {self.stopped}; the run goes on without")
        if self._fd >= 0:
            with suppress(OSError):
                os.ftruncate(self._fd, self._whole_bytes)
            os.close(self._fd)
            self._fd = -1


class SpoolReader:
    """Iterates over the complete rows of a spool; afterwards `lost_bytes` is the length of its damaged end."""

    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._width = width
        self.lost_bytes = 0

    def __iter__(self) -> Iterator[list[Any]]:
        size = self._path.stat().st_size
        good = 0
        with open(self._path, "rb") as file:
            unpacker = msgpack.Unpacker(
                file, read_size=READ_BYTES, max_buffer_size=16 * READ_BYTES, strict_map_key=False,
                unicode_errors="replace",
            )  # fmt: skip
            while good < size:
                try:
                    row = unpacker.unpack()
                except (msgpack.UnpackException, ValueError, RecursionError):
                    break
                if not isinstance(row, list) or len(row) != self._width:
                    break
                good = unpacker.tell()
                yield row
        self.lost_bytes = max(0, size - good)


def read_frame(spool: Path, columns: Columns) -> tuple[pl.DataFrame, int]:
    """The rows of a spool as one table in memory, and the lost bytes: for a crashed or a live run."""
    import polars as pl

    reader = SpoolReader(spool, len(columns))
    frames = [_frame(chunk, columns) for chunk in _chunks(iter(reader))]
    return (pl.concat(frames) if frames else _frame([], columns)), reader.lost_bytes


def to_parquet(spool: Path, parquet: Path, columns: Columns) -> Converted:
    """Convert a spool in chunks. A missing spool gives an empty table. Raises OSError if the disk is full."""
    import polars as pl

    rows = 0
    parts: list[Path] = []
    reader = SpoolReader(spool, len(columns))
    partial = parquet.with_name(f".{parquet.name}")
    try:
        for chunk in _chunks(iter(reader) if spool.exists() else iter(())):
            rows += len(chunk)
            parts.append(parquet.with_name(f".{parquet.name}.{len(parts)}"))
            _write(_frame(chunk, columns), parts[-1])
        if len(parts) == 1:
            parts.pop().replace(partial)
        elif parts:
            pl.scan_parquet(parts).sink_parquet(partial, compression="zstd", maintain_order=True)
        else:
            _write(_frame([], columns), partial)
        partial.replace(parquet)
    except pl.exceptions.PolarsError as error:
        raise OSError(str(error)) from None
    finally:
        for path in (*parts, partial):
            with suppress(OSError):
                path.unlink()
    return Converted(rows, reader.lost_bytes)


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd")


def _chunks(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    chunk: list[list[Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) >= CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def empty(columns: Columns) -> pl.DataFrame:
    """A table without rows."""
    return _frame([], columns)


def _frame(rows: list[list[Any]], columns: Columns) -> pl.DataFrame:
    import polars as pl

    convert: dict[str, tuple[Any, Callable[[object], object]]] = {
        "f64": (pl.Float64, _number),
        "i64": (pl.Int64, _whole),
        "text": (pl.String, _text),
        "json": (pl.String, to_json),
    }
    series = []
    for index, (name, kind) in enumerate(columns.items()):
        dtype, value_of = convert[kind]
        series.append(pl.Series(name, [value_of(row[index]) for row in rows], dtype=dtype))
    return pl.DataFrame(series)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def to_json(value: object) -> str:
    """`value` as compact, valid JSON: bytes as hex, NaN and infinities as null, anything else unknown as its text."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def plain(value: object) -> Any:
    """`value` in types of JSON; numpy numbers and arrays become numbers and lists."""
    if isinstance(value, dict):
        return {str(_plain(key) if isinstance(key, bytes) else key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return plain(_plain(value))


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return list(value)
    return str(value)
