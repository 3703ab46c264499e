"""GGUF, version 3: a file of metadata and tensors, read from bytes in memory.

Invariant: no count, length or offset of the file is used before it is compared with the bytes that are there and with
a bound, so that a hostile file costs memory in proportion to its size. Whatever does not fit is `Unfit`.
Format: gguf.md of https://github.com/ggml-org/ggml.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Absent, DataError, Unfit
from emulator.model.inputs import read_bytes
from nodes.pipeline.model.quantisation import Encoding, Floats, Octets, encoding_of

MAGIC = b"GGUF"
VERSION = 3
MOST_BYTES = 2_000_000_000  # of a file
MOST_PAIRS = 4096
MOST_TENSORS = 65_536
MOST_DIMENSIONS = 4
MOST_NAME_BYTES = 256
MOST_TEXTS = 1_000_000  # of an array: each costs Python some fifty bytes more than the file
DEFAULT_ALIGNMENT = 32

Value = int | float | bool | str | list[str] | NDArray[np.generic]

STRING, ARRAY = 8, 9
NUMBERS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8",
           12: "<f8"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as it lies in the file; `shape` has the longest stride first, as numpy has it."""

    name: str
    shape: tuple[int, ...]
    encoding: Encoding
    data: Octets

    def values(self) -> Floats:
        """All values. Unfit, with the tensor's name, where some are not finite."""
        try:
            return self.encoding.decode(self.data).reshape(self.shape)
        except Unfit as error:
            raise Unfit(f"tensor {self.name} has {error.found}", error.expected) from None


class Gguf:
    """What a file holds: `metadata` by key, `tensors` by name. Tensors are views of `data`, not copies."""

    def __init__(self, data: bytes) -> None:
        """Unfit where the bytes are no GGUF file of version 3, or where some of it is missing."""
        reader = _Reader(data)
        if reader.take(4, "the magic") != MAGIC:
            raise Unfit(f"a file that begins with {data[:4]!r}", f"{MAGIC!r}, as GGUF files do")
        version = reader.whole(4, "the version")
        if version != VERSION:
            raise Unfit(f"GGUF version {version}", f"version {VERSION}, little endian")
        tensors = reader.count("the number of tensors", MOST_TENSORS)
        pairs = reader.count("the number of metadata pairs", MOST_PAIRS)
        self.metadata: dict[str, Value] = {}
        for _ in range(pairs):
            key = reader.text("a metadata key", MOST_NAME_BYTES)
            if key in self.metadata:
                raise Unfit(f"metadata key {key!r} twice", "each key once")
            self.metadata[key] = reader.value(reader.whole(4, f"the type of {key}"), key)
        entries = [_entry(reader) for _ in range(tensors)]
        alignment = whole_of(self.metadata, "general.alignment", 1, 65_536, DEFAULT_ALIGNMENT)
        start = reader.at + -reader.at % alignment
        self.tensors: dict[str, Tensor] = {}
        for name, shape, encoding, offset in entries:
            if name in self.tensors:
                raise Unfit(f"tensor {name} twice", "each tensor once")
            size = encoding.bytes_of(math.prod(shape))
            if offset % alignment or start + offset + size > len(data):
                raise Unfit(
                    f"tensor {name} at bytes {start + offset:,} to {start + offset + size:,} of {len(data):,}",
                    f"all of it within the file, at a multiple of {alignment}; is the file truncated?",
                )
            self.tensors[name] = Tensor(name, shape, encoding, np.frombuffer(data, np.uint8, size, start + offset))

    def tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor by name. Absent without one; Unfit where it has another shape."""
        found = self.tensors.get(name)
        if found is None:
            raise Absent(f"no tensor {name}", f"one of shape {shape}")
        if found.shape != shape:
            raise Unfit(f"tensor {name} of shape {found.shape}", f"{shape}")
        return found


def _entry(reader: _Reader) -> tuple[str, tuple[int, ...], Encoding, int]:
    name = reader.text("a tensor's name", MOST_NAME_BYTES)
    dimensions = reader.whole(4, f"the dimensions of {name}")
    if not 1 <= dimensions <= MOST_DIMENSIONS:
        raise Unfit(f"tensor {name} of {dimensions} dimensions", f"1 to {MOST_DIMENSIONS}")
    shape = tuple(reader.whole(8, f"the shape of {name}") for _ in range(dimensions))[::-1]
    encoding = encoding_of(reader.whole(4, f"the encoding of {name}"))
    if not all(shape) or shape[-1] % encoding.block_values:
        raise Unfit(f"tensor {name} of shape {shape}", f"rows of whole blocks of {encoding.block_values} values")
    return name, shape, encoding, reader.whole(8, f"the offset of {name}")


def load(path: str | Path, sha256: str | None = None) -> Gguf:
    """A model's file, all of it in memory. DataError, with the path, where it cannot be read or used.

    With `sha256` (hexadecimal digits) also where the file is another one.
    """
    try:
        data = read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a GGUF file") from None
    found = hashlib.sha256(data).hexdigest() if sha256 else None
    if found != sha256:
        raise DataError(
            f"{path}: {len(data):,} bytes with SHA-256 {found}; expected {sha256}. Delete it, and it is fetched again"
        )
    try:
        return Gguf(data)
    except Unfit as error:
        raise DataError(f"{path}: {error}") from None


def number_of(
    metadata: Mapping[str, Value], key: str, least: float, most: float, default: float | None = None
) -> int | float:
    """A number of the metadata. Unfit where it is out of bounds or no number, or absent without a default."""
    found = metadata.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
        raise Unfit(f"metadata {key} is {_shown(found)}", f"a number from {least:g} to {most:g}")
    return found


def whole_of(metadata: Mapping[str, Value], key: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number of the metadata. Unfit as above."""
    found = number_of(metadata, key, least, most, default)
    if not isinstance(found, int):
        raise Unfit(f"metadata {key} is {found}", "a whole number")
    return found


