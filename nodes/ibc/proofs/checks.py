"""Whether the steps of a proof have the form that its spec allows. Every check is a way to forge a proof, closed.

Source: cosmos/ics23, go/ops.go. The one rule more than there: a leaf of the Tendermint form has exactly its spec's
prefix. With a longer one, the proof of the key "x\\x03abc" would also be one of the key "abc".
"""

from __future__ import annotations

from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.specs import Rules
from nodes.ibc.proto.ics23 import ExistenceProof, HashOp, InnerOp, LeafOp

IAVL_LAST_BYTES = (1, 34)  # of an inner prefix: the child's length, or the left sibling before it


def check_steps(proof: ExistenceProof, rules: Rules) -> LeafOp:
    """The leaf step, once leaf, inner steps and their number fit. ProofError otherwise."""
    leaf, depth = proof.leaf, len(proof.path)
    if leaf is None:
        raise ProofError("an existence proof without a leaf step", "one")
    check_leaf(leaf, rules.leaf)
    if rules.is_iavl:
        check_iavl_leaf(leaf)
    if rules.is_tendermint and leaf.prefix != rules.leaf.prefix:
        raise ProofError(f"leaf prefix {leaf.prefix[:16].hex()}", f"exactly {rules.leaf.prefix.hex()}")
    if not rules.min_depth <= depth <= rules.max_depth:
        raise ProofError(f"a path of {depth} steps", f"{rules.min_depth} to {rules.max_depth}")
    for layer, step in enumerate(proof.path, 1):
        check_inner(step, rules)
        if rules.is_iavl:
            check_iavl_inner(step, layer)
        if rules.is_tendermint:
            check_tendermint_inner(step)
    return leaf


def check_leaf(leaf: LeafOp, spec: LeafOp) -> None:
    """ProofError where a leaf step has other operations than its spec, or does not begin with its prefix."""
    if leaf.hash != spec.hash:
        raise ProofError(f"hash {leaf.hash} of a leaf", f"{spec.hash}")
    if leaf.prehash_key != spec.prehash_key:
        raise ProofError(f"hash {leaf.prehash_key} of a leaf's key", f"{spec.prehash_key}")
    if leaf.prehash_value != spec.prehash_value:
        raise ProofError(f"hash {leaf.prehash_value} of a leaf's value", f"{spec.prehash_value}")
    if leaf.length != spec.length:
        raise ProofError(f"length operation {leaf.length} of a leaf", f"{spec.length}")
    if not leaf.prefix.startswith(spec.prefix):
        raise ProofError(f"leaf prefix {leaf.prefix[:16].hex()}", f"one that begins with {spec.prefix.hex()}")


def check_inner(step: InnerOp, rules: Rules) -> None:
    """ProofError where an inner step could be something else than a node with the path's child at one of its places."""
    inner, prefix_bytes = rules.inner, len(step.prefix)
    if step.hash != inner.hash:
        raise ProofError(f"hash {step.hash} of an inner step", f"{inner.hash}")
    if step.prefix.startswith(rules.leaf.prefix):  # a leaf that is taken for an inner node proves what its key contains
        raise ProofError(f"inner prefix {step.prefix[:16].hex()}", f"none that begins with {rules.leaf.prefix.hex()}")
    if not inner.min_prefix_length <= prefix_bytes <= rules.most_prefix_bytes:
        expected = f"{inner.min_prefix_length} to {rules.most_prefix_bytes}"
        raise ProofError(f"an inner prefix of {prefix_bytes} bytes", expected)
    if len(step.suffix) % inner.child_size:
        raise ProofError(f"an inner suffix of {len(step.suffix)} bytes", f"a multiple of {inner.child_size}")


def check_iavl_leaf(leaf: LeafOp) -> None:
    """ProofError where a leaf's prefix is not height 0, size 1 and a version."""
    height, size, rest = iavl_prefix(leaf.prefix)
    if (height, size, rest) != (0, 1, 0):
        raise ProofError(f"IAVL leaf of height {height}, size {size}, {rest} bytes more", "height 0, size 1, no more")


def check_iavl_inner(step: InnerOp, layer: int) -> None:
    """ProofError where an inner prefix is no height of its layer or more, size, version and place of a sibling."""
    height, _, rest = iavl_prefix(step.prefix)
    if height < layer:
        raise ProofError(f"IAVL height {height} in layer {layer}", f"{layer} or more")
    if rest not in IAVL_LAST_BYTES:
        raise ProofError(f"{rest} bytes after an IAVL node's version", "1 or 34")
    if step.hash != HashOp.SHA256:
        raise ProofError(f"hash {step.hash} of an IAVL node", f"{int(HashOp.SHA256)}")


def check_tendermint_inner(step: InnerOp) -> None:
    """ProofError where an inner prefix is not 01, alone before a suffix or with the left sibling after it."""
    if not step.prefix.startswith(b"\1") or (step.suffix and len(step.prefix) != 1):
        raise ProofError(f"inner prefix {step.prefix[:16].hex()}", "01, and a left sibling only where no right one is")


def iavl_prefix(prefix: bytes) -> tuple[int, int, int]:
    """Height and size of an IAVL node, and how many bytes follow its version. ProofError where a number is negative."""
    numbers = []
    place = 0
    for _ in range(3):
        number = shift = 0
        while True:
            if place == len(prefix) or shift > 63:
                raise ProofError(f"IAVL prefix {prefix[:32].hex()}", "height, size and version as varints of 64 bits")
            byte = prefix[place]
            place += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if number & 1 or number >> 64:  # the lowest bit of a zig-zag number is its sign
            raise ProofError(
                f"IAVL prefix {prefix[:32].hex()}", "no negative height, size or version, and none past 64 bits"
            )
        numbers.append(number >> 1)
    return numbers[0], numbers[1], len(prefix) - place
