"""Codecs of activations: rows of float32, one a token, to bytes and back.

Invariant: `decode` gives finite rows of the right shape for any bytes, or refuses them as `Unfit`. Rows to encode are
finite. Each is encoded by itself, so that it does not matter how a sequence is cut into chunks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from nodes.pipeline.codecs.packing import Octets, packed, unpacked
from nodes.pipeline.model.quantisation import Floats

MOST_TOKENS = 8192  # of a chunk
HEADER = struct.Struct("<HH")  # tokens, and how many of their rows are exact
GROUP = 32  # coefficients that share a scale
_HALF = np.dtype("<f2")
_MOST = float(np.finfo(_HALF).max)
_INDEX = np.dtype("<u2")


class Codec(Protocol):
    """What a stage asks of a codec."""

    @property
    def name(self) -> str: ...

    @property
    def bytes_per_token(self) -> int:
        """Of an ordinary row; the header, and exact rows, come on top."""

    def encode(self, rows: Floats) -> bytes: ...

    def decode(self, data: bytes) -> Floats:
        """Unfit for bytes that are no encoded rows."""


@dataclass(frozen=True, slots=True)
class HalfCodec:
    """Every value as fp16: what others are compared with."""

    hidden: int
    name: str = "fp16"

    @property
    def bytes_per_token(self) -> int:
        return self.hidden * _HALF.itemsize

    def encode(self, rows: Floats) -> bytes:
        return HEADER.pack(len(rows), len(rows)) + _halves(rows)

    def decode(self, data: bytes) -> Floats:
        tokens, exact = _header(data)
        _check_size(data, HEADER.size + tokens * self.bytes_per_token)
        if exact != tokens:
            raise Unfit(f"{exact} of {tokens} rows exact", "all of them")
        return _from_halves(data[HEADER.size :], tokens, self.hidden)


@dataclass(frozen=True, slots=True, eq=False)
class TransformCodec:
    """Rows less their mean, turned by an orthogonal matrix, and quantised in groups of 32 coefficients.

    `bits` has one entry a group: 0 sends nothing, and the group decodes as zeros. A scale of a group is a power of
    2**(1/8), in one byte. Channels in `outliers` go as fp16, aside. Rows with a value beyond `exact_peak` go as fp16
    altogether: those of attention sinks, whose norm is a hundred times that of the others.
    """

    name: str
    mean: Floats  # (hidden,)
    basis: Floats | None  # (hidden, hidden), columns orthonormal; None: coefficients are the values themselves
    bits: tuple[int, ...]
    exact_peak: float
    outliers: NDArray[np.intp]

    @property
    def hidden(self) -> int:
        return len(self.mean)

    @property
    def bytes_per_token(self) -> int:
        scales = sum(bits > 0 for bits in self.bits)
        return len(self.outliers) * _HALF.itemsize + scales + sum(self.bits) * GROUP // 8

    def encode(self, rows: Floats) -> bytes:
        exact: NDArray[np.bool_] = np.abs(rows).max(axis=1) > self.exact_peak
        (indices,) = exact.nonzero()
        ordinary = rows[~exact] - self.mean
        columns = [np.ascontiguousarray(ordinary[:, self.outliers], _HALF).view(np.uint8)]
        ordinary[:, self.outliers] = 0
        coefficients = ordinary if self.basis is None else ordinary @ self.basis
        groups = coefficients.reshape(len(ordinary), len(self.bits), GROUP)
        scales = _scale_codes(np.abs(groups).max(axis=2))
        columns.append(scales[:, [bits > 0 for bits in self.bits]])
        for bits, run in _runs(self.bits):
            half = 1 << bits - 1
            steps = groups[:, run] * (half / _scales(scales[:, run]))[:, :, None]
            codes = np.floor(steps).clip(-half, half - 1) + half
            columns.append(packed(codes.astype(np.uint8).reshape(len(ordinary), codes.shape[1] * GROUP), bits))
        head = HEADER.pack(len(rows), len(indices)) + indices.astype(_INDEX).tobytes() + _halves(rows[exact])
        return head + np.concatenate(columns, axis=1).tobytes()

    def decode(self, data: bytes) -> Floats:
        tokens, exact = _header(data)
        ordinary = tokens - exact
        start = HEADER.size + exact * (_INDEX.itemsize + self.hidden * _HALF.itemsize)
        _check_size(data, start + ordinary * self.bytes_per_token)
        indices = np.frombuffer(data, _INDEX, exact, HEADER.size)
        if exact and (indices[-1] >= tokens or (np.diff(indices.astype(int)) <= 0).any()):
            raise Unfit(f"exact rows {indices[:8].tolist()}", f"ascending numbers below {tokens}")
        rows = np.empty((tokens, self.hidden), np.float32)
        at = np.zeros(tokens, bool)
        at[indices] = True
        rows[at] = _from_halves(data[HEADER.size + indices.nbytes : start], exact, self.hidden)
        rows[~at] = self._ordinary(np.frombuffer(data, np.uint8, offset=start).reshape(ordinary, self.bytes_per_token))
        return rows

    def _ordinary(self, columns: Octets) -> Floats:
        aside = len(self.outliers) * _HALF.itemsize
        sent = [bits > 0 for bits in self.bits]
        scales = np.zeros((len(columns), len(self.bits)), np.uint8)
        scales[:, sent] = columns[:, aside : aside + sum(sent)]
        groups = np.zeros((len(columns), len(self.bits), GROUP), np.float32)
        begun = aside + sum(sent)
        for bits, run in _runs(self.bits):
            half = 1 << bits - 1
            width = (run.stop - run.start) * bits * GROUP // 8
            codes = unpacked(columns[:, begun : begun + width], bits).reshape(len(columns), run.stop - run.start, GROUP)
            groups[:, run] = (codes - np.float32(half - 0.5)) * (_scales(scales[:, run]) / half)[:, :, None]
            begun += width
        coefficients = groups.reshape(len(columns), self.hidden)
        rows = coefficients if self.basis is None else coefficients @ self.basis.T
        rows[:, self.outliers] = _from_halves(columns[:, :aside].tobytes(), len(columns), len(self.outliers))
        return rows + self.mean


def _runs(bits: tuple[int, ...]) -> list[tuple[int, slice]]:
    """Neighbouring groups of equally many bits, without those of none."""
    runs = []
    begun = 0
    for value, group in groupby(bits):
        ended = begun + len(list(group))
        if value:
            runs.append((value, slice(begun, ended)))
        begun = ended
    return runs


def _scale_codes(peaks: Floats) -> Octets:
    """The least code whose scale is not below the peak; 0 where the peak is."""
    with np.errstate(divide="ignore"):
        codes: Floats = np.ceil(np.log2(peaks) * 8 + 128)
    return codes.clip(0, 255).astype(np.uint8)


def _scales(codes: Octets) -> Floats:
    return np.exp2((codes.astype(np.float32) - 128) / 8)


def _halves(rows: Floats) -> bytes:
    return rows.clip(-_MOST, _MOST).astype(_HALF).tobytes()


def _from_halves(data: bytes, tokens: int, columns: int) -> Floats:
    rows = np.frombuffer(data, _HALF).reshape(tokens, columns).astype(np.float32)
    if not np.isfinite(rows).all():
        raise Unfit("activations that are no finite numbers", "finite ones")
    return rows


def _header(data: bytes) -> tuple[int, int]:
    if len(data) < HEADER.size:
        raise Unfit(f"{len(data)} bytes", f"{HEADER.size} or more")
    tokens, exact = HEADER.unpack_from(data)
    if not 0 < tokens <= MOST_TOKENS or exact > tokens:
        raise Unfit(f"{tokens} tokens, {exact} of them exact", f"1 to {MOST_TOKENS}, and no more of them exact")
    return tokens, exact


def _check_size(data: bytes, expected: int) -> None:
    if len(data) != expected:
        raise Unfit(f"{len(data)} bytes", f"{expected}, as its header says")
