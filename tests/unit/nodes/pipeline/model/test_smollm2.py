"""The real model against llama.cpp: tokens, and the likelihood of a text. Skips where the cache has no model."""

import json
from pathlib import Path

import numpy as np
import pytest
from pipeline_model import chain_of, real

from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.tokenizer import Tokenizer

GOLDEN = json.loads((Path(__file__).parents[4] / "golden" / "pipeline" / "llama_cpp.json").read_text())


@pytest.mark.parametrize("kind", GOLDEN["tokens"])
def test_tokens_are_those_of_llama_cpp(kind):
    sample = GOLDEN["tokens"][kind]
    assert Tokenizer(real().metadata).encode(sample["text"]) == sample["tokens"]


@pytest.mark.slow
def test_the_likelihood_of_a_text_is_that_of_llama_cpp():
    """Within 0.01 nat a token: llama.cpp also quantises what it multiplies by the weights, Skyloom does not."""
    golden, chain = GOLDEN["nll"], chain_of(real(), cuts=(6, 15, 24))
    tokens = Tokenizer(real().metadata).encode(text("docs")[: golden["characters"]])
    assert len(tokens) == golden["tokens"]
    logits = chain.logits(chain.forward(tokens, chain.caches(len(tokens))))
    likelihoods = logits[np.arange(len(tokens) - 1), tokens[1:]] - np.logaddexp.reduce(logits[:-1], axis=1)
    assert -likelihoods.mean() == pytest.approx(golden["nats_per_token"], abs=0.01)
