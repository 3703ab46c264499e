"""The blocks against their formulas, however a sequence is chunked and a model split, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from oracle.llama_slow import logits as slow_logits
from pipeline_model import chain_of, small

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.model.chain import Chain
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Part, Shape
from nodes.pipeline.model.quantisation import F32
from nodes.pipeline.model.synthetic import SMALL, gguf_file, synthetic_model
from nodes.pipeline.model.tokenizer import Tokenizer

PROMPT = Tokenizer(small().metadata).encode("The dark side of the moon, and then the other.")


def logits_of(chain: Chain, chunk_tokens: int) -> np.ndarray:
    caches = chain.caches(len(PROMPT))
    chunks = [PROMPT[at : at + chunk_tokens] for at in range(0, len(PROMPT), chunk_tokens)]
    return np.concatenate([chain.logits(chain.forward(chunk, caches)) for chunk in chunks])


@pytest.mark.parametrize("cuts", [(), (2,), (1, 2, 3)])
@pytest.mark.parametrize("chunk_tokens", [1, 7, 100])
def test_logits_are_those_of_the_formulas(cuts, chunk_tokens):
    assert logits_of(chain_of(small(), cuts), chunk_tokens) == pytest.approx(slow_logits(small(), PROMPT), abs=2e-4)


def test_greedy_tokens_are_those_of_a_whole_forward_pass():
    chain = chain_of(small(), (1, 3))
    found = list(chain.greedy(PROMPT, 8, chunk_tokens=5))
    whole = chain.logits(chain.forward([*PROMPT, *found], chain.caches(256))).argmax(axis=1)
    assert found == whole[len(PROMPT) - 1 : -1].tolist()


def test_a_sequence_goes_on_alike_where_its_blocks_move():
    """From two parts to three: blocks 1 to 3 move to new caches, whichever part they were in."""
    before, after = chain_of(small(), (2,)), chain_of(small(), (1, 3))
    old, new = before.caches(64), after.caches(64)
    before.forward(PROMPT, old)
    for block in range(4):
        data = old[block // 2].hand_over(block % 2)
        assert len(data) == len(PROMPT) * 2 * 2 * 16 * 4
        part = next(number for number, part in enumerate(after.parts) if part.first <= block < part.last)
        new[part].take_over(block - after.parts[part].first, data)
    moved, stayed = (chain.forward([7], caches) for chain, caches in ((after, new), (before, old)))
    assert (moved == stayed).all()


def test_keys_and_values_that_do_not_fit_are_refused():
    cache, other = chain_of(small()).caches(4)[0], chain_of(small()).caches(2)[0]
    chain_of(small()).forward([5, 6], [cache])
    data = cache.hand_over(0)
    for wrong in (b"", data[:-1], data * 2):
        with pytest.raises(Unfit, match="bytes of keys and values; expected those of 1 to 2 tokens"):
            other.take_over(0, wrong)
    with pytest.raises(Unfit, match="no finite numbers"):
        other.take_over(0, b"\xff" * len(data))
    other.take_over(0, data)
    with pytest.raises(Unfit, match="256 bytes of keys and values; expected those of 2 tokens"):
        other.take_over(1, data[: len(data) // 2])


def test_the_head_of_a_file_that_has_one_is_used():
    gguf = Gguf(synthetic_model())
    gguf.tensors["output.weight"] = Gguf(synthetic_model(seed=1)).tensors["token_embd.weight"]
    assert not np.allclose(logits_of(chain_of(gguf), 100), logits_of(chain_of(small()), 100))


def test_a_prompt_longer_than_the_context_is_refused():
    chain = chain_of(small())
    with pytest.raises(Unfit, match="a sequence of 1,025 tokens; expected at most 1,024, the model's context"):
        next(chain.greedy([5] * 1018, 7))
    caches = chain.caches(10)
    chain.forward([5] * 8, caches)
    with pytest.raises(Unfit, match="8 tokens and 3 more; expected at most 10 in all"):
        chain.forward([5] * 3, caches)


def test_an_empty_prompt_is_refused():
    with pytest.raises(Unfit, match="a prompt without tokens"):
        next(chain_of(small()).greedy([], 1))


@pytest.mark.parametrize("tokens", [[-1], [5, 300], []])
def test_numbers_that_are_no_tokens_are_refused(tokens):
    with pytest.raises(Unfit, match="one or more, each from 0 to"):
        chain_of(small()).forward(tokens, chain_of(small()).caches(8))


def test_parts_do_only_what_they_hold():
    middle = Part(small(), 1, 3)
    with pytest.raises(Unfit, match="rows of the block before"):
        middle.embed([5])
    with pytest.raises(Unfit, match="the output of block 2; expected that of block 3"):
        middle.logits(np.zeros((1, 64), np.float32))
    with pytest.raises(Unfit, match="blocks 3 to 3; expected some of 0 to 4"):
        Part(small(), 3, 3)


def test_a_chain_is_the_whole_model():
    with pytest.raises(Unfit, match=r"blocks \[\(0, 2\), \(3, 4\)\]"):
        Chain([Part(small(), 0, 2), Part(small(), 3, 4)])
    with pytest.raises(Unfit, match="1 transfers between 3 parts; expected 2"):
        chain_of(small(), (1, 2), (lambda rows: rows,))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("general.architecture", "gemma", "architecture 'gemma'; expected 'llama'"),
        ("llama.block_count", 0, "llama.block_count is 0; expected a number from 1"),
        ("llama.block_count", 1.5, "llama.block_count is 1.5; expected a whole number"),
        ("llama.embedding_length", "64", "llama.embedding_length is '64'"),
        ("llama.attention.head_count", 7, "64 values, 7 heads"),
        ("llama.attention.head_count_kv", 3, "4 heads, 3 of keys and values"),
        ("llama.rope.dimension_count", 8, "on a part of each head; expected on all its 16 values"),
        ("llama.rope.scaling.type", "yarn", "scaled by 'yarn'"),
        ("llama.attention.layer_norm_rms_epsilon", float("nan"), "is nan"),
    ],
)
def test_metadata_of_other_models_are_refused(key, value, said):
    gguf = Gguf(synthetic_model())
    gguf.metadata[key] = value
    with pytest.raises(Unfit, match=said):
        Shape.of(gguf)


def test_a_file_without_a_tensor_or_with_another_shape_is_refused():
    gguf = Gguf(synthetic_model())
    gguf.tensors["blk.2.attn_q.weight"] = gguf.tensors.pop("blk.2.ffn_up.weight")
    with pytest.raises(Unfit, match=r"tensor blk.2.attn_q.weight of shape \(128, 64\); expected \(64, 64\)"):
        Part(gguf, 0, 4)
    del gguf.tensors["blk.2.attn_q.weight"]
    with pytest.raises(Absent, match=r"no tensor blk.2.attn_q.weight"):
        Part(gguf, 0, 4)


def test_weights_that_overflow_are_refused():
    huge = {"blk.1.ffn_norm.weight": np.full(64, 3e38), "blk.1.ffn_gate.weight": np.full((128, 64), 2)}
    gguf = Gguf(synthetic_model())
    gguf.tensors |= Gguf(gguf_file({}, {name: (F32, values.astype("f4")) for name, values in huge.items()})).tensors
    with pytest.raises(Unfit, match=r"tensor blk.1.ffn_gate.weight times blk.1.ffn_norm.weight beyond float32"):
        Part(gguf, 0, 4)


def test_equal_seeds_make_equal_models():
    assert synthetic_model(3) == synthetic_model(3) != synthetic_model(4)
    assert replace(Shape.of(small()), vocabulary=0) == SMALL
