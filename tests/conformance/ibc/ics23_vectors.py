"""The vectors of cosmos/ics23 as they lie in ../shared/data/ibc/ics23; SOURCES.md there has their origin.

Invariant: they are read where they lie, and a test without them is skipped, saying so.
"""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from nodes.ibc.proofs.specs import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC
from nodes.ibc.proto.ics23 import ExistenceProof, HashOp, InnerOp, InnerSpec, LeafOp, LengthOp, ProofSpec

DATA = Path(__file__).resolve().parents[4] / "shared/data/ibc/ics23"
needs_vectors = pytest.mark.skipif(not DATA.is_dir(), reason="reference data ../shared/data/ibc/ics23 is absent")
SPECS = {"iavl": IAVL_SPEC, "tendermint": TENDERMINT_SPEC, "smt": SMT_SPEC}
SIDES = ("left", "middle", "right")
PROOFS = [f"{tree}/{kind}_{side}" for tree in SPECS for kind in ("exist", "nonexist") for side in SIDES]


def vectors(name: str) -> Any:
    """The document of a file, or nothing where the data are absent."""
    path = DATA / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def octets(text: str | None) -> bytes:
    return b64decode(text or "")


def leaf_op(found: dict[str, Any] | None) -> LeafOp | None:
    if found is None:
        return None
    hashes = (HashOp(found.get(name, 0)) for name in ("hash", "prehash_key", "prehash_value"))
    return LeafOp(*hashes, LengthOp(found.get("length", 0)), octets(found.get("prefix")))


def inner_op(found: dict[str, Any]) -> InnerOp:
    return InnerOp(HashOp(found.get("hash", 0)), octets(found.get("prefix")), octets(found.get("suffix")))


def existence_proof(found: dict[str, Any]) -> ExistenceProof:
    path = tuple(inner_op(step) for step in found.get("path", ()))
    return ExistenceProof(octets(found.get("key")), octets(found.get("value")), leaf_op(found.get("leaf")), path)


def proof_spec(found: dict[str, Any]) -> ProofSpec:
    inner = found["inner_spec"]
    return ProofSpec(
        leaf_op(found["leaf_spec"]),
        InnerSpec(
            tuple(inner["child_order"]),
            inner["child_size"],
            inner["min_prefix_length"],
            inner["max_prefix_length"],
            octets(inner.get("empty_child")),
            HashOp(inner["hash"]),
        ),
        found.get("max_depth", 0),
        found.get("min_depth", 0),
    )
