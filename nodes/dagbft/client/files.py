"""Files of proofs in JSON lines: the committee on the first line, then one proof a line.

Invariant: only the key `proof` of a line is checked; the others are for people. The committee in the file names the
keys that the proofs rest on, and is as trustworthy as the file: a reader who does not trust it needs the keys from
elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from emulator.model.errors import Unfit
from nodes.dagbft.client.proof import Proof
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster

FORMAT = "dagbft proofs 1"
MOST_LINE = 500_000  # characters


def committee_line(roster: Roster) -> str:
    """The first line."""
    publics = [public.hex() for public in roster.publics]
    return json.dumps({"format": FORMAT, "run": roster.run.hex(), "epoch": roster.epoch, "publics": publics}) + "\n"


def proof_line(proof: Proof) -> str:
    """The line of a proof."""
    document = {
        "transaction": proof.transaction.hex(), "kind": Cause(proof.kind).name.lower(), "commits": proof.commits,
        "result": proof.result.hex(), "block": [proof.round, proof.author], "voters": proof.voters,
        "proof": proof.encode().hex(),
    }  # fmt: skip
    return json.dumps(document) + "\n"


def fingerprint(roster: Roster) -> str:
    """Sixteen hexadecimal digits that stand for the committee's keys, for people to compare."""
    return blake2b(b"".join(roster.publics), digest_size=8, person=b"dagbft keys").hexdigest()


def roster_of(line: str) -> Roster:
    """The committee of a first line. ValueError if the line is malformed."""
    document = _object(line)
    if document.get("format") != FORMAT:
        raise Unfit(f"format {document.get('format')!r}", f"{FORMAT!r}")
    try:
        publics = tuple(bytes.fromhex(public) for public in document["publics"])
        return Roster(int(document["epoch"]), publics, run=bytes.fromhex(document["run"]))
    except (KeyError, TypeError) as error:
        raise Unfit(f"committee without a good {error}", "run, epoch and publics") from None


def proof_of(line: str) -> Proof:
    """The proof of a line. ValueError if the line has none."""
    document = _object(line).get("proof")
    if not isinstance(document, str):
        raise Unfit("no proof on the line", "one, in hexadecimal digits")
    return Proof.decode(bytes.fromhex(document))


class ProofFile:
    """A file to which at most `most` proofs are appended; a restarted client continues its file."""

    def __init__(self, path: Path, roster: Roster, most: int) -> None:
        self.left = most  # proofs that may still be written
        self._file = path.open("a")
        if not self._file.tell():
            self._file.write(committee_line(roster))

    def add(self, proofs: Iterable[Proof]) -> None:
        """Append these proofs, up to the limit."""
        for proof in proofs:
            if self.left:
                self.left -= 1
                self._file.write(proof_line(proof))

    def close(self) -> None:
        self._file.close()


def _object(line: str) -> dict[str, Any]:
    if len(line) > MOST_LINE:
        raise Unfit(f"line of {len(line)} characters", f"at most {MOST_LINE}")
    try:
        document = json.loads(line)
    except RecursionError:
        raise Unfit("a line nested too deeply", "a JSON object") from None
    if not isinstance(document, dict):
        raise Unfit("a line that is no JSON object", "one")
    return document
