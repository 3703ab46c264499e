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

CPU_S = 120  # what the finders may take: more means that the verifier never ends

MUTANTS = read_mutants(HERE / "mutants.txt")
FINDERS = {
    "vectors": "tests/conformance/ibc/test_ics23.py",
    "rules": "tests/unit/nodes/ibc/proofs/test_ibc_proofs_checks.py",
    "attacker": "tests/conformance/ibc/test_proof_forgeries.py",
}
QUICK = "not flipped and not early"  # a fault lets whole proofs pass: their bits would take most of the time


class Failures:
    """A plug-in of pytest that keeps the files whose tests fail."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.files.add(report.location[0])


def put(mutant: Mutant, folder: Path) -> None:
    """Copy the verifier, with one fault, to a folder."""
    shutil.copytree(ROOT / "nodes/ibc/proofs", folder / "proofs", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "proofs" / mutant.file
    path.write_text(mutant.applied(path.read_text()))


def found_by(mutant: Mutant) -> dict[str, bool]:
    """Which finders fail on it. They run in a fork, which has pytest already; one that never ends fails all."""
    with tempfile.TemporaryDirectory(prefix="skyloom-mutant-") as name:
        put(mutant, Path(name))
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
            nodes.ibc.__path__.insert(0, name)
            failures = Failures()
            ended = pytest.main(["-q", "-p", "no:cacheprovider", "-k", QUICK, *FINDERS.values()], [failures])
            os._exit(
                128 if ended > 1 else sum(1 << at for at, each in enumerate(FINDERS.values()) if each in failures.files)
            )
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGXCPU:
        return dict.fromkeys(FINDERS, True)
    if not 0 <= code < 128:
        raise RuntimeError(f"{mutant.what}: pytest ended with {code}")
    return {finder: bool(code >> at & 1) for at, finder in enumerate(FINDERS)}


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
