"""`skyloom verify proof`: an ICS-23 proof from a file.

Invariant: a file that cannot be read as a proof with its claim is a DataError (65); only a claim that was read whole is
said to be verified (0) or not (1).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from emulator.model.errors import EXIT_FAIL, EXIT_PASS, DataError, Unfit
from emulator.model.inputs import parse_json, read_bytes
from nodes.ibc.proofs.batch import proof_of
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.specs import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC
from nodes.ibc.proofs.verify import shown, verify_membership, verify_non_membership
from nodes.ibc.proto.ibc import MerkleProof
from nodes.ibc.proto.ics23 import CommitmentProof
from nodes.ibc.proto.scalars import WireError

SPECS = {"iavl": IAVL_SPEC, "tendermint": TENDERMINT_SPEC, "smt": SMT_SPEC}
OP_SPECS = {
    "ics23:iavl": "iavl",
    "ics23:simple": "tendermint",
    "ics23:smt": "smt",
}  # by the names of answers to queries
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Claim:
    """What a file claims: a value at a path under a root, or none, with proofs and specs from the innermost tree."""

    root: bytes
    path: tuple[bytes, ...]
    value: bytes
    proofs: tuple[CommitmentProof, ...]
    specs: tuple[str, ...]

    def __str__(self) -> str:
        value = f"has the value {shown(self.value)}" if self.value else "has no value"
        return f"{'/'.join(map(shown, self.path))} {value} under the root {self.root.hex()}"


def proof(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or protobuf.")],
    root: Annotated[str, typer.Option(help="The root, in hexadecimal: the app hash of a header.")] = "",
    path: Annotated[list[str] | None, typer.Option(help="A key, from the root inwards; 0x… for bytes.")] = None,
    value: Annotated[str, typer.Option(help="The value, in hexadecimal; without it, that there is none.")] = "",
    spec: Annotated[list[str] | None, typer.Option(help="iavl, tendermint or smt, innermost tree first.")] = None,
) -> int:
    """Check an ICS-23 proof of a value, or of its absence: 0 verified, 1 not.

    A JSON file has root, proof, value and path or key (bytes in hexadecimal; several proofs as a list, innermost first;
    specs likewise), or is a node's answer to abci_query. A protobuf file is a MerkleProof or a CommitmentProof. Options
    give what the file lacks. Of a batch, plain or compressed, the proof of the key is taken; chains take none.
    """
    options = {"root": root, "path": path or [], "value": value, "specs": spec or []}
    try:
        claim = claim_of(read_bytes(file, MOST_BYTES), {key: given for key, given in options.items() if given})
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    except (Unfit, WireError) as error:
        raise DataError(f"{file}: {error}") from error
    try:
        check(claim)
    except ProofError as error:
        typer.echo(f"not verified: {claim}\n  found     {error.found}\n  expected  {error.expected}")
        return EXIT_FAIL
    typer.echo(f"verified: {claim}\n  trees     {' in '.join(claim.specs)}")
    return EXIT_PASS


def check(claim: Claim) -> None:
    """ProofError where the claim is not proved."""
    specs = [SPECS[name] for name in claim.specs]
    proofs = [proof_of(*each) for each in zip(claim.proofs, specs, reversed(claim.path), strict=False)]
    if claim.value:
        verify_membership(proofs, specs, claim.root, claim.path, claim.value)
    else:
        verify_non_membership(proofs, specs, claim.root, claim.path)


def claim_of(data: bytes, options: Mapping[str, Any]) -> Claim:
    """The claim of a file, with what options add to it. Unfit or WireError where something is missing or malformed."""
    if _is_json(data):
        try:
            document = parse_json(data.decode())
        except UnicodeDecodeError as error:
            raise Unfit(f"byte {error.start} is no UTF-8", "JSON in UTF-8") from None
        found: dict[str, Any] = _of_answer(document) if {"jsonrpc", "response"} & document.keys() else dict(document)
    else:
        found = {"proof": data}
    found.update(options)
    if "key" in found and "path" not in found:
        found["path"] = [_octets(found["key"], "key")]
    for name in ("root", "path", "proof"):
        if not found.get(name):
            raise Unfit(f"no {name}", f"{name} in the file, or as an option")
    path = tuple(map(_key, _list(found["path"], "path")))
    proofs = _proofs(found["proof"])
    specs = tuple(_list(found.get("specs") or {2: ["iavl", "tendermint"]}.get(len(path), []), "specs"))
    for name in specs:
        if not isinstance(name, str) or name not in SPECS:
            raise Unfit(f"spec {name!r}", f"one of {', '.join(SPECS)}")
    if len(specs) != len(path):
        raise Unfit(f"{len(specs)} specs and {len(path)} keys", "a spec for each key: --spec, innermost tree first")
    return Claim(_octets(found["root"], "root"), path, _octets(found.get("value") or "", "value"), proofs, specs)


def _is_json(data: bytes) -> bool:
    """Whether a file holds an object of JSON.

    A protobuf whose first field has 123 bytes begins like one, with a newline and a brace; but every proof names its
    hash after the byte 08, and JSON holds no such character.
    """
    return data.lstrip()[:1] == b"{" and b"\x08" not in data


def _of_answer(document: Any) -> dict[str, Any]:
    """A node's answer to abci_query. The root is not in it: that is for a header to say."""
    answer = document.get("result", document)
    answer = answer.get("response", answer) if isinstance(answer, dict) else None
    proof_ops = answer.get("proofOps") if isinstance(answer, dict) else None
    ops = proof_ops.get("ops") if isinstance(proof_ops, dict) else None
    if not isinstance(answer, dict) or not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise Unfit("an answer without result.response.proofOps.ops", "an answer to abci_query with prove=true")
    types = [op.get("type") for op in ops]
    if not all(isinstance(each, str) and each in OP_SPECS for each in types):
        raise Unfit(f"proof operations {types}", f"ones of {', '.join(OP_SPECS)}")
    data, keys = ([_base64(op.get(name), name) for op in ops] for name in ("data", "key"))
    return {
        "path": keys[::-1],
        "value": _base64(answer.get("value") or "", "value"),
        "proof": data,
        "specs": [OP_SPECS[each] for each in types],
    }


