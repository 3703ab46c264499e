"""The encodings of a GGUF file's tensors that the model needs: F32, and blocks of 32 values in Q8_0 or Q4_1.

Invariant: decoding takes whole blocks, and refuses a scale, a minimum or a value that is no finite number. Encoders are
for synthetic models; they take each block's scale from its extremes, as llama.cpp does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit

Floats = NDArray[np.float32]
Octets = NDArray[np.uint8]

_BLOCK = 32  # values
_F32 = np.dtype("<f4")
_Q8_0 = np.dtype([("scale", "<f2"), ("codes", "i1", _BLOCK)])
_Q4_1 = np.dtype([("scale", "<f2"), ("minimum", "<f2"), ("codes", "u1", _BLOCK // 2)])


@dataclass(frozen=True, slots=True)
class Encoding:
    """How values lie in bytes; `number` is the one that GGUF gives it."""

    name: str
    number: int
    block_values: int
    block_bytes: int
    decode: Callable[[Octets], Floats]  # a flat array of whole blocks
    encode: Callable[[Floats], bytes]

    def bytes_of(self, values: int) -> int:
        """The size of so many values, which fill whole blocks."""
        return values // self.block_values * self.block_bytes


def _finite(values: NDArray[np.floating]) -> Floats:
    wide = values.astype(np.float32)
    if not np.isfinite(wide).all():
        raise Unfit("weights that are no finite numbers", "finite ones")
    return wide


def _decode_f32(data: Octets) -> Floats:
    return _finite(data.view(_F32))


def _encode_f32(values: Floats) -> bytes:
    return values.astype(_F32).tobytes()


def _decode_q8_0(data: Octets) -> Floats:
    blocks = data.view(_Q8_0)
    return (blocks["codes"] * _finite(blocks["scale"])[:, None]).reshape(-1)


def _encode_q8_0(values: Floats) -> bytes:
    rows = values.reshape(-1, _BLOCK)
    blocks = np.zeros(len(rows), _Q8_0)
    blocks["scale"] = np.abs(rows).max(axis=1) / 127
    blocks["codes"] = np.rint(rows / _divisor(blocks["scale"])).clip(-127, 127)
    return blocks.tobytes()


def _decode_q4_1(data: Octets) -> Floats:
    blocks = data.view(_Q4_1)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1)  # low nibbles are the first 16 values
    return (codes * _finite(blocks["scale"])[:, None] + _finite(blocks["minimum"])[:, None]).reshape(-1)


def _encode_q4_1(values: Floats) -> bytes:
    rows = values.reshape(-1, _BLOCK)
    blocks = np.zeros(len(rows), _Q4_1)
    blocks["minimum"] = rows.min(axis=1)
    blocks["scale"] = (rows.max(axis=1) - rows.min(axis=1)) / 15
    steps = (rows - blocks["minimum"].astype(np.float32)[:, None]) / _divisor(blocks["scale"])
    codes = np.rint(steps).clip(0, 15).astype(np.uint8)
    blocks["codes"] = codes[:, : _BLOCK // 2] | codes[:, _BLOCK // 2 :] << 4
    return blocks.tobytes()


def _divisor(scales: NDArray[np.float16]) -> Floats:
    """One divisor a row; 1 where all values of a block are equal."""
    wide = scales.astype(np.float32)[:, None]
    return np.where(wide == 0, np.float32(1), wide)


F32 = Encoding("F32", 0, 1, _F32.itemsize, _decode_f32, _encode_f32)
Q4_1 = Encoding("Q4_1", 3, _BLOCK, _Q4_1.itemsize, _decode_q4_1, _encode_q4_1)
Q8_0 = Encoding("Q8_0", 8, _BLOCK, _Q8_0.itemsize, _decode_q8_0, _encode_q8_0)
ENCODINGS = {encoding.number: encoding for encoding in (F32, Q4_1, Q8_0)}

# Others that files have, so that an error can name them: `enum ggml_type` of llama.cpp
_OTHERS = {1: "F16", 2: "Q4_0", 6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K",
           14: "Q6_K", 15: "Q8_K", 20: "IQ4_NL", 23: "IQ4_XS", 24: "I8", 26: "I32", 28: "F64", 30: "BF16"}  # fmt: skip


def encoding_of(number: int) -> Encoding:
    """The encoding with GGUF's number for it. Unfit, with its name, where it is none of those above."""
    if number not in ENCODINGS:
        known = ", ".join(encoding.name for encoding in ENCODINGS.values())
        raise Unfit(f"quantisation {_OTHERS.get(number, f'number {number}')}", f"one of {known}")
    return ENCODINGS[number]
