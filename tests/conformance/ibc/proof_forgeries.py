"""A search for proofs of what is not so, made of the parts of valid ones; and for valid proofs that are refused.

Invariant: what a tree holds is known from the dict that it was made of, so that a proof is judged by what it claims and
not by its form. Nothing here knows the rules of the verifier, only what an attacker knows: all bytes of the tree, and
that keys and values are for him to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from random import Random

from proof_trees import SPECS, Leaf, Tree, digest, grown, leaf_preimage, varint

from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof, HashOp, InnerOp, LeafOp, LengthOp, NonExistenceProof

KINDS = tuple(SPECS)
Claim = tuple[ExistenceProof, bytes, bytes]  # that this key has this value


class Forged(Exception):
    """A proof that was accepted, of something that is not so; or the opposite."""


def search(kind: str, seed: int) -> int:
    """Play against one tree of a kind, and a chain of trees. How many proofs were tried; Forged where one succeeds."""
    random = Random(f"{kind} {seed}")
    smuggled = (b"smuggled", b"never written")
    tree = grown(kind, _values(kind, smuggled, random), random)
    other = grown(kind, _values(kind, smuggled, random), random)
    tried = _honest(tree, random)
    for name, claims in (
        ("parts of proofs", _recombined(tree, other, random)),
        ("a node that is read as a leaf", _read_as_leaves(tree, random)),
        ("a leaf that is read as a node", _read_as_nodes(tree, smuggled)),
    ):
        for proof, key, value in claims:
            tried += 1
            if _accepts(tree, proof, key, value) and tree.values.get(key) != value:
                raise Forged(f"{name}: {kind} {seed} shows that {key!r} has {value!r}: {proof}")
    for absence in _absences(tree, other, random):
        tried += 1
        if _accepts(tree, absence, absence.key, None) and absence.key in tree.values:
            raise Forged(f"neighbours: {kind} {seed} shows that {absence.key!r} is absent: {absence}")
    return tried + _chains(tree, other, random)


def _values(kind: str, smuggled: tuple[bytes, bytes], random: Random) -> dict[bytes, bytes]:
    """Keys and values, among them such as an attacker would write: with a leaf in them that was never written."""
    op = SPECS[kind].leaf_spec
    assert op
    hidden = leaf_preimage(replace(op, prefix=b"\0\2\2") if kind == "iavl" else op, *smuggled)
    values = {random.randbytes(random.randint(1, 4)): random.randbytes(3) for _ in range(random.randint(1, 14))}
    if random.random() < 0.7:
        values[b"v" * random.randint(1, 28)] = hidden
        values[hidden] = b"in a key"
        for before, after in product((0, 1, 24), (0, 31, 33)):
            if random.random() < 0.4:
                values[b"k" * before + digest(hidden) + b"z" * after] = b"in a key"
        values[b"longer" + varint(len(smuggled[0])) + smuggled[0]] = smuggled[1]
    return values


def _honest(tree: Tree, random: Random) -> int:
    """Valid proofs of all keys, and of the absence of some, are accepted."""
    for key, proof in tree.proofs.items():
        if not _accepts(tree, proof, key, proof.value):
            raise Forged(f"a valid proof is refused: {tree.kind} {key!r}: {proof}")
    absent = [random.randbytes(random.randint(1, 5)) for _ in range(8)] + [b"\0", b"\xff" * 9]
    for key in absent:
        if key not in tree.values:
            proof = _absence(tree, key)
            if _touch(tree, proof) and not _accepts(tree, proof, key, None):
                raise Forged(f"a valid proof is refused: {tree.kind} has no {key!r}: {proof}")
    return len(tree.proofs) + len(absent)


def _absence(tree: Tree, key: bytes) -> NonExistenceProof:
    left = [leaf.key for leaf, _ in tree.leaves if tree.order(leaf.key) < tree.order(key)]
    right = [leaf.key for leaf, _ in tree.leaves if tree.order(leaf.key) > tree.order(key)]
    return NonExistenceProof(key, tree.proofs[left[-1]] if left else None, tree.proofs[right[0]] if right else None)


def _touch(tree: Tree, proof: NonExistenceProof) -> bool:
    """Whether no placeholder lies between the neighbours, where paths part: ICS-23 has no proof of absence then."""
    if proof.left is None or proof.right is None:
        return True
    ways = zip(tree.ways[proof.left.key], tree.ways[proof.right.key], strict=False)
    return next(right - left for left, right in ways if left != right) == 1


def _accepts(tree: Tree, proof: ExistenceProof | NonExistenceProof, key: bytes, value: bytes | None) -> bool:
    """Anything but acceptance and ProofError passes through: the verifier must not break on bad proofs."""
    try:
        if isinstance(proof, ExistenceProof):
            verify_membership([CommitmentProof(exist=proof)], [SPECS[tree.kind]], tree.root, [key], value or b"")
        else:
            verify_non_membership([CommitmentProof(nonexist=proof)], [SPECS[tree.kind]], tree.root, [key])
        return True
    except ProofError:
        return False


def _recombined(tree: Tree, other: Tree, random: Random) -> Iterator[Claim]:
    """Key, value, leaf and steps of different proofs; steps left out, twice, in another order, with bytes moved."""
    pool = [*tree.proofs.values(), *other.proofs.values()]
    own = list(tree.proofs.values())
    for _ in range(120):
        a, b, c, d = random.choice(own), random.choice(pool), random.choice(pool), random.choice(pool)
        steps = list(random.choice((a.path, b.path)))
        if random.random() < 0.5:
            steps = steps[: random.randint(0, len(steps))] + list(c.path)[random.randint(0, len(c.path)) :]
        if steps and random.random() < 0.5:
            at = random.randrange(len(steps))
            step = steps[at]
            steps[at : at + 1] = random.choice(
                (
                    [],
                    [step, step],
                    [step, random.choice(steps)],
                    [InnerOp(step.hash, step.prefix[:-1], step.prefix[-1:] + step.suffix)],
                    [InnerOp(step.hash, step.prefix + step.suffix[:32], step.suffix[32:])],
                    [InnerOp(step.hash, step.prefix[:-32], step.prefix[-32:] + step.suffix)],
                    [InnerOp(step.hash, step.suffix, step.prefix)],
                    [InnerOp(HashOp.SHA512_256, step.prefix, step.suffix)],
                )
            )
        proof = replace(random.choice((a, b)), leaf=random.choice((a, c)).leaf, path=tuple(steps))
        key, value = random.choice((a, b, d)).key, random.choice((a, b, d)).value
        yield proof, key, value
        yield replace(proof, key=key, value=value), key, value
    for proof in own:
        yield proof, random.choice(pool).key, proof.value
        yield proof, proof.key, random.choice(pool).value


def _read_as_leaves(tree: Tree, random: Random) -> Iterator[Claim]:
    """Bytes that were hashed, of leaves and of inner nodes, cut in every way into prefix, key and value of a leaf."""
    known = {digest(leaf.preimage): leaf.preimage for leaf, _ in tree.leaves}
    known |= {digest(node.preimage): node.preimage for node, _ in tree.nodes}
    known |= {digest(part): part for leaf, _ in tree.leaves for part in (leaf.key, leaf.value)}
    nodes = [(node.preimage, path) for node, path in (*tree.leaves, *tree.nodes)]
    hashes, lengths = (
        (HashOp.NO_HASH, HashOp.SHA256),
        (LengthOp.NO_PREFIX, LengthOp.VAR_PROTO, LengthOp.REQUIRE_32_BYTES),
    )
    ops = [LeafOp(HashOp.SHA256, a, b, length, b"") for a, b, length in product(hashes, hashes, lengths)]
    for data, path in random.sample(nodes, min(len(nodes), 6)):
        for end in range(min(len(data), 80)):
            for op in ops:
                for key, value in _cut(op, data[end:], known):
                    yield ExistenceProof(key, value, replace(op, prefix=data[:end]), path), key, value


def _cut(op: LeafOp, data: bytes, known: dict[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values that this operation would hash as these bytes. Values of 32 bytes, as hashes have."""
    head, value = data[:-32], data[-32:]
    if op.length == LengthOp.VAR_PROTO:
        if head[-1:] != b"\x20":
            return
        head = head[:-1]
        if len(head) < 2 or head[0] != len(head) - 1:
            return
        head = head[1:]
    elif op.length == LengthOp.REQUIRE_32_BYTES and len(head) != 32:
        return
    key = known.get(head) if op.prehash_key else head
    if op.prehash_value:
        value = known.get(value, b"")
    if key and value:
        yield key, value


