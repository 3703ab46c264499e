"""Faults put into copies of the verifier, one at a time, to see what finds each: vectors, tests of rules, the attacker.

Run by hand: `python tests/conformance/ibc/mutants.py [word…]` tries the faults whose description has all of the words,
and prints a table. What nothing finds makes the exit code 1. Many rules guard each other: the attacker cannot use the
loss of one alone. So each has a test of its own, too.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
if __name__ == "__main__":  # pytest has these folders already
    sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "support"), str(ROOT)]

from mutant_lists import Mutant, read_mutants  # noqa: E402

import nodes.ibc.proto.ics23  # noqa: E402

CPU_S = 120  # what a finder may take: more means that the verifier never ends

MUTANTS = read_mutants(HERE / "mutants.txt")
FINDERS = {
    "vectors": ["tests/conformance/ibc/test_ics23.py", "-k", "not flipped and not early"],
    "rules": ["tests/unit/nodes/ibc/proofs/test_ibc_proofs_checks.py"],
    "attacker": ["tests/conformance/ibc/test_proof_forgeries.py"],
}


def put(mutant: Mutant, folder: Path) -> None:
    """Copy the verifier, with one fault, to a folder."""
    shutil.copytree(ROOT / "nodes/ibc/proofs", folder / "proofs", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "proofs" / mutant.file
    path.write_text(mutant.applied(path.read_text()))


def fails(finder: str, folder: Path) -> bool:
    """Whether a finder's tests fail with the verifier of a folder. They run in a fork, which has pytest already."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        nodes.ibc.__path__.insert(0, str(folder))
        os._exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *FINDERS[finder]]))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, 1, -signal.SIGXCPU):
        raise RuntimeError(f"{finder} ended with {code}")
    return code != 0


def found_by(mutant: Mutant) -> dict[str, bool]:
    """Which finders fail on it."""
    with tempfile.TemporaryDirectory(prefix="skyloom-mutant-") as name:
        put(mutant, Path(name))
        return {finder: fails(finder, Path(name)) for finder in FINDERS}


def main() -> int:
    os.chdir(ROOT)
    missed = 0
    print(f"| file | what is wrong | {' | '.join(FINDERS)} |\n|---|---|{'---|' * len(FINDERS)}")
    for mutant in MUTANTS:
        if all(word in f"{mutant.file} {mutant.what}" for word in sys.argv[1:]):
            found = found_by(mutant)
            missed += not any(found.values())
            row = [mutant.file, mutant.what, *("found" if each else "" for each in found.values())]
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{missed} of them not found")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
