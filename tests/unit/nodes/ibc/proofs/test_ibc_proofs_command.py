"""`skyloom verify proof`: files of every shape, what is verified, what is not, and what cannot be read."""

from __future__ import annotations

import json
import tomllib
from base64 import b64encode
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from emulator.cli import verify
from emulator.model.errors import DataError, Unfit
from nodes.ibc.proofs import command
from nodes.ibc.proofs.forms import IAVL
from nodes.ibc.proofs.multistore import Multistore
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ibc import MerkleProof
from nodes.ibc.proto.ics23 import (
    BatchEntry,
    BatchProof,
    CommitmentProof,
    CompressedBatchEntry,
    CompressedBatchProof,
    CompressedExistenceProof,
    CompressedNonExistenceProof,
    ExistenceProof,
    InnerOp,
)
from nodes.ibc.proto.scalars import WireError

STORES = Multistore({"ibc": ProvableStore(IAVL), "bank": ProvableStore()})
for _name in (b"a", b"c", b"commitments/\x01"):
    STORES.stores["ibc"].set(_name, b"value")
ROOT = STORES.commit()
PROOFS = STORES.prove("ibc", b"c", 1)
OURS = {
    "root": ROOT.hex(),
    "path": ["ibc", "c"],
    "value": b"value".hex(),
    "proof": [proof.encode().hex() for proof in PROOFS],
}
INNER = {"root": STORES.stores["ibc"].root(1).hex(), "key": b"c".hex(), "value": b"value".hex(), "specs": ["iavl"]}
ABSENT = {**OURS, "path": ["ibc", "0x62"], "value": ""}
ABSENT["proof"] = [proof.encode().hex() for proof in STORES.prove("ibc", b"b", 1)]
ANSWER = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {
        "response": {
            "height": "1",
            "key": b64encode(b"c").decode(),
            "value": b64encode(b"value").decode(),
            "proofOps": {
                "ops": [
                    {"type": kind, "key": b64encode(key).decode(), "data": b64encode(proof.encode()).decode()}
                    for kind, key, proof in zip(("ics23:iavl", "ics23:simple"), (b"c", b"ibc"), PROOFS, strict=True)
                ]
            },
        }
    },
}


def run(folder: Path, content: Any, **options: Any) -> int:
    """The exit code for a file of this content."""
    file = folder / "proof"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return command.proof(str(file), **options)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (OURS, {}),
        (ABSENT, {}),
        ({**OURS, "proof": MerkleProof(PROOFS).encode().hex()}, {}),
        ({**INNER, "proof": PROOFS[0].encode().hex()}, {}),
        ({**INNER, "proof": MerkleProof(PROOFS[:1]).encode().hex()}, {}),
        (ANSWER, {"root": ROOT.hex()}),
        (ANSWER["result"], {"root": ROOT.hex().upper()}),
        (MerkleProof(PROOFS).encode(), {"root": "0x" + ROOT.hex(), "path": ["ibc", "c"], "value": b"value".hex()}),
        (PROOFS[0].encode(), {"root": INNER["root"], "path": ["c"], "value": b"value".hex(), "spec": ["iavl"]}),
    ],
    ids=["ours", "absence", "merkle proof", "one tree", "one tree in a merkle proof", "answer", "result", "protobuf",
         "protobuf of one tree"],
)  # fmt: skip
def test_what_is_proved_is_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, options: dict[str, Any]
) -> None:
    assert run(tmp_path, content, **options) == 0
    said = capsys.readouterr().out
    assert said.startswith("verified: ")
    assert "has no value" in said if content is ABSENT else "has the value 'value'" in said


def test_a_protobuf_that_begins_like_json_is_read_as_protobuf(tmp_path: Path) -> None:
    """Its first field has 123 bytes: a newline and a brace."""
    store = ProvableStore()
    store.set(b"key", b"v" * 64)
    store.set(b"other", b"value")
    root = store.commit().hex()
    content = store.prove(b"key", 1).encode()
    assert content.startswith(b"\n{")
    assert run(tmp_path, content, root=root, path=["key"], value=(b"v" * 64).hex(), spec=["tendermint"]) == 0


