"""Files of proofs, their command, and a verifier that shares no code with this project."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nodes.dagbft.client.files import ProofFile, committee_line, fingerprint, proof_line
from nodes.dagbft.client.merkle import Tree
from nodes.dagbft.client.messages import Statement, leaf_of
from nodes.dagbft.client.proof import Branch, Proof
from nodes.dagbft.client.verify import main
from nodes.dagbft.identity import Identity, Roster

NAMES = ["v0", "v1", "v2", "v3"]
KEYS = [Identity.of(1, name) for name in NAMES]
ROSTER = Roster.of(1, NAMES, run=b"this run")


def proof(number: int, kind: int, voters: tuple[int, ...] = (0, 1, 3)) -> Proof:
    commits = 12 if kind == 2 else 0
    entries = [((number + at).to_bytes(16, "big"), bytes([number]) * 32, 7, 2) for at in range(5)]
    tree = Tree([leaf_of(*entry) for entry in entries])
    digest = Statement(ROSTER.run, 0, kind, commits, tree.count, tree.root).digest
    votes = tuple((voter, KEYS[voter].sign(digest)) for voter in voters)
    return Proof(ROSTER.run, 0, kind, commits, *entries[4], (Branch(5, 4, tree.path(4), votes),))


def foreign_check(first: str, line: str) -> bool:
    """What docs/lemonshark.md says of proofs, written from there with hashlib and a library for Ed25519."""

    def digest(kind: str, data: bytes) -> bytes:
        return blake2b(data, digest_size=32, person=kind.encode()).digest()

    committee, data = json.loads(first), bytes.fromhex(json.loads(line)["proof"])
    run, epoch, kind, commits = data[:8], data[8:12], data[12:13], data[13:21]
    transaction_and_result, round_and_author = data[21:69], data[69:79]
    branches, at = int.from_bytes(data[79:81], "big"), 81
    if run.hex() != committee["run"] or int.from_bytes(epoch, "big") != committee["epoch"]:
        return False
    signers = []
    for _ in range(branches):
        count, index = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        path = [data[at + 9 + 32 * step : at + 41 + 32 * step] for step in range(data[at + 8])]
        at += 9 + 32 * len(path)
        node, width = digest("dagbft result", transaction_and_result + round_and_author), int.from_bytes(count, "big")
        if index >= width:
            return False
        while width > 1:
            if index ^ 1 < width:
                if not path:
                    return False
                pair = (path.pop(0), node) if index % 2 else (node, path.pop(0))
                node = digest("dagbft node", b"".join(pair))
            index, width = index // 2, (width + 1) // 2
        if path:
            return False
        statement = digest("dagbft finality", run + epoch + kind + commits + count + node)
        votes = int.from_bytes(data[at : at + 2], "big")
        at += 2
        for _ in range(votes):
            voter, signature = int.from_bytes(data[at : at + 2], "big"), data[at + 2 : at + 66]
            at += 66
            try:
                key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(committee["publics"][voter]))
                key.verify(signature, statement)
            except (InvalidSignature, IndexError):
                return False
            signers.append(voter)
    n = len(committee["publics"])
    return len(signers) == len(set(signers)) >= n - (n - 1) // 3


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, name: str = "client.proofs") -> Path:
        path = tmp_path / name
        path.write_text("".join(lines))
        return path

    return write


def test_a_verifier_that_shares_no_code_takes_what_this_one_takes() -> None:
    first = committee_line(ROSTER)
    for kind in (1, 2):
        assert foreign_check(first, proof_line(proof(3, kind)))
        assert not foreign_check(first, proof_line(proof(3, kind, (0, 1))))


def test_the_command_says_what_holds(written: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = written(committee_line(ROSTER), proof_line(proof(1, 2)), proof_line(proof(2, 1)), proof_line(proof(3, 2)))
    assert main([str(path)]) == 0
    told = capsys.readouterr().out
    assert "2 final and 1 early proofs hold, 0 refused (3 of 4 signatures each" in told
    assert fingerprint(ROSTER) in told


def test_the_command_refuses_by_line_and_reason(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    few = proof(1, 2, (0, 3))
    path = written(committee_line(ROSTER), proof_line(few), "{}\n", "[" * 100_000 + "\n", proof_line(proof(3, 2)))
    assert main([str(path)]) == 1
    told = capsys.readouterr()
    assert "1 final and 0 early proofs hold, 3 refused" in told.out
    assert "line 2: refused: few" in told.err
    assert "line 3: no proof on the line" in told.err
    assert "line 4: a line nested too deeply" in told.err
    assert main(["--correct", str(written(committee_line(ROSTER), proof_line(few)))]) == 0


def test_keys_can_be_taken_from_elsewhere(written: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    other = Roster.of(2, NAMES, run=b"this run")
    mine = written(committee_line(ROSTER), proof_line(proof(1, 2)))
    assert main([str(mine), "--committee", str(written(committee_line(other), name="other"))]) == 1
    assert "refused: signature" in capsys.readouterr().err
    assert main([str(mine), "--committee", str(written(committee_line(ROSTER), name="own"))]) == 0


SHORT_KEY = committee_line(ROSTER).replace(ROSTER.publics[0].hex(), "ff")


@pytest.mark.parametrize("first", ["", "[]\n", "{}\n", '{"format": "dagbft proofs 1"}\n', SHORT_KEY])
def test_what_is_no_file_of_proofs(
    written: Callable[..., Path], capsys: pytest.CaptureFixture[str], first: str
) -> None:
    assert main([str(written(first, proof_line(proof(1, 2))))]) == 2
    assert "no file of proofs: " in capsys.readouterr().err


def test_a_file_goes_on_where_it_was_and_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "client.proofs"
    for number in (1, 2):
        file = ProofFile(path, ROSTER, 2)
        file.add([proof(number, 2), proof(number, 1), proof(9, 2)])
        file.close()
        assert file.left == 0
    assert len(path.read_text().splitlines()) == 1 + 2 + 2
    assert main([str(path)]) == 0
