"""The file of a calibration: statistics of cuts of one model, named by the hash of the model's file.

Invariant: what is read is what was written, for the same model, or it is refused: the file ends with the SHA-256 of all
before it. The size of everything follows from the header, and is compared before anything is made of it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import read_bytes
from nodes.pipeline import cache
from nodes.pipeline.codecs.calibration import Statistics
from nodes.pipeline.codecs.codec import GROUP

MAGIC = b"SkyCuts2"
MOST_BYTES = 500_000_000
DIGEST_BYTES = 32  # of SHA-256
_HEADER = struct.Struct("<8s32sII")  # magic, SHA-256 of the model, values a row, cuts
_CUT = struct.Struct("<IId")  # the cut, tokens of calibration, median peak
_FLOAT = np.dtype("<f4")


def cached_path(sha256: str) -> Path:
    """Where the statistics of a model are, once it was calibrated."""
    return cache.cache_folder() / f"{sha256[:16]}.cuts"


def save(path: Path, model_sha256: str, cuts: Mapping[int, Statistics]) -> None:
    """Write statistics by cut. PlatformError where the disk does not take them."""
    hidden = len(next(iter(cuts.values())).mean)
    parts = [_HEADER.pack(MAGIC, bytes.fromhex(model_sha256), hidden, len(cuts))]
    for cut, found in sorted(cuts.items()):
        parts.append(_CUT.pack(cut, found.tokens, found.median_peak))
        parts += [values.astype(_FLOAT).tobytes() for values in (found.mean, found.variances, found.basis)]
    data = b"".join(parts)
    cache.write(path, data + sha256(data).digest())


def load(path: Path, model_sha256: str) -> dict[int, Statistics]:
    """Statistics by cut. DataError, with the path, where the file cannot be used, or is of another model."""
    try:
        return _parsed(read_bytes(path, MOST_BYTES), bytes.fromhex(model_sha256))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a calibration") from None
    except Unfit as error:
        raise DataError(f"{path}: {error}. Delete it, and calibrate again") from None


def _parsed(data: bytes, model: bytes) -> dict[int, Statistics]:
    if len(data) < _HEADER.size:
        raise Unfit(f"{len(data)} bytes", f"{_HEADER.size} or more")
    magic, found, hidden, count = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Unfit(f"a file that begins with {magic!r}", f"{MAGIC!r}")
    if found != model:
        raise Unfit(f"a calibration of the model with SHA-256 {found.hex()}", model.hex())
    size = _CUT.size + (hidden + 2) * hidden * _FLOAT.itemsize
    end = _HEADER.size + count * size
    if not hidden or hidden % GROUP or len(data) != end + DIGEST_BYTES:
        raise Unfit(f"{len(data):,} bytes for {count} cuts of {hidden} values", f"{end + DIGEST_BYTES:,}")
    if sha256(data[:end]).digest() != data[end:]:
        raise Unfit("a damaged file", "one whose SHA-256 is the one at its end")
    cuts = {}
    for at in range(_HEADER.size, end, size):
        cut, tokens, median_peak = _CUT.unpack_from(data, at)
        values = np.frombuffer(data, _FLOAT, (hidden + 2) * hidden, at + _CUT.size).astype(np.float32)
        if not np.isfinite(values).all() or not 0 < median_peak < np.inf:
            raise Unfit(f"statistics of cut {cut} that are no finite numbers", "finite ones, and a peak above zero")
        mean, variances, basis = np.split(values, [hidden, 2 * hidden])
        cuts[cut] = Statistics(tokens, mean, variances, basis.reshape(hidden, hidden), median_peak)
    return cuts
