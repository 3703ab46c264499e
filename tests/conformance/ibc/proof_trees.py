"""Trees of four kinds, hashed by hand, with everything an attacker may know of them.

Invariant: nothing here uses `nodes.ibc.proofs`, only the messages, SHA-256 and the specs' own numbers: a fault of the
verifier cannot hide in the trees that it is tried on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from random import Random

from nodes.ibc.proto.ics23 import ExistenceProof, HashOp, InnerOp, InnerSpec, LeafOp, LengthOp, ProofSpec

SHA, PLAIN = HashOp.SHA256, HashOp.NO_HASH
EMPTY = b"\xee" * 32  # the placeholder of the wide tree
PREHASHED = LeafOp(SHA, PLAIN, SHA, LengthOp.VAR_PROTO, b"\0")
SPECS = {
    "iavl": ProofSpec(PREHASHED, InnerSpec((0, 1), 33, 4, 12, b"", SHA)),
    "tendermint": ProofSpec(PREHASHED, InnerSpec((0, 1), 32, 1, 1, b"", SHA)),
    "smt": ProofSpec(
        LeafOp(SHA, SHA, SHA, LengthOp.NO_PREFIX, b"\0"),
        InnerSpec((0, 1), 32, 1, 1, bytes(32), SHA),
        max_depth=256,
        prehash_key_before_comparison=True,
    ),
    # No chain has this one: four children, whose hashes stand out of order, and prefixes of 2 to 9 bytes.
    "wide": ProofSpec(
        LeafOp(SHA, SHA, SHA, LengthOp.REQUIRE_32_BYTES, b"L"), InnerSpec((2, 0, 3, 1), 32, 2, 9, EMPTY, SHA)
    ),
}


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


@dataclass
class Leaf:
    key: bytes
    value: bytes
    op: LeafOp
    preimage: bytes


@dataclass
class Inner:
    """A node: `parts` are its prefix and then its children's bytes, in the order in which they are hashed."""

    prefix: bytes
    children: list[Leaf | Inner | None]  # in the order of keys; None is a placeholder
    parts: list[bytes]
    slots: list[int]  # the slot of each child

    @property
    def preimage(self) -> bytes:
        return self.prefix + b"".join(self.parts)

    def step(self, child: int, mark: bytes) -> InnerOp:
        """The step through a child. What stands before its hash in its own part belongs to the prefix."""
        slot = self.slots[child]
        before, after = b"".join(self.parts[:slot]), b"".join(self.parts[slot + 1 :])
        return InnerOp(SHA, self.prefix + before + mark, after)


@dataclass
class Tree:
    kind: str
    values: dict[bytes, bytes]
    top: Leaf | Inner
    proofs: dict[bytes, ExistenceProof] = field(default_factory=dict)
    nodes: list[tuple[Inner, tuple[InnerOp, ...]]] = field(default_factory=list)  # with the path from each to the root
    leaves: list[tuple[Leaf, tuple[InnerOp, ...]]] = field(default_factory=list)
    ways: dict[bytes, tuple[int, ...]] = field(default_factory=dict)  # which child, from the root to each key

    @property
    def root(self) -> bytes:
        return digest(self.top.preimage)

    @property
    def mark(self) -> bytes:
        return b"\x20" if self.kind == "iavl" else b""

    def order(self, key: bytes) -> bytes:
        return digest(key) if self.kind == "smt" else key


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def leaf_preimage(op: LeafOp, key: bytes, value: bytes) -> bytes:
    if op.length == LengthOp.VAR_PROTO:
        return op.prefix + varint(len(key)) + key + b"\x20" + digest(value)
    return op.prefix + digest(key) + digest(value)


def grown(kind: str, values: dict[bytes, bytes], random: Random) -> Tree:
    """A tree of this kind, of a random shape where the kind allows more than one."""
    spec = SPECS[kind]
    assert spec.leaf_spec
    leaves = []
    for key, value in values.items():
        version = random.choice((1, 77, 2**20)) << 1
        prefix = b"\0\2" + varint(version) if kind == "iavl" else spec.leaf_spec.prefix
        op = LeafOp(spec.leaf_spec.hash, spec.leaf_spec.prehash_key, SHA, spec.leaf_spec.length, prefix)
        leaves.append(Leaf(key, value, op, leaf_preimage(op, key, value)))
    leaves.sort(key=lambda leaf: digest(leaf.key) if kind == "smt" else leaf.key)
    top = _sparse(leaves, 0) if kind == "smt" else _shaped(kind, leaves, random)
    assert top
    tree = Tree(kind, values, top)
    _know(tree, top, (), ())
    return tree


def _sparse(leaves: list[Leaf], depth: int) -> Leaf | Inner | None:
    """As celestiaorg/smt: a half for each bit of the hashed key, down to where a leaf is alone."""
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    halves: list[list[Leaf]] = [[], []]
    for leaf in leaves:
        halves[digest(leaf.key)[depth // 8] >> 7 - depth % 8 & 1].append(leaf)
    return _joined(b"\1", [_sparse(half, depth + 1) for half in halves], bytes(32), (0, 1), b"")


def _shaped(kind: str, leaves: list[Leaf], random: Random) -> Leaf | Inner | None:
    if len(leaves) < 2:
        return leaves[0] if leaves else None
    if kind == "wide":
        cuts = sorted(random.choices(range(len(leaves) + 1), k=3))
        ends = [0, *cuts, len(leaves)]
        if max(b - a for a, b in pairwise(ends)) == len(leaves):  # all in one child: cut again
            return _shaped(kind, leaves, random)
        parts = [_shaped(kind, leaves[a:b], random) for a, b in pairwise(ends)]
        prefix = b"N" + random.randbytes(random.randint(1, 8))
        return _joined(prefix, parts, EMPTY, (2, 0, 3, 1), b"")
    cut = random.randint(1, len(leaves) - 1)
    halves = [_shaped(kind, leaves[:cut], random), _shaped(kind, leaves[cut:], random)]
    if kind == "tendermint":
        return _joined(b"\1", halves, b"", (0, 1), b"")
    height = 1 + max(map(_height, halves))
    prefix = varint(height << 1) + varint(len(leaves) << 1) + varint(random.choice((1, 77, 2**20)) << 1)
    return _joined(prefix, halves, b"", (0, 1), b"\x20")


def _height(node: Leaf | Inner | None) -> int:
    return 1 + max(map(_height, node.children)) if isinstance(node, Inner) else 0


def _joined(
    prefix: bytes, children: list[Leaf | Inner | None], empty: bytes, order: tuple[int, ...], mark: bytes
) -> Inner:
    hashes = [digest(child.preimage) if child else empty for child in children]
    return Inner(
        prefix, children, [mark + hashes[child] for child in order], [order.index(at) for at in range(len(order))]
    )


def _know(tree: Tree, node: Leaf | Inner, path: tuple[InnerOp, ...], way: tuple[int, ...]) -> None:
    if isinstance(node, Leaf):
        tree.proofs[node.key] = ExistenceProof(node.key, node.value, node.op, path)
        tree.leaves.append((node, path))
        tree.ways[node.key] = way
        return
    tree.nodes.append((node, path))
    for at, child in enumerate(node.children):
        if child:
            _know(tree, child, (node.step(at, tree.mark), *path), (*way, at))
