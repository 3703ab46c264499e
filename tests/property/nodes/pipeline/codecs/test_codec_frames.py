"""Codes come back from their bytes, and any bytes of a frame are rows of finite numbers, or an error."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import Unfit
from nodes.pipeline.codecs.calibration import CODECS, Moments, codec_of
from nodes.pipeline.codecs.packing import packed, unpacked

HIDDEN = 64
SEEDS = st.integers(0, 2**32 - 1)


def _statistics():
    moments = Moments(HIDDEN)
    moments.add(
        np.random.default_rng(5).standard_normal((256, HIDDEN)).astype(np.float32) * np.geomspace(9, 0.1, HIDDEN)
    )
    return moments.statistics()


ALL = [codec_of(name, _statistics()) for name in CODECS]


@given(st.integers(1, 8), st.integers(0, 5), st.integers(0, 5), SEEDS)
def test_packed_codes_come_back(bits, rows, words, seed):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (rows, words * 8), np.uint8)
    data = packed(codes, bits)
    assert data.size * 8 == codes.size * bits
    assert (unpacked(data, bits) == codes).all()


@given(st.sampled_from(ALL), st.integers(1, 40), st.floats(-3, 6), SEEDS)
def test_rows_of_any_size_come_back_finite_and_near(codec, tokens, magnitude, seed):
    rows = (np.random.default_rng(seed).standard_normal((tokens, HIDDEN)) * 10**magnitude).astype(np.float32)
    back = codec.decode(codec.encode(rows))
    assert back.shape == rows.shape
    assert back.dtype == np.float32
    assert np.isfinite(back).all()
    if codec.name == "int8":
        near = np.abs(back - rows).max(axis=1) <= np.abs(rows).max(axis=1) / 100 + 1e-4
        assert (near | (np.abs(rows).max(axis=1) > 65504)).all()


@given(st.sampled_from(ALL), st.binary(max_size=200))
def test_rubbish_is_refused(codec, data):
    try:
        rows = codec.decode(data)
    except Unfit:
        return
    assert len(data) > 4
    assert np.isfinite(rows).all()


@given(st.sampled_from(ALL), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=9), SEEDS)
def test_damaged_frames_are_rows_or_refused(codec, changes, seed):
    rows = np.random.default_rng(seed).standard_normal((6, HIDDEN)).astype(np.float32)
    rows[0] *= 1000
    data = bytearray(codec.encode(rows))
    for at, value in changes:
        data[at % len(data)] = value
    try:
        back = codec.decode(bytes(data))
    except Unfit:
        return
    assert np.isfinite(back).all()