def texts_of(metadata: Mapping[str, Value], key: str) -> list[str]:
    """A list of texts of the metadata. Unfit where it is absent or something else."""
    found = metadata.get(key)
    if not isinstance(found, list):
        raise Unfit(f"metadata {key} is {_shown(found)}", "a list of texts")
    return found


def _shown(found: Value | None) -> str:
    return "absent" if found is None else repr(found)[:60]


def _dtype_of(kind: int, key: str) -> str:
    if kind not in NUMBERS:
        raise Unfit(f"metadata {key} of type {kind}", "a number, a text, or an array of one of these")
    return NUMBERS[kind]


class _Reader:
    """A place in the bytes that only moves on."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def take(self, size: int, what: str) -> bytes:
        left = len(self._data) - self.at
        if size > left:
            raise Unfit(
                f"byte {self.at:,}: {what} of {size:,} bytes, {left:,} left", "the whole of it; is the file truncated?"
            )
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, kind: str, what: str) -> int | float | bool:
        found: int | float | bool = np.frombuffer(self.take(np.dtype(kind).itemsize, what), kind)[0].item()
        return found

    def whole(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little")

    def count(self, what: str, most: int) -> int:
        found = self.whole(8, what)
        if found > most:
            raise Unfit(f"byte {self.at - 8:,}: {what} is {found:,}", f"at most {most:,}")
        return found

    def text(self, what: str, most_bytes: int | None = None) -> str:
        size = self.count(f"the length of {what}", len(self._data) if most_bytes is None else most_bytes)
        begun = self.at
        try:
            return self.take(size, what).decode()
        except UnicodeDecodeError:
            raise Unfit(f"byte {begun:,}: {what} that is no UTF-8", "UTF-8") from None

    def value(self, kind: int, key: str) -> Value:
        if kind == STRING:
            return self.text(key)
        if kind != ARRAY:
            return self.number(_dtype_of(kind, key), key)
        kind = self.whole(4, f"the element type of {key}")
        if kind == STRING:
            return [self.text(key) for _ in range(self.count(f"the length of {key}", MOST_TEXTS))]
        dtype = np.dtype(_dtype_of(kind, key))
        count = self.count(f"the length of {key}", len(self._data))
        return np.frombuffer(self.take(count * dtype.itemsize, key), dtype)
