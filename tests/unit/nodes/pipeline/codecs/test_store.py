"""Files of a calibration: what is written is read, and whatever else is there is refused."""

import struct
from hashlib import sha256

import numpy as np
import pytest

from emulator.model.errors import DataError
from nodes.pipeline.codecs.calibration import Statistics
from nodes.pipeline.codecs.store import load, save

MODEL, OTHER = "ab" * 32, "cd" * 32
HEADER_BYTES = 48


def statistics(seed: int) -> Statistics:
    rng = np.random.default_rng(seed)
    shapes = ((32,), (32,), (32, 32))
    return Statistics(1000 + seed, *(rng.random(shape, np.float32) for shape in shapes), median_peak=2.5)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cuts"
    save(path, MODEL, {24: statistics(2), 6: statistics(1)})
    return path


def test_what_is_written_is_read(path):
    found = load(path, MODEL)
    assert list(found) == [6, 24]
    for seed, each in enumerate(found.values(), start=1):
        expected = statistics(seed)
        assert (each.tokens, each.median_peak) == (expected.tokens, 2.5)
        for name in ("mean", "variances", "basis"):
            assert (getattr(each, name) == getattr(expected, name)).all()
    assert [each.name for each in path.parent.iterdir()] == ["cuts"]


def test_a_calibration_of_another_model_is_refused(path):
    with pytest.raises(DataError, match=f"cuts: a calibration of the model with SHA-256 {MODEL}; expected {OTHER}"):
        load(path, OTHER)


@pytest.mark.parametrize(
    ("at", "new", "said"),
    [
        (0, b"GGUF", "a file that begins with b'GGUF"),
        (40, struct.pack("<I", 64), "for 2 cuts of 64 values; expected"),
        (40, struct.pack("<I", 0), "for 2 cuts of 0 values"),
        (44, struct.pack("<I", 2**32 - 1), "for 4294967295 cuts of 32 values"),
        (HEADER_BYTES + 8, struct.pack("<d", 0), "statistics of cut 6 that are no finite numbers"),
        (HEADER_BYTES + 16, struct.pack("<f", np.nan), "statistics of cut 6 that are no finite numbers"),
    ],
)
def test_values_that_cannot_be_are_refused(path, at, new, said):
    data = bytearray(path.read_bytes())
    data[at : at + len(new)] = new
    data[-32:] = sha256(data[:-32]).digest()
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"{said}.*calibrate again"):
        load(path, MODEL)


@pytest.mark.parametrize("at", [8, HEADER_BYTES + 20, -1])
def test_one_byte_that_is_another_one_is_found(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a damaged file|a calibration of the model"):
        load(path, MODEL)


@pytest.mark.parametrize("size", [0, 20, HEADER_BYTES, 1000])
def test_truncated_files_are_refused(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=f"cuts: {size:,} bytes"):
        load(path, MODEL)


def test_an_absent_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="absent: No such file or directory; expected a calibration"):
        load(tmp_path / "absent", MODEL)
