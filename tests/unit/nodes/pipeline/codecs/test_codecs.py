"""Sizes and errors of codecs on rows like those of a model: correlated channels, outliers, an attention sink."""

import numpy as np
import pytest

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.codecs.calibration import CODECS, Moments, allocated, codec_of, transfer
from nodes.pipeline.codecs.codec import HEADER, MOST_TOKENS
from nodes.pipeline.codecs.packing import packed, unpacked

HIDDEN = 64


def activations(tokens: int, seed: int) -> np.ndarray:
    """Rows whose first is a sink, with two channels that stand out, in a space whose directions matter unequally."""
    mixing = np.random.default_rng(0).standard_normal((HIDDEN, HIDDEN)) * np.geomspace(4, 0.05, HIDDEN)
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((tokens, HIDDEN)) @ mixing.T
    rows[:, [3, 40]] += [60, -90]
    rows[0, 7] = 20_000
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def statistics():
    moments = Moments(HIDDEN)
    for seed in range(1, 9):
        moments.add(activations(256, seed))
    return moments.statistics()


@pytest.fixture(scope="module")
def rows():
    return activations(200, seed=99)


def error(codec, rows) -> float:
    """The root mean square of what ordinary rows lose, over their deviation."""
    lost = transfer(codec)(rows)[1:] - rows[1:]
    return float(np.sqrt((lost**2).mean() / rows[1:].var(axis=0).mean()))


def test_packed_codes_are_those_of_a_bit_stream():
    codes = np.array([[1, 2, 3, 4, 5, 6, 7, 0]], np.uint8)
    stream = sum(int(code) << 3 * at for at, code in enumerate(codes[0]))
    assert packed(codes, 3).tobytes() == stream.to_bytes(3, "little")
    assert (unpacked(packed(codes, 3), 3) == codes).all()


def test_statistics_leave_sinks_out(statistics):
    assert statistics.tokens == 8 * 255
    assert abs(statistics.mean[7]) < 10
    assert (np.diff(statistics.variances) <= 0).all()
    assert statistics.basis.T @ statistics.basis == pytest.approx(np.eye(HIDDEN), abs=1e-5)


@pytest.mark.parametrize("name", CODECS)
def test_sizes_are_as_said(statistics, rows, name):
    codec = codec_of(name, statistics)
    exact = 0 if name == "fp16" else 2 + 2 * HIDDEN
    ordinary = len(rows) if name == "fp16" else len(rows) - 1
    assert len(codec.encode(rows)) == HEADER.size + exact + ordinary * codec.bytes_per_token


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("fp16", 0.01),
        ("int8", 0.06),
        ("int4", 0.9),
        ("int4-rotated", 0.12),
        ("klt5", 0.03),
        ("klt4", 0.06),
        ("klt3", 0.13),
    ],
)
def test_errors_are_small_for_their_bytes(statistics, rows, name, most):
    assert error(codec_of(name, statistics), rows) < most


def test_the_transform_loses_less_than_plain_integers_of_as_many_bits(statistics, rows):
    plain, rotated, klt = (error(codec_of(name, statistics), rows) for name in ("int4", "int4-rotated", "klt4"))
    assert klt < rotated / 1.2 < plain / 4


@pytest.mark.parametrize("name", CODECS)
def test_a_sink_comes_through(statistics, rows, name):
    assert transfer(codec_of(name, statistics))(rows)[0] == pytest.approx(rows[0], rel=2**-10, abs=1e-3)


@pytest.mark.parametrize("name", CODECS)
def test_rows_decode_alike_alone_and_together(statistics, rows, name):
    codec = codec_of(name, statistics)
    alone = np.concatenate([transfer(codec)(row[None]) for row in rows[:20]])
    alike = np.isclose(alone, transfer(codec)(rows[:20]), atol=1e-3).all(axis=1)
    assert alike.mean() >= 0.9  # a coefficient at the edge of a code may be rounded to either side


def test_rows_that_are_all_exact_or_zero_come_through(statistics):
    codec = codec_of("klt4", statistics)
    sinks = np.full((3, HIDDEN), 7000, np.float32)
    assert (transfer(codec)(sinks) == sinks).all()
    mean = np.repeat(statistics.mean[None], 2, axis=0)
    assert transfer(codec)(mean) == pytest.approx(mean, abs=1e-3)


def test_values_beyond_fp16_are_clipped(statistics):
    rows = np.full((1, HIDDEN), -1e9, np.float32)
    assert transfer(codec_of("fp16", statistics))(rows).min() == -65504


@pytest.mark.parametrize(
    ("mean_bits", "expected"), [(8, (8, 8, 8, 8)), (4, (6, 5, 3, 2)), (1, (2, 2, 0, 0)), (0, (0, 0, 0, 0))]
)
def test_groups_get_bits_by_their_deviation(mean_bits, expected):
    assert allocated(np.array([8, 4, 1, 0.5], np.float32), mean_bits) == expected


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes; expected 4 or more"),
        (HEADER.pack(0, 0), "0 tokens, 0 of them exact"),
        (HEADER.pack(2, 3), "2 tokens, 3 of them exact"),
        (HEADER.pack(MOST_TOKENS + 1, 0), "8193 tokens"),
        (HEADER.pack(5, 0) + bytes(10), "14 bytes; expected"),
    ],
)
@pytest.mark.parametrize("name", ["fp16", "klt4"])
def test_malformed_frames_are_refused(statistics, name, data, said):
    with pytest.raises(Unfit, match=said):
        codec_of(name, statistics).decode(data)


def test_frames_with_impossible_exact_rows_are_refused(statistics):
    codec = codec_of("int8", statistics)
    sinks = np.full((2, HIDDEN), 9000, np.float32)
    data = bytearray(codec.encode(np.concatenate([sinks, np.zeros_like(sinks)])))
    data[6:8] = (0).to_bytes(2, "little")
    with pytest.raises(Unfit, match=r"exact rows \[0, 0\]; expected ascending numbers below 4"):
        codec.decode(bytes(data))
    data[6:8] = (4).to_bytes(2, "little")
    with pytest.raises(Unfit, match=r"exact rows \[0, 4\]"):
        codec.decode(bytes(data))
    data[6:10] = (1).to_bytes(2, "little") + b"\0\x7c"
    with pytest.raises(Unfit, match="activations that are no finite numbers"):
        codec.decode(bytes(data))


def test_too_little_calibration_is_refused():
    moments = Moments(HIDDEN)
    moments.add(activations(40, 1))
    with pytest.raises(Unfit, match="39 tokens of calibration; expected 64 at least"):
        moments.statistics()


def test_rows_of_no_whole_groups_are_refused():
    with pytest.raises(Unfit, match="rows of 40 values; expected a multiple of 32"):
        Moments(40)


def test_unknown_codecs_are_refused(statistics):
    with pytest.raises(Absent, match="codec 'zip'; expected one of fp16, int8, int4, int4-rotated, klt5"):
        codec_of("zip", statistics)
