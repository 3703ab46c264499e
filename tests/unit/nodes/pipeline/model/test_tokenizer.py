"""Pieces and tokens, those that llama.cpp gives, and tokenizers that are refused."""

import pytest
from pipeline_model import small

from emulator.model.errors import Unfit
from nodes.pipeline.model.tokenizer import Tokenizer, byte_letters, pieces

TOKENIZER = Tokenizer(small().metadata)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("It's a test, isn't it?", ["It", "'s", " a", " test", ",", " isn", "'t", " it", "?"]),
        ("a 1969 b", ["a", " ", "1", "9", "6", "9", " b"]),
        ("two  spaces\n\n end  ", ["two", " ", " spaces", "\n\n", " end", "  "]),
        ("x² ½", ["x", "²", " ", "½"]),
        ("e\u0301\u00a0ﬁ", ["e", "\u0301", "\u00a0", "ﬁ"]),
        ("a\x1cb", ["a", "\x1c", "b"]),
        ("!?'s", ["!?'", "s"]),
    ],
)
def test_pieces_are_those_of_gpt2_between_single_digits(text, expected):
    assert list(pieces(text)) == expected


def test_pairs_merge_by_rank_within_pieces():
    tokens = TOKENIZER.encode("the then thethe and rand")
    assert [TOKENIZER.bytes_of(token).decode() for token in tokens] == [
        "t", "he", " the", "n", " the", "t", "he", " and", " ", "r", "a", "nd"]  # fmt: skip


def test_names_of_special_tokens_in_a_text_are_text():
    tokens = TOKENIZER.encode("<|im_end|>")
    assert TOKENIZER.end not in tokens
    assert TOKENIZER.decode(tokens) == "<|im_end|>"
    assert TOKENIZER.decode([TOKENIZER.end]) == "<|im_end|>"


def test_a_prompt_of_one_long_word_takes_no_quadratic_time():
    assert len(TOKENIZER.encode("he" * 50_000)) == 50_000


def test_bytes_without_a_token_are_left_out():
    letter = byte_letters()[4]
    tokens = [token if token != letter else "unlike" for token in small().metadata["tokenizer.ggml.tokens"]]
    tokenizer = Tokenizer({**small().metadata, "tokenizer.ggml.tokens": tokens})
    assert tokenizer.decode(tokenizer.encode("h\4e")) == "he"
    assert len(tokenizer.encode("h\4e")) == 2


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model", "llama", "a tokenizer 'llama' with the rule 'smollm'"),
        ("pre", "qwen2", "with the rule 'qwen2'"),
        ("tokens", 5, "tokenizer.ggml.tokens is 5; expected a list of texts"),
        ("tokens", ["a", "a"], "tokens that are there twice"),
        ("merges", ["h q3"], "merge 'h q3', where 'q3' is no token"),
        ("merges", ["he"], "merge 'he', where '' is no token"),
        ("eos_token_id", 999, "tokenizer.ggml.eos_token_id is 999"),
    ],
)
def test_other_tokenizers_are_refused(key, value, said):
    with pytest.raises(Unfit, match=said):
        Tokenizer({**small().metadata, f"tokenizer.ggml.{key}": value})


def test_texts_and_tokens_that_cannot_be_are_refused():
    with pytest.raises(Unfit, match="a lone surrogate"):
        TOKENIZER.encode("a\ud800")
    for token in (-1, len(TOKENIZER)):
        with pytest.raises(Unfit, match=f"token {token}; expected 0 to"):
            TOKENIZER.decode([token])
