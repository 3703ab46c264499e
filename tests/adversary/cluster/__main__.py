"""Puts each fault of `mutants.txt` into a copy of the tree, runs its finder there, and prints what came of it.

An entry's heading is "file: what is wrong | finder", the finder being a file or test below tests/. Exit code 1: a fault
was not found. Invariant: a finder passes without a fault, or it would seem to find anything.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutant_lists import Mutant, read_mutants

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LONGEST_S = 120.0  # of a finder: more means that something never ends
MUTANTS = [
    (mutant._replace(what=what), finder)
    for mutant in read_mutants(HERE / "mutants.txt")
    for what, _, finder in [mutant.what.partition(" | ")]
]


def passes(tree: Path, finder: str) -> bool:
    """Whether the finder passes in this copy of the tree."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{finder}"]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def found(tree: Path, mutant: Mutant, finder: str) -> bool:
    """Whether the finder fails with the fault, which is not there any more afterwards."""
    path = tree / mutant.file
    sound = path.read_text()
    path.write_text(mutant.applied(sound))
    try:
        return not passes(tree, finder)
    finally:
        path.write_text(sound)


def main(words: list[str]) -> int:
    chosen = [(mutant, finder) for mutant, finder in MUTANTS if all(word in mutant.what for word in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "runs"))
        for finder in dict.fromkeys(finder for _, finder in chosen):
            if not passes(tree, finder):
                print(f"{finder} fails without a fault")
                return 1
        for mutant, finder in chosen:
            since_s = time.monotonic()
            is_found = found(tree, mutant, finder)
            missed += not is_found
            word = "found" if is_found else "NOT FOUND"
            print(
                f"{word:9}  {time.monotonic() - since_s:5.1f} s  {mutant.what}  ({mutant.file}; {finder})", flush=True
            )
    print(f"{len(chosen) - missed} of {len(chosen)} faults found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
