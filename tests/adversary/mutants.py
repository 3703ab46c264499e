"""Faults put into copies of the sources, one at a time, to see that the search finds each.

Invariant: the search does not know which fault it looks for. What is in the pure cores is looked for with schedules,
what is in primaries and workers with committees, and what is in validators without certificates with theirs.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mutant_lists import Mutant, read_mutants

from .verdict import Fault

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = ROOT / "nodes" / "dagbft"
CPU_S = 900  # for one fault: more means that something never ends


def search_of(mutant: Mutant) -> str:
    """The search that plays the mutant's file."""
    if mutant.file.startswith("uncertified/"):
        return "uncertified"
    return "schedules" if mutant.file.startswith(("consensus/", "execution/")) else "committees"


MUTANTS = read_mutants(HERE / "mutants.txt")


def put(mutant: Mutant, folder: Path) -> None:
    """Copy the sources, with one fault, to a folder."""
    shutil.copytree(ROOT / "nodes", folder / "nodes", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "nodes" / "dagbft" / mutant.file
    path.write_text(mutant.applied(path.read_text()))


def hunt(play: Callable[[int], Counter[str]], most: int) -> str:
    """Play until something is found: how many plays that took, how many seconds, and what it was; "" for nothing."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    begin = time.process_time()
    for seed in range(most):
        try:
            play(seed)
        except Exception as error:
            kind = error.kind if isinstance(error, Fault) else type(error).__name__
            return f"{seed + 1} {time.process_time() - begin:.0f} {kind}"
    return ""


def find(mutant: Mutant, most: int) -> str:
    """Hunt for one in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="skyloom-mutant-") as name:
        put(mutant, Path(name))
        command = [sys.executable, "-P", "-m", "tests.adversary", "--hunt", search_of(mutant), "--most", str(most)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((name, str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        return f"? {CPU_S} it never ended"
    if done.returncode:
        raise RuntimeError(f"{mutant.what}: {done.stderr}")
    return done.stdout.strip()


def table(words: list[str], most: int) -> int:
    """Print how long each mutant that has all these words lives; 1 where one is not found."""
    missed = 0
    print("| file | what is wrong | search | plays | s | found as |\n|---|---|---|---|---|---|")
    for mutant in MUTANTS:
        if all(word in f"{mutant.file} {mutant.what}" for word in words):
            found = find(mutant, most)
            missed += not found
            plays, seconds, kind = found.split(" ", 2) if found else (f"> {most}", "", "**not found**")
            print(f"| {mutant.file} | {mutant.what} | {search_of(mutant)} | {plays} | {seconds} | {kind} |", flush=True)
    return min(missed, 1)
