"""How trees are hashed: as cosmos/iavl does it, or as CometBFT's simple map.

Invariant: a form's hashes are those that its spec describes, so that a verifier needs nothing but the spec. Sources:
cosmos/iavl, node.go and proof_ics23.go; cometbft, crypto/merkle.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from nodes.ibc.proofs.specs import IAVL_SPEC, TENDERMINT_SPEC
from nodes.ibc.proofs.tree import Node, path_to
from nodes.ibc.proto.ics23 import ExistenceProof, HashOp, InnerOp, LeafOp, LengthOp, ProofSpec
from nodes.ibc.proto.scalars import varint


class Form(Protocol):
    """How the nodes of a tree become bytes."""

    @property
    def name(self) -> str:
        """As the Cosmos SDK names proofs of such trees in answers to queries."""

    @property
    def spec(self) -> ProofSpec: ...

    @property
    def mark(self) -> bytes:
        """What stands before the hash of a child."""

    def prefix(self, node: Node) -> bytes:
        """What stands first."""


@dataclass(frozen=True, slots=True)
class Iavl:
    """Nodes begin with height, size and version."""

    name: str = "ics23:iavl"
    spec: ProofSpec = IAVL_SPEC
    mark: bytes = b"\x20"

    def prefix(self, node: Node) -> bytes:
        return varint(node.height << 1) + varint(node.size << 1) + varint(node.version << 1)  # as zig-zag numbers


@dataclass(frozen=True, slots=True)
class Simple:
    """Leaves begin with 00, inner nodes with 01. Equal contents may have different roots: shapes depend on history."""

    name: str = "ics23:simple"
    spec: ProofSpec = TENDERMINT_SPEC
    mark: bytes = b""

    def prefix(self, node: Node) -> bytes:
        return b"\1" if node.height else b"\0"


IAVL = Iavl()
SIMPLE = Simple()
EMPTY_ROOT = sha256().digest()


def hash_of(form: Form, node: Node) -> bytes:
    """The hash of a node, computed once: a tree is hashed by one form only."""
    if node.digest is None:
        if node.height:
            mark = form.mark
            data = b"".join((form.prefix(node), mark, hash_of(form, node.left), mark, hash_of(form, node.right)))
        else:
            data = b"".join((form.prefix(node), varint(len(node.key)), node.key, b"\x20", sha256(node.value).digest()))
        node.digest = sha256(data).digest()
    return node.digest


def existence_proof(form: Form, root: Node, key: bytes) -> ExistenceProof:
    """The proof that a key of the tree has its value."""
    *inner, leaf = path_to(root, key)
    op = LeafOp(HashOp.SHA256, HashOp.NO_HASH, HashOp.SHA256, LengthOp.VAR_PROTO, form.prefix(leaf))
    steps, child = [], leaf
    for node in reversed(inner):
        prefix, mark = form.prefix(node), form.mark
        if child is node.left:
            steps.append(InnerOp(HashOp.SHA256, prefix + mark, mark + hash_of(form, node.right)))
        else:
            steps.append(InnerOp(HashOp.SHA256, prefix + mark + hash_of(form, node.left) + mark))
        child = node
    return ExistenceProof(leaf.key, leaf.value, op, tuple(steps))
