"""The engine's random streams against CPython's."""

from random import Random

import pytest
from engine_parts import engine
from hypothesis import given
from hypothesis import strategies as st


def expected(label, count):
    stream = Random(label)
    return [stream.random() for _ in range(count)]


@given(st.text(max_size=300))
def test_a_stream_is_that_of_cpython(label):
    assert engine().random(label, 5) == expected(label, 5)


@pytest.mark.parametrize("label", ["", "1/link/a:b/loss", "-7/link/sat-12:ground/jitter", "ä→衛星"])
def test_it_stays_so_when_its_numbers_are_made_anew(label):
    assert engine().random(label, 5000) == expected(label, 5000)


@pytest.mark.parametrize("size", [*range(1, 10), 47, 48, 111, 112, 113, 127, 128, 129, 239, 240, 256, 2432, 2433, 5000])
@pytest.mark.parametrize("letter", ["x", "\0"])
def test_sizes_at_which_blocks_words_and_arrays_end(size, letter):
    label = letter * size
    assert engine().random(label, 3) == expected(label, 3)
    assert engine().random(label + "y", 3) == expected(label + "y", 3)
