"""Scores, their paired changes and what each cut costs, on the synthetic model; texts that are there."""

import numpy as np
import pytest
from pipeline_model import chain_of, small

from emulator.model.errors import Unfit
from nodes.pipeline.codecs.calibration import calibrated, codec_of, transfer
from nodes.pipeline.codecs.evaluation import Score, change, score, sensitivities, windows
from nodes.pipeline.codecs.texts import NAMES, text
from nodes.pipeline.model.tokenizer import Tokenizer

TOKENS = Tokenizer(small().metadata).encode(text("docs")[:2000])
TEXTS = windows(TOKENS, most=6, length=128)


@pytest.fixture(scope="module")
def statistics():
    """Of both cuts of the model."""
    return list(calibrated(small(), (1, 3), TEXTS).values())


@pytest.mark.parametrize("name", NAMES)
def test_texts_hold_enough_for_the_evaluation(name):
    """24 windows of 256 tokens, of which English has about four letters in each."""
    assert len(text(name)) > 25_000


def test_a_score_is_that_of_the_probabilities():
    chain = chain_of(small())
    logits = chain.logits(chain.forward(TEXTS[0], chain.caches(128))).astype(float)
    likelihoods = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = score(chain, TEXTS[:2])
    assert found.losses_nat[0] == pytest.approx(-np.log(likelihoods[np.arange(127), TEXTS[0][1:]]), abs=1e-4)
    assert found.accuracy == (found.guesses == np.array(TEXTS[:2])[:, 1:]).mean()
    assert found.perplexity == pytest.approx(np.exp(found.losses_nat.mean()))


def test_changes_are_paired_by_window():
    base = Score(np.zeros((2, 4), np.float32), np.zeros((2, 4), int), np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool))
    worse = Score(
        np.full((2, 4), 0.1, np.float32), np.eye(2, 4, dtype=int), np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool)
    )
    found = change(base, worse)
    assert (found.predictions, found.agreement) == (8, 0.75)
    assert (found.accuracy_pp.mean, found.accuracy_pp.half) == (-25, 0)
    assert found.loss_nat.mean == pytest.approx(0.1)
    assert found.perplexity_percent == pytest.approx(10.517, abs=1e-3)
    assert str(found.accuracy_pp) == "-25.00 ± 0.00"


def test_an_interval_is_that_of_students_t_over_windows():
    base = Score(np.zeros((3, 1)), np.zeros((3, 1), int), np.zeros((3, 1), bool))
    other = Score(np.array([[0.1], [0.2], [0.3]]), base.guesses, base.hits)
    assert change(base, other).loss_nat.half == pytest.approx(4.3027 * 0.1 / np.sqrt(3), abs=1e-4)


def test_scores_of_other_windows_are_refused():
    scores = [Score(np.zeros((n, 1)), np.zeros((n, 1), int), np.zeros((n, 1), bool)) for n in (2, 3)]
    with pytest.raises(Unfit, match="expected the same windows"):
        change(*scores)
    with pytest.raises(Unfit, match="100 tokens in 0 windows of 256; expected two windows"):
        windows(TOKENS[:100], most=5)


def test_fewer_bits_cost_more(statistics):
    base = score(chain_of(small(), (1, 3)), TEXTS)
    losses = []
    for name in ("fp16", "klt5", "klt3", "klt2"):
        transfers = tuple(transfer(codec_of(name, each)) for each in statistics)
        losses.append(change(base, score(chain_of(small(), (1, 3), transfers), TEXTS)))
    assert losses[0].agreement > 0.99
    agreements = [each.agreement for each in losses]
    assert agreements == sorted(agreements, reverse=True)


def test_a_sensitivity_is_the_divergence_with_one_cut_encoded(statistics):
    names = ("int8", "klt2")
    codecs = [{name: codec_of(name, each) for name in names} for each in statistics]
    found = sensitivities(chain_of(small(), (1, 3)), TEXTS[:2], codecs)
    for cut, each in enumerate(codecs):
        for name, codec in each.items():
            transfers = [lambda rows: rows, lambda rows: rows]
            transfers[cut] = transfer(codec)
            by_window = [
                divergence(chain_of(small()), chain_of(small(), (1, 3), tuple(transfers)), text) for text in TEXTS[:2]
            ]
            assert found[cut][name].mean == pytest.approx(np.mean(by_window), rel=0.01, abs=1e-6)
        assert 0 <= found[cut]["int8"].mean < found[cut]["klt2"].mean


def divergence(base, other, text) -> float:
    """The mean over a window's tokens, in float64."""
    p, q = (np.exp(chain.logits(chain.forward(text, chain.caches(128))).astype(float)) for chain in (base, other))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    return float((p * np.log(p / q)).sum(axis=1).mean())