def _read_as_nodes(tree: Tree, smuggled: tuple[bytes, bytes]) -> Iterator[Claim]:
    """Leaves whose key or value has the hash of a leaf in it that was never written, as if they were its parents."""
    spec = SPECS[tree.kind].leaf_spec
    assert spec
    op = replace(spec, prefix=b"\0\2\2") if tree.kind == "iavl" else spec
    hidden = digest(leaf_preimage(op, *smuggled))
    for leaf, path in tree.leaves:
        at = leaf.preimage.find(hidden)
        while at >= 0:
            step = InnerOp(HashOp.SHA256, leaf.preimage[:at], leaf.preimage[at + 32 :])
            yield ExistenceProof(*smuggled, op, (step, *path)), *smuggled
            at = leaf.preimage.find(hidden, at + 1)


def _absences(tree: Tree, other: Tree, random: Random) -> Iterator[NonExistenceProof]:
    """Neighbours that are none: any two leaves, or one alone, for keys that are there."""
    leaves = [leaf for leaf, _ in tree.leaves]
    for at, leaf in enumerate(leaves):
        sides = leaves[at - 1] if at else None, leaves[at + 1] if at + 1 < len(leaves) else None
        for left, right in (sides, (sides[0], leaf), (leaf, sides[1]), (sides[1], sides[0]), (leaf, leaf)):
            yield _between(tree, left, leaf.key, right)
        for side in (sides[0], sides[1], random.choice(leaves), leaf):
            yield _between(tree, side, leaf.key, None)
            yield _between(tree, None, leaf.key, side)
        if at:  # a leaf with a larger key in place of this one: under another root, but at the place of a neighbour
            larger = leaf.key + b"\0"
            while tree.order(larger) < tree.order(leaf.key):
                larger += b"\0"
            forged = replace(tree.proofs[leaf.key], key=larger)
            yield NonExistenceProof(leaf.key, tree.proofs[leaves[at - 1].key], forged)
    for _ in range(60):
        left, right = sorted(random.choices(range(len(leaves)), k=2))
        yield _between(tree, leaves[left], leaves[random.randint(left, right)].key, leaves[right])
    strangers = list(other.proofs.values())
    for leaf in random.sample(leaves, min(len(leaves), 5)):
        for _ in range(6):
            stranger = random.choice(strangers)
            proof = tree.proofs[random.choice(leaves).key]
            yield NonExistenceProof(leaf.key, proof, stranger)
            yield NonExistenceProof(leaf.key, stranger, proof)
            shorter = replace(proof, path=proof.path[: random.randint(0, len(proof.path))])
            yield NonExistenceProof(leaf.key, shorter, proof)
            yield NonExistenceProof(leaf.key, proof, shorter)
    yield NonExistenceProof(leaves[0].key)


