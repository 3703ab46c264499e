"""`python -m nodes.dagbft.client.verify FILE…`: checks files of proofs without a network or a run.

Prints the committee of each file and how many proofs hold. The exit code is 1 if a proof is refused, 2 if a file is no
file of proofs. `--committee OTHER` takes the keys from the first line of another file, which the reader trusts;
`--correct` requires f + 1 signatures instead of a quorum.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from nodes.dagbft.client.files import MOST_LINE, fingerprint, proof_of, roster_of
from nodes.dagbft.client.proof import check_proof
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster, Verifier


def check_file(path: Path, roster: Roster | None = None, correct: bool = False) -> tuple[Roster, Counter[str]]:
    """The committee, and counts of proofs that hold (`early`, `final`) or are refused, by reason.

    `roster` replaces the committee of the file. OSError and ValueError if it is no file of proofs.
    """
    counts: Counter[str] = Counter()
    verifier = Verifier()
    with path.open() as file:
        own = roster_of(file.readline(MOST_LINE + 1))
        roster = roster or own
        need = roster.committee.faults + 1 if correct else roster.committee.quorum
        for number, line in enumerate(file, 2):
            try:
                proof = proof_of(line)
            except ValueError as error:
                sys.stderr.write(f"{path}, line {number}: {error}\n")
                counts["refused: malformed"] += 1
                continue
            if reason := check_proof(proof, roster, need, verifier):
                sys.stderr.write(f"{path}, line {number}: refused: {reason}\n")
                counts[f"refused: {reason}"] += 1
            else:
                counts[Cause(proof.kind).name.lower().replace("committed", "final")] += 1
    return roster, counts


def committee_of(path: Path) -> Roster:
    """The committee that a file names. OSError and ValueError if it is no file of proofs."""
    with path.open() as file:
        return roster_of(file.readline(MOST_LINE + 1))


def main(words: list[str] | None = None) -> int:
    """Check the files; returns the exit code."""
    parser = argparse.ArgumentParser("python -m nodes.dagbft.client.verify", description="Check files of proofs.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--committee", type=Path, metavar="OTHER", help="take the committee's keys from this file")
    parser.add_argument("--correct", action="store_true", help="want f + 1 signatures, not a quorum")
    arguments = parser.parse_args(words)
    code = 0
    try:
        trusted = committee_of(arguments.committee) if arguments.committee else None
        for path in arguments.files:
            roster, counts = check_file(path, trusted, arguments.correct)
            n, need = roster.committee.n, roster.committee.faults + 1 if arguments.correct else roster.committee.quorum
            refused = sum(count for name, count in counts.items() if name.startswith("refused"))
            code |= bool(refused)
            sys.stdout.write(
                f"{path}: {counts['final']} final and {counts['early']} early proofs hold, {refused} refused"
                f" ({need} of {n} signatures each; committee {fingerprint(roster)}, run {roster.run.hex()})\n"
            )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no file of proofs: {error}\n")
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