def batched(proof: CommitmentProof, *, compressed: bool) -> CommitmentProof:
    """A proof among others, in a batch."""
    other = STORES.prove("ibc", b"a", 1)[0].exist
    found = proof.exist or proof.nonexist
    assert found is not None
    if not compressed:
        entry = BatchEntry(exist=proof.exist, nonexist=proof.nonexist)
        return CommitmentProof(batch=BatchProof((BatchEntry(exist=other), entry)))
    table: list[InnerOp] = []

    def small(exist: ExistenceProof | None) -> CompressedExistenceProof | None:
        if exist is None:
            return None
        table.extend(exist.path)
        steps = tuple(range(len(table) - len(exist.path), len(table)))
        return CompressedExistenceProof(exist.key, exist.value, exist.leaf, steps)

    absent = proof.nonexist and CompressedNonExistenceProof(
        found.key, small(proof.nonexist.left), small(proof.nonexist.right)
    )
    entries = CompressedBatchEntry(exist=small(other)), CompressedBatchEntry(exist=small(proof.exist), nonexist=absent)
    return CommitmentProof(compressed=CompressedBatchProof(entries, tuple(table)))


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("claim", [OURS, ABSENT], ids=["existence", "absence"])
def test_of_a_batch_the_proof_of_the_key_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], claim: dict[str, Any], compressed: bool
) -> None:
    inner, outer = map(bytes.fromhex, claim["proof"])
    batch = batched(CommitmentProof.decode(inner), compressed=compressed).encode().hex()
    assert run(tmp_path, {**claim, "proof": [batch, outer.hex()]}) == 0
    assert run(tmp_path, {**claim, "proof": [batch, outer.hex()], "path": ["ibc", "other"]}) == 1
    assert "a batch of 2 proofs, none of them of 'other'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [{"root": "00" * 32}, {"value": "00"}, {"value": ""}, {"path": ["ibc", "a"]}, {"path": ["bank", "c"]},
     {"specs": ["tendermint", "tendermint"]}, {"proof": OURS["proof"][:1]}, {"proof": ABSENT["proof"]}],
)  # fmt: skip
def test_what_is_not_proved_is_not_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    assert run(tmp_path, {**OURS, **change}) == 1
    said = capsys.readouterr().out
    assert said.startswith("not verified: ")
    assert "\n  found     " in said
    assert "\n  expected  " in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no root; expected root in the file, or as an option"),
        (b"{", "JSON"),
        (b'{"\xff"', "no UTF-8"),
        ({**OURS, "root": ""}, "no root"),
        ({**OURS, "root": "xyz"}, "root is 'xyz'; expected hexadecimal digits"),
        ({**OURS, "root": 7}, "root is '7'"),
        ({**OURS, "path": "ibc"}, "path is ibc; expected a list"),
        ({**OURS, "path": [1, 2]}, "path is '1'"),
        ({**OURS, "proof": ["00", "00"]}, "expected"),
        ({**OURS, "proof": 5}, "proof is '5'"),
        ({**OURS, "specs": ["iavl"]}, "1 specs and 2 keys; expected a spec for each key"),
        ({**OURS, "specs": ["iavl", "merkle"]}, "spec 'merkle'; expected one of iavl, tendermint, smt"),
        ({**OURS, "specs": [["iavl"], 2]}, "spec"),
        ({key: value for key, value in OURS.items() if key != "path"}, "no path"),
        (ANSWER, "no root"),
        ({"jsonrpc": "2.0", "error": {"code": 1}}, "an answer without result.response.proofOps.ops"),
        ({"response": {"proofOps": {"ops": [{"type": "ics23:rsa"}]}}}, "ics23:rsa"),
        ({"response": {"proofOps": {"ops": [{"type": "ics23:iavl", "key": "Yw=="}]}}}, "data is 'None'"),
        ({"response": {"proofOps": {"ops": 3}}}, "an answer without"),
    ],
)
def test_what_cannot_be_read_is_an_error_of_data(tmp_path: Path, content: Any, said: str) -> None:
    file = tmp_path / "proof"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataError, match=f"^{file}: ") as error:
        command.proof(str(file))
    assert said in str(error.value)
    assert error.value.exit_code == 65


def test_files_that_are_absent_or_endless_are_errors_of_data(tmp_path: Path) -> None:
    for name in (tmp_path / "absent", tmp_path, Path("/dev/zero")):
        with pytest.raises(DataError, match=str(name)):
            command.proof(str(name))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(list(OURS.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*OURS, "key", "specs"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*OURS, "key", "specs", "jsonrpc", "response", "result"]), JSON))
def test_no_document_breaks_the_reader(found: dict[str, Any]) -> None:
    try:
        command.claim_of(json.dumps({**OURS, **found}).encode(), {})
    except (Unfit, WireError):
        pass


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        command.claim_of(data, {"root": "00", "path": ["a"], "specs": ["iavl"]})
    except (Unfit, WireError):
        pass


def test_the_command_is_a_plug_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry point as pyproject.toml has it: what is installed may be older."""
    project = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text())["project"]
    point = EntryPoint("proof", project["entry-points"][verify.GROUP]["proof"], verify.GROUP)
    monkeypatch.setattr(verify, "plugins", lambda: {"proof": point})
    (tmp_path / "proof").write_text(json.dumps(OURS))
    (tmp_path / "wrong").write_text(json.dumps({**OURS, "value": "00"}))
    for name, code in (("proof", 0), ("wrong", 1)):
        with pytest.raises(typer.Exit) as ended:
            verify.verify("proof", [str(tmp_path / name)])
        assert ended.value.exit_code == code
    assert capsys.readouterr().out.count("verified: ") == 2
