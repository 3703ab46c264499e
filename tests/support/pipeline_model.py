"""The models that tests of the pipeline use: a synthetic one, and the real one where the user's cache has it."""

from functools import cache

import pytest

from nodes.pipeline.model.chain import Chain, Transfer, split
from nodes.pipeline.model.fetch import WHEEL, cached_path, load_model
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.synthetic import synthetic_model


@cache
def small() -> Gguf:
    return Gguf(synthetic_model())


def chain_of(gguf: Gguf, cuts: tuple[int, ...] = (), transfers: tuple[Transfer, ...] = ()) -> Chain:
    """A model split at the given blocks."""
    return Chain(split(gguf, cuts), transfers)


@cache
def real() -> Gguf:
    """SmolLM2. Skips a test, with the reason, where it is not in the cache: tests download nothing."""
    if not cached_path().exists():
        pytest.skip(f"no {cached_path()}: it comes with the first fetch of {WHEEL}, which tests do not make")
    return load_model()
