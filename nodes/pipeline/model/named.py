"""Models by the names that commands know: `smollm2`, the real one, and `synthetic`, which needs no download."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

from emulator.model.errors import UsageError
from nodes.pipeline.model import fetch
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.synthetic import synthetic_model

Name = Literal["smollm2", "synthetic"]
REAL, SYNTHETIC = "smollm2", "synthetic"


def sha256_of(name: str) -> str:
    """The hash of a model's file, in hex, without loading it. UsageError for a name that is none."""
    if name not in (REAL, SYNTHETIC):
        raise UsageError(f"model {name!r}; expected {REAL} or {SYNTHETIC}")
    return fetch.MODEL_SHA256 if name == REAL else sha256(synthetic_model()).hexdigest()


def load_named(name: str) -> Gguf:
    """The model, fetched where the cache has none. UsageError for a name that is none."""
    sha256_of(name)
    return fetch.load_model() if name == REAL else Gguf(synthetic_model())


def load_cached(name: str) -> Gguf:
    """The same for a node of a run, which cannot fetch it. PlatformError where the cache has none."""
    sha256_of(name)
    return fetch.load_cached() if name == REAL else Gguf(synthetic_model())
