"""How much a model loses by codecs at its cuts: next-token accuracy and likelihood, on windows of a text.

Invariant: two scores are compared window by window on the same tokens. An interval is that of Student's t over
windows, since tokens of one window are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from emulator.model.errors import Unfit
from nodes.pipeline.codecs.codec import Codec
from nodes.pipeline.model.chain import Chain
from nodes.pipeline.model.quantisation import Floats

WINDOW_TOKENS = 256


def windows(tokens: Sequence[int], most: int, length: int = WINDOW_TOKENS) -> list[Sequence[int]]:
    """The first windows of a text, each of `length` tokens. Unfit where there are fewer than two."""
    found = [tokens[at : at + length] for at in range(0, len(tokens) - length + 1, length)][:most]
    if len(found) < 2:
        raise Unfit(f"{len(tokens)} tokens in {len(found)} windows of {length}", "two windows at least")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Predictions of the second to the last token of each window."""

    losses_nat: Floats  # (windows, predictions): negative log likelihoods
    guesses: NDArray[np.intp]  # the likeliest tokens
    hits: NDArray[np.bool_]  # whether they are right

    @property
    def perplexity(self) -> float:
        return float(np.exp(self.losses_nat.mean()))

    @property
    def accuracy(self) -> float:
        return float(self.hits.mean())


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and the half width of its 95 % interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} ± {self.half:.2f}"


@dataclass(frozen=True, slots=True)
class Change:
    """What became worse: `accuracy_pp` of -0.3 is 0.3 percentage points fewer right tokens."""

    predictions: int
    accuracy_pp: Interval
    loss_nat: Interval
    perplexity_percent: float
    agreement: float  # the share of likeliest tokens that are the same


def score(chain: Chain, texts: Sequence[Sequence[int]]) -> Score:
    """Predict each window by itself, with whatever crosses between the parts."""
    scores = [_window_score(chain.logits(chain.forward(text, chain.caches(len(text)))), text) for text in texts]
    return _stacked(scores)


def change(base: Score, other: Score) -> Change:
    """Paired by window. Unfit where the two are not of the same windows."""
    if base.hits.shape != other.hits.shape:
        raise Unfit(f"scores of {base.hits.shape} and {other.hits.shape} predictions", "the same windows")
    loss = other.losses_nat - base.losses_nat
    return Change(
        predictions=base.hits.size,
        accuracy_pp=_interval(100 * (other.hits.astype(float) - base.hits)),
        loss_nat=_interval(loss),
        perplexity_percent=float(100 * np.expm1(loss.mean())),
        agreement=float((base.guesses == other.guesses).mean()),
    )


def sensitivities(
    chain: Chain, texts: Iterable[Sequence[int]], codecs: Sequence[Mapping[str, Codec]]
) -> list[dict[str, Interval]]:
    """For each cut of a chain, what each of its codecs costs alone, in nats a token; `codecs` has those of each cut.

    It is the divergence (Kullback-Leibler) of what the model predicts with the codec from what it predicts without:
    the loss of likelihood on text that the model itself would write. Measured at cuts 6, 15 and 24 of SmolLM2: three
    windows give it within 30 %, and cuts add up to what all of them cost together within 3 %; a change of likelihood
    on a given text takes more than 24 windows for that, and may be negative.
    """
    found: list[dict[str, list[Floats]]] = [{name: [] for name in each} for each in codecs]
    for text in texts:
        rows = [chain.parts[0].forward(chain.parts[0].embed(text), chain.parts[0].cache(len(text)))]
        for part in chain.parts[1:]:
            rows.append(part.forward(rows[-1], part.cache(len(text))))
        base = _log_likelihoods(chain.logits(rows[-1]))
        for cut, each in enumerate(codecs):
            for name, codec in each.items():
                other = codec.decode(codec.encode(rows[cut]))
                for part in chain.parts[cut + 1 :]:
                    other = part.forward(other, part.cache(len(text)))
                gaps = base - _log_likelihoods(chain.logits(other))
                found[cut][name].append(np.einsum("ij,ij->i", np.exp(base), gaps))
    return [{name: _interval(np.stack(by_window)) for name, by_window in each.items()} for each in found]


def _log_likelihoods(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    normed: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normed


def _window_score(logits: Floats, text: Sequence[int]) -> Score:
    nexts = np.asarray(text[1:])
    likelihoods = _log_likelihoods(logits[:-1])
    guesses = likelihoods.argmax(axis=1)
    return Score(-likelihoods[np.arange(len(nexts)), nexts], guesses, guesses == nexts)


def _stacked(scores: Sequence[Score]) -> Score:
    return Score(
        np.stack([each.losses_nat for each in scores]),
        np.stack([each.guesses for each in scores]),
        np.stack([each.hits for each in scores]),
    )


def _interval(differences: NDArray[np.floating]) -> Interval:
    means = differences.mean(axis=1)  # by window
    half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean()), float(half))