def _proofs(found: Any) -> tuple[CommitmentProof, ...]:
    """Proofs as a list, or as the bytes of a MerkleProof or of a single CommitmentProof.

    No valid proof is both: a key and a value would be two branches of a oneof.
    """
    if isinstance(found, list):
        return tuple(CommitmentProof.decode(_octets(each, "proof")) for each in found)
    data = _octets(found, "proof")
    try:
        return MerkleProof.decode(data).proofs
    except WireError:
        return (CommitmentProof.decode(data),)


def _list(found: Any, name: str) -> list[Any]:
    if not isinstance(found, list):
        raise Unfit(f"{name} is {str(found)[:40]}", "a list")
    return found


def _key(found: Any) -> bytes:
    """A key of a path: text, or bytes after 0x."""
    if isinstance(found, str) and not found.startswith("0x"):
        return found.encode()
    return _octets(found, "path")


def _octets(found: Any, name: str) -> bytes:
    if isinstance(found, bytes):
        return found
    return _read(lambda text: bytes.fromhex(text.removeprefix("0x")), found, name, "hexadecimal digits")


def _base64(found: Any, name: str) -> bytes:
    return _read(lambda text: b64decode(text, validate=True), found, name, "base64")


def _read(reader: Callable[[str], bytes], found: Any, name: str, expected: str) -> bytes:
    try:
        return reader(found)
    except (ValueError, TypeError, AttributeError):
        raise Unfit(f"{name} is {str(found)[:40]!r}", expected) from None
