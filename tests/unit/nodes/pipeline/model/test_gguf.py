"""Files that are read, and files that are refused with what was found and what was expected."""

import struct

import numpy as np
import pytest

from emulator.model.errors import DataError, Unfit
from nodes.pipeline.model.gguf import Gguf, load
from nodes.pipeline.model.quantisation import F32, Q4_1, Q8_0
from nodes.pipeline.model.synthetic import gguf_file, synthetic_model

WEIGHTS = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
FILE = gguf_file({"a": 7, "b": "x", "c": ["y", "z"], "d": [1, 2]}, {"t": (F32, WEIGHTS)})


def head(tensors: int = 0, pairs: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, shape: tuple[int, ...], encoding: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, encoding, offset)


def test_what_is_written_is_read():
    gguf = Gguf(FILE)
    assert {key: list(value) if key == "d" else value for key, value in gguf.metadata.items()} == {
        "a": 7, "b": "x", "c": ["y", "z"], "d": [1, 2]}  # fmt: skip
    assert (gguf.tensor("t", (2, 64)).values() == WEIGHTS).all()


def test_blocks_of_q4_1_hold_low_nibbles_first():
    data = np.frombuffer(np.array([0.5, -1], "<f2").tobytes() + bytes(range(0x10, 0x20)), np.uint8)
    assert Q4_1.decode(data)[:16].tolist() == [0.5 * code - 1 for code in range(16)]
    assert Q4_1.decode(data)[16:].tolist() == [-0.5] * 16


def test_blocks_of_q8_0_hold_signed_values():
    data = np.frombuffer(np.array([2], "<f2").tobytes() + bytes([0xFF, 0x7F, *[0] * 30]), np.uint8)
    assert Q8_0.decode(data)[:3].tolist() == [-2, 254, 0]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "byte 0: the magic of 4 bytes, 0 left"),
        (b"GGML" + bytes(20), "a file that begins with b'GGML'"),
        (head(version=2), "GGUF version 2; expected version 3"),
        (head(tensors=2**63), "the number of tensors is 9,223,372,036,854,775,808; expected at most"),
        (head(pairs=5000), "the number of metadata pairs is 5,000"),
        (head(pairs=1) + text(b"k") + struct.pack("<I", 99), "metadata k of type 99"),
        (head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 9, 1), "metadata k of type 9"),
        (head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 8, 2**40), "the length of k is 1,099,511,627,776"),
        (head(pairs=1) + text(b"k") + struct.pack("<IIQ", 9, 10, 40), "the length of k|k of 320 bytes"),
        (head(pairs=1) + text(b"k") + struct.pack("<IQ", 8, 2**62), "the length of the length|the length of k"),
        (head(pairs=1) + text(b"\xff"), "a metadata key that is no UTF-8"),
        (head(pairs=2) + 2 * (text(b"k") + struct.pack("<II", 4, 1)), "metadata key 'k' twice"),
        (head(pairs=1) + text(b"general.alignment") + struct.pack("<II", 4, 0), "general.alignment is 0"),
        (head(tensors=1) + tensor(b"t", (1,) * 5), "tensor t of 5 dimensions"),
        (head(tensors=1) + tensor(b"t", (0,)), r"tensor t of shape \(0,\)"),
        (head(tensors=1) + tensor(b"t", (40,), 8), r"of shape \(40,\); expected rows of whole blocks of 32 values"),
        (head(tensors=1) + tensor(b"t", (256,), 12), "quantisation Q4_K; expected one of F32, Q4_1, Q8_0"),
        (head(tensors=1) + tensor(b"t", (256,), 77), "quantisation number 77"),
        (head(tensors=1) + tensor(b"t", (2**40, 2**20)), "is the file truncated"),
        (head(tensors=1) + tensor(b"t", (4,), offset=2**62), "is the file truncated"),
        (head(tensors=1) + tensor(b"t", (4,), offset=1) + bytes(64), "at a multiple of 32"),
        (head(tensors=2) + 2 * tensor(b"t", (4,)) + bytes(64), "tensor t twice"),
    ],
)
def test_hostile_files_are_refused(data, said):
    with pytest.raises(Unfit, match=said):
        Gguf(data)


@pytest.mark.parametrize("size", [0, 3, 30, 60, 130, len(FILE) - 1])
def test_truncated_files_are_refused(size):
    with pytest.raises(Unfit, match=r"is the file truncated|begins with"):
        Gguf(FILE[:size])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value):
    weights = WEIGHTS.copy()
    weights[1, 5] = value
    gguf = Gguf(gguf_file({}, {"t": (F32, weights)}))
    with pytest.raises(Unfit, match="tensor t has weights that are no finite numbers"):
        gguf.tensors["t"].values()


def test_files_that_cannot_be_used_are_data_errors(tmp_path):
    path = tmp_path / "model.gguf"
    with pytest.raises(DataError, match=r"model.gguf: No such file or directory; expected a GGUF file"):
        load(path)
    path.write_bytes(synthetic_model()[:-100])
    with pytest.raises(DataError, match=r"model.gguf: tensor blk.3.ffn_down.weight at bytes .* is the file truncated"):
        load(path)
    with pytest.raises(DataError, match=f"model.gguf: .* with SHA-256 .*; expected {'0' * 64}"):
        load(path, "0" * 64)
