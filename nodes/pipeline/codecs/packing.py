"""Codes of a few bits each, packed into bytes by shifts: eight codes of n bits make n bytes.

Invariant: unpacking gives what was packed, and any bytes of the right number unpack to codes below 2**bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]

CODES = 8  # that share a word
_WORD = np.dtype("<u8")


def packed(codes: Octets, bits: int) -> Octets:
    """Rows of codes below 2**bits, a multiple of eight in each, as rows of bytes."""
    shifts = np.arange(0, CODES * bits, bits, dtype=_WORD)
    rows, width = codes.shape
    words = np.bitwise_or.reduce(codes.reshape(rows, width // CODES, CODES).astype(_WORD) << shifts, axis=2)
    octets: Octets = words[..., None].view(np.uint8)[..., :bits]
    return octets.reshape(rows, width * bits // CODES)


def unpacked(data: Octets, bits: int) -> Octets:
    """The codes in rows of bytes, a multiple of `bits` in each."""
    rows, width = data.shape
    octets = np.zeros((rows, width // bits, _WORD.itemsize), np.uint8)
    octets[..., :bits] = data.reshape(rows, width // bits, bits)
    shifts = np.arange(0, CODES * bits, bits, dtype=_WORD)
    codes = octets.view(_WORD) >> shifts & _WORD.type((1 << bits) - 1)
    return codes.astype(np.uint8).reshape(rows, width // bits * CODES)
