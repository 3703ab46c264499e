"""Damaged files, and texts of any kind: an error that says what is wrong or a value, in bounded memory and time."""

from __future__ import annotations

import contextlib
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_model import small

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Part
from nodes.pipeline.model.synthetic import synthetic_model
from nodes.pipeline.model.tokenizer import Tokenizer, pieces

FILE = synthetic_model()
HEAD = FILE.index(b"blk.3.ffn_down.weight") + 60  # the end of what describes the tensors
TOKENIZER = Tokenizer(small().metadata)


def read(data: bytes) -> None:
    """Read a file as a stage does."""
    gguf = Gguf(data)
    Tokenizer(gguf.metadata)
    Part(gguf, 0, 4)


CHANGES = st.lists(
    st.tuples(st.integers(0, HEAD), st.one_of(st.binary(max_size=8), st.just(b"\xff" * 8)), st.booleans()),
    min_size=1,
    max_size=4,
)


@given(CHANGES, st.integers(0, len(FILE)))
def test_a_damaged_file_is_an_error_or_a_model(changes, cut):
    data = bytearray(FILE[: None if cut > HEAD else cut])
    for at, new, in_place in changes:
        data[at : at + len(new) * in_place] = new
    with contextlib.suppress(Unfit, Absent):
        read(bytes(data))


@given(st.binary(max_size=300))
def test_rubbish_behind_the_magic_is_an_error(data):
    with pytest.raises((Unfit, Absent)):
        read(b"GGUF\3\0\0\0" + data)


def test_counts_that_are_not_there_take_no_memory():
    """A count of billions right before the end: refused before anything is made of that size."""
    at = FILE.index(b"tokenizer.ggml.token_type") + 25 + 8
    data = FILE[:at] + (2**31).to_bytes(8, "little") + FILE[at + 8 :]
    tracemalloc.start()
    with pytest.raises(Unfit, match=r"the length of tokenizer.ggml.token_type"):
        Gguf(data)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


TEXTS = st.one_of(st.text(), st.text(alphabet="theand r'\n\t1é🚀"))


@given(TEXTS)
def test_a_text_comes_back(text):
    assert "".join(pieces(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.text(alphabet="thernd ", max_size=40))
def test_merges_are_those_of_the_plain_rule(text):
    """Again and again the lowest rank merges, the leftmost first: what the heap must come to."""
    ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(small().metadata["tokenizer.ggml.merges"])}
    expected = []
    for piece in pieces(text):
        tokens = list(piece.replace(" ", "Ġ"))
        while found := [(ranks[pair], at) for at, pair in enumerate(pairwise(tokens)) if pair in ranks]:
            _, at = min(found)
            tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]
        expected += tokens
    assert [TOKENIZER.bytes_of(token).decode().replace(" ", "Ġ") for token in TOKENIZER.encode(text)] == expected
