"""The real model against llama.cpp, and in parts against itself. Skips where the cache has no model."""

import json
from pathlib import Path

import numpy as np
import pytest
from pipeline_model import real

from nodes.pipeline.codecs.calibration import transfer
from nodes.pipeline.codecs.codec import HalfCodec
from nodes.pipeline.codecs.texts import text
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.tokenizer import Tokenizer

GOLDEN = json.loads((Path(__file__).parents[4] / "golden" / "pipeline" / "llama_cpp.json").read_text())
CUTS = (6, 15, 24)
CHUNK_TOKENS = 64


@pytest.mark.parametrize("kind", GOLDEN["tokens"])
def test_tokens_are_those_of_llama_cpp(kind):
    sample = GOLDEN["tokens"][kind]
    assert Tokenizer(real().metadata).encode(sample["text"]) == sample["tokens"]


def logits_of(chain: Chain, tokens: list[int]) -> np.ndarray:
    caches = chain.caches(len(tokens))
    chunks = [tokens[at : at + CHUNK_TOKENS] for at in range(0, len(tokens), CHUNK_TOKENS)]
    return np.concatenate([chain.logits(chain.forward(chunk, caches)) for chunk in chunks])


def loss_nat(logits: np.ndarray, tokens: list[int]) -> float:
    """The mean negative log likelihood of a text's tokens, but for the first."""
    normal = np.log(np.exp(logits[:-1]).sum(axis=1))
    return float((normal - logits[np.arange(len(tokens) - 1), tokens[1:]]).mean())


@pytest.mark.slow
@pytest.mark.timeout(400)  # 7 s of processor, and the memory of a whole model: other tests slow it down
def test_a_text_is_as_likely_as_by_llama_cpp_with_fp16_between_parts_too():
    """Within 0.01 nat a token: llama.cpp also quantises what it multiplies by the weights, which Skyloom does not."""
    golden, parts = GOLDEN["nll"], split(real(), CUTS)
    tokens = Tokenizer(real().metadata).encode(text("docs")[: golden["characters"]])
    assert len(tokens) == golden["tokens"]
    whole = logits_of(Chain(parts), tokens)
    assert loss_nat(whole, tokens) == pytest.approx(golden["nats_per_token"], abs=0.01)

    halves = logits_of(Chain(parts, [transfer(HalfCodec(parts[0].shape.hidden))] * len(CUTS)), tokens)
    assert loss_nat(halves, tokens) == pytest.approx(loss_nat(whole, tokens), abs=1e-3)
    first, second = np.partition(whole, (-1, -2), axis=1)[:, :-3:-1].T
    clear = first - second > 0.1
    assert clear.mean() > 0.8
    assert (halves.argmax(axis=1) == whole.argmax(axis=1))[clear].all()