def _between(tree: Tree, left: Leaf | None, key: bytes, right: Leaf | None) -> NonExistenceProof:
    return NonExistenceProof(key, tree.proofs[left.key] if left else None, tree.proofs[right.key] if right else None)


def _chains(tree: Tree, other: Tree, random: Random) -> int:
    """Two trees inside a third one: proofs, specs and path of any lengths and in any order."""
    inside = {b"ibc": tree, b"bank": other}
    outer = grown("tendermint", {name: each.root for name, each in inside.items()} | {b"acc": b"empty"}, random)
    own, spec = SPECS[tree.kind], SPECS["tendermint"]
    key, value = random.choice(list(tree.values.items()))
    absent = key + b"\0"
    while absent in tree.values:
        absent += b"\0"
    missing = _absence(tree, absent)
    exist = [CommitmentProof(exist=tree.proofs[key]), CommitmentProof(exist=outer.proofs[b"ibc"])]
    verify_membership(exist, [own, spec], outer.root, [b"ibc", key], value)
    if _touch(tree, missing):
        proofs = [CommitmentProof(nonexist=missing), exist[1]]
        verify_non_membership(proofs, [own, spec], outer.root, [b"ibc", absent])
    pool = [
        *exist,
        CommitmentProof(exist=outer.proofs[b"bank"]),
        CommitmentProof(exist=random.choice(list(other.proofs.values()))),
        CommitmentProof(nonexist=missing),
        CommitmentProof(nonexist=_absence(other, absent)),
        CommitmentProof(nonexist=_absence(outer, b"gov")),
        CommitmentProof(),
    ]
    names = [b"ibc", b"bank", b"gov", key, absent, random.choice(list(other.values))]
    for _ in range(150):
        counts = random.choices((1, 2, 3, 0), (3, 12, 2, 1), k=3) if random.random() < 0.3 else [2, 2, 2]
        proofs = random.choices(pool, k=counts[0])
        specs = random.choices([own, spec], k=counts[1]) if random.random() < 0.3 else [own, spec, spec][: counts[1]]
        path = random.choices(names, k=counts[2])
        root = random.choice((outer.root, outer.root, tree.root))
        said = random.choice((value, tree.root, random.choice(list(other.values.values()))))
        known = {outer.root: outer, tree.root: tree}[root]
        if _holds(verify_membership, proofs, specs, root, path, said) and _found(known, inside, path) != said:
            raise Forged(f"chain: {tree.kind} shows that {path} has {said!r}: {proofs}")
        if _holds(verify_non_membership, proofs, specs, root, path):
            holds = _found(known, inside, path[:-1]) if len(path) > 1 else root
            if not path or not holds or _found(known, inside, path) is not None:
                raise Forged(f"chain: {tree.kind} shows that {path} is absent: {proofs}")
    return 150


def _holds(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
        return True
    except ProofError:
        return False


def _found(known: Tree, inside: dict[bytes, Tree], path: Sequence[bytes]) -> bytes | None:
    """What lies at a path from a root."""
    if not path or len(path) > 2:
        return None
    value = known.values.get(path[0])
    if len(path) == 1 or value is None:
        return value
    tree = inside.get(path[0])
    return tree.values.get(path[1]) if tree and tree.root == value else None
