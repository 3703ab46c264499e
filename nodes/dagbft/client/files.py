"""Files of proofs: lines of JSON that other programs can read, the committee first and then a proof a line.

Invariant: of a proof's line only `proof` counts; what stands beside it is for people. The committee in the file says
whom the proofs rest on, and is worth no more than the file: who does not trust that takes the keys from elsewhere.
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
    told = {
        "transaction": proof.transaction.hex(), "kind": Cause(proof.kind).name.lower(), "commits": proof.commits,
        "result": proof.result.hex(), "block": [proof.round, proof.author], "voters": proof.voters,
        "proof": proof.encode().hex(),
    }  # fmt: skip
    return json.dumps(told) + "\n"


def fingerprint(roster: Roster) -> str:
    """Sixteen hexadecimal digits that stand for the committee's keys, for people to compare."""
    return blake2b(b"".join(roster.publics), digest_size=8, person=b"dagbft keys").hexdigest()


def roster_of(line: str) -> Roster:
    """The committee of a first line. ValueError says what is wrong with another one."""
    told = _object(line)
    if told.get("format") != FORMAT:
        raise Unfit(f"format {told.get('format')!r}", f"{FORMAT!r}")
    try:
        publics = tuple(bytes.fromhex(public) for public in told["publics"])
        return Roster(int(told["epoch"]), publics, run=bytes.fromhex(told["run"]))
    except (KeyError, TypeError) as error:
        raise Unfit(f"committee without a good {error}", "run, epoch and publics") from None


def proof_of(line: str) -> Proof:
    """The proof of a line. ValueError where there is none."""
    told = _object(line).get("proof")
    if not isinstance(told, str):
        raise Unfit("no proof on the line", "one, as hexadecimal digits")
    return Proof.decode(bytes.fromhex(told))


class ProofFile:
    """A file that proofs are added to, at most so many; of a client that was restarted it goes on."""

    def __init__(self, path: Path, roster: Roster, most: int) -> None:
        self.left = most  # out of this many not written yet
        self._file = path.open("a")
        if not self._file.tell():
            self._file.write(committee_line(roster))

    def add(self, proofs: Iterable[Proof]) -> None:
        """Write these down, as far as there is room."""
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
        told = json.loads(line)
    except RecursionError:
        raise Unfit("a line nested too deeply", "a JSON object") from None
    if not isinstance(told, dict):
        raise Unfit("a line that is no JSON object", "one")
    return told
