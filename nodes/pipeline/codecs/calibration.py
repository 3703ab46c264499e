"""Codecs of one cut, made from the statistics of activations that crossed it on calibration text.

Invariant: equal statistics give equal codecs at both ends of a link. The mean, the basis and the peak that makes a row
exact are deployed with the model; nothing of them travels with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.codecs.codec import GROUP, Codec, HalfCodec, TransformCodec
from nodes.pipeline.model.chain import Chain, Transfer, split
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.quantisation import Floats

EXACT_OVER_MEDIAN = 8  # times the median peak of rows: only those of attention sinks are beyond
OUTLIERS = 8  # channels of the rotated codec that go aside: thirty times the median of the others, in SmolLM2
MOST_BITS = 8
ROTATION_SEED = 17
NO_CHANNELS = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Of the rows that crossed a cut, those of attention sinks left out."""

    tokens: int
    mean: Floats  # (hidden,)
    variances: Floats  # (hidden,), along the basis, in descending order
    basis: Floats  # (hidden, hidden): eigenvectors of the covariance, one a column
    median_peak: float  # of the absolute values of a row


class Moments:
    """Sums over the rows that crossed a cut, from which their statistics come."""

    def __init__(self, hidden: int) -> None:
        """Unfit where a row is not of whole groups of coefficients."""
        if hidden % GROUP:
            raise Unfit(f"rows of {hidden} values", f"a multiple of {GROUP}")
        self._tokens = 0
        self._sum = np.zeros(hidden)
        self._products = np.zeros((hidden, hidden))
        self._peaks: list[Floats] = []

    def add(self, rows: Floats) -> Floats:
        """Count rows in: a window of a text, long enough to tell sinks from others. Gives them back: a transfer."""
        peaks = np.abs(rows).max(axis=1)
        ordinary = rows[peaks <= EXACT_OVER_MEDIAN * np.median(peaks)].astype(np.float64)
        self._tokens += len(ordinary)
        self._sum += ordinary.sum(axis=0)
        self._products += ordinary.T @ ordinary
        self._peaks.append(peaks)
        return rows

    def statistics(self) -> Statistics:
        """Unfit where fewer rows were counted than a row has values: the basis would be of nothing."""
        hidden = len(self._sum)
        if self._tokens < hidden:
            raise Unfit(f"{self._tokens} tokens of calibration", f"{hidden} at least, better ten times as many")
        mean = self._sum / self._tokens
        variances, basis = np.linalg.eigh(self._products / self._tokens - np.outer(mean, mean))
        return Statistics(
            tokens=self._tokens,
            mean=mean.astype(np.float32),
            variances=variances[::-1].clip(0).astype(np.float32),
            basis=np.ascontiguousarray(basis[:, ::-1], np.float32),
            median_peak=float(np.median(np.concatenate(self._peaks))),
        )


def calibrated(gguf: Gguf, cuts: Sequence[int], texts: Iterable[Sequence[int]]) -> dict[int, Statistics]:
    """The statistics of each cut, a block's number, on windows of tokens."""
    moments = {cut: Moments(Shape.of(gguf).hidden) for cut in cuts}
    chain = Chain(split(gguf, cuts), [each.add for each in moments.values()])
    for text in texts:
        chain.forward(text, chain.caches(len(text)))
    return {cut: each.statistics() for cut, each in moments.items()}


def _integers(bits: int, statistics: Statistics) -> TransformCodec:
    hidden = len(statistics.mean)
    zeros = np.zeros(hidden, np.float32)
    return _codec(f"int{bits}", statistics, zeros, None, (bits,) * (hidden // GROUP))


def _rotated(bits: int, statistics: Statistics) -> TransformCodec:
    """Plain integers of turned rows, in which no channel stands out: the only statistics are a mean and outliers."""
    hidden = len(statistics.mean)
    variances = statistics.basis**2 @ statistics.variances  # by channel
    outliers = np.sort(np.argsort(variances)[-OUTLIERS:])
    rotation, _ = np.linalg.qr(np.random.default_rng(ROTATION_SEED).standard_normal((hidden, hidden)))
    bits_of_groups = (bits,) * (hidden // GROUP)
    return _codec(
        f"int{bits}-rotated", statistics, statistics.mean, rotation.astype(np.float32), bits_of_groups, outliers
    )


def _klt(bits: float, statistics: Statistics) -> TransformCodec:
    """The Karhunen-Loève transform: groups of coefficients get bits by the logarithm of their deviation."""
    deviations = np.sqrt(statistics.variances.reshape(-1, GROUP).mean(axis=1))
    return _codec(f"klt{bits:g}", statistics, statistics.mean, statistics.basis, allocated(deviations, bits))


def allocated(deviations: Floats, mean_bits: float) -> tuple[int, ...]:
    """Bits of groups: round(log2(deviation) - theta) from 0 to 8, with the least theta that keeps to the mean."""
    logarithms = np.log2(np.maximum(deviations, np.finfo(np.float32).tiny))
    low, high = logarithms.min() - MOST_BITS - 1, logarithms.max() + 1  # all bits, and none
    for _ in range(60):
        theta = (low + high) / 2
        bits = np.rint(logarithms - theta).clip(0, MOST_BITS)
        low, high = (theta, high) if bits.mean() > mean_bits else (low, theta)
    return tuple(np.rint(logarithms - high).clip(0, MOST_BITS).astype(int).tolist())


def _codec(
    name: str,
    statistics: Statistics,
    mean: Floats,
    basis: Floats | None,
    bits: tuple[int, ...],
    outliers: NDArray[np.intp] = NO_CHANNELS,
) -> TransformCodec:
    return TransformCodec(name, mean, basis, bits, EXACT_OVER_MEDIAN * statistics.median_peak, outliers)


CODECS: dict[str, Callable[[Statistics], Codec]] = {
    "fp16": lambda statistics: HalfCodec(len(statistics.mean)),
    "int8": partial(_integers, 8),
    "int4": partial(_integers, 4),
    "int4-rotated": partial(_rotated, 4),
    **{f"klt{bits:g}": partial(_klt, bits) for bits in (5, 4.5, 4, 3.5, 3, 2.5, 2)},
}


def codec_of(name: str, statistics: Statistics) -> Codec:
    """A codec for one cut by its name. Absent for a name that is none of `CODECS`."""
    if name not in CODECS:
        raise Absent(f"codec {name!r}", f"one of {', '.join(CODECS)}")
    return CODECS[name](statistics)


def transfer(codec: Codec) -> Transfer:
    """What a codec does to rows, without a link."""
    return lambda rows: codec.decode(codec.encode(rows))
