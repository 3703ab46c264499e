"""Random numbers by name: hashes of a key and counters, so that any instant can be drawn without those before it.

Invariant: a draw depends on its key and counters alone, never on which draws were made before or beside it.
The mixing is SplitMix64's finaliser (Steele, Lea, Flood 2014), once a counter; arrays broadcast.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emulator.model.network import Floats

Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _11 = (np.uint64(bits) for bits in (27, 30, 31, 11))


def key(*names: object) -> np.uint64:
    """The key of a stream: of the seed, the terminal's name, what is drawn."""
    text = "\x1f".join(str(name) for name in names).encode()
    return np.uint64(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))


def bits(keys: Keys | np.uint64, *counters: ArrayLike) -> Keys:
    """64 random bits for each combination of keys and counters (whole numbers), broadcast together."""
    state = np.asarray(keys, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for counter in counters:
            state = _mixed(state ^ (np.asarray(counter).astype(np.int64).view(np.uint64) * _GOLDEN + _GOLDEN))
    return state


def _mixed(state: Keys) -> Keys:
    state = (state ^ (state >> _30)) * _FIRST
    state = (state ^ (state >> _27)) * _SECOND
    return np.asarray(state ^ (state >> _31))


def uniform(keys: Keys | np.uint64, *counters: ArrayLike) -> Floats:
    """Numbers in (0, 1), never 0 or 1."""
    numbers: Floats = ((bits(keys, *counters) >> _11).astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def normal(keys: Keys | np.uint64, *counters: ArrayLike) -> Floats:
    """Standard normal numbers, by Box and Muller."""
    one, other = uniform(keys, *counters, 1), uniform(keys, *counters, 2)
    numbers: Floats = np.sqrt(-2.0 * np.log(one)) * np.cos(2 * np.pi * other)
    return numbers


def gumbel(keys: Keys | np.uint64, *counters: ArrayLike) -> Floats:
    """Standard Gumbel numbers: the largest of score + Gumbel is a draw with odds of exp(score)."""
    numbers: Floats = -np.log(-np.log(uniform(keys, *counters)))
    return numbers
