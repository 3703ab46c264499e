"""Benchmarks as they are run by hand: `python -m benchmarks NAME`, from the root of the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTS = """
from importlib import import_module
from benchmarks.__main__ import ALL
for name in ALL:
    import_module(f"benchmarks.{name}")
"""


def test_each_finds_what_it_imports_without_the_paths_of_tests() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not ended.returncode, ended.stderr
