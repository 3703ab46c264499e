"""Each rule of the verifier by itself: a proof that breaks this one is refused for it, and its neighbour is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodes.ibc.proofs.batch import expanded
from nodes.ibc.proofs.checks import check_inner, check_leaf, check_steps, iavl_prefix
from nodes.ibc.proofs.forms import IAVL
from nodes.ibc.proofs.neighbours import are_neighbours, is_left_most, is_right_most, place_of
from nodes.ibc.proofs.ops import ProofError, hashed, inner_hash, leaf_hash, with_length
from nodes.ibc.proofs.specs import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC, rules_of
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proofs.verify import verify_existence, verify_membership, verify_non_existence, verify_non_membership
from nodes.ibc.proto import ics23
from nodes.ibc.proto.ics23 import (
    CommitmentProof,
    ExistenceProof,
    HashOp,
    InnerOp,
    InnerSpec,
    LeafOp,
    LengthOp,
    NonExistenceProof,
    ProofSpec,
)
from nodes.ibc.proto.scalars import varint

SHA = HashOp.SHA256
TENDERMINT_LEAF, IAVL_LEAF = (
    LeafOp(SHA, HashOp.NO_HASH, SHA, LengthOp.VAR_PROTO, prefix) for prefix in (b"\0", b"\0\2\2")
)
SMT_LEAF = LeafOp(SHA, SHA, SHA, LengthOp.NO_PREFIX, b"\0")
HASH = b"\x11" * 32
LEFT, RIGHT = InnerOp(SHA, b"\1", HASH), InnerOp(SHA, b"\1" + HASH)
IAVL_LEFT, IAVL_RIGHT = InnerOp(SHA, b"\2\4\2\x20", b"\x20" + HASH), InnerOp(SHA, b"\2\4\2\x20" + HASH + b"\x20")


def steps(spec: ProofSpec, leaf: LeafOp | None, *path: InnerOp) -> None:
    check_steps(ExistenceProof(b"key", b"value", leaf, path), rules_of(spec))


def refused(found: str) -> pytest.RaisesExc[ProofError]:
    return pytest.raises(ProofError, match=found)


class TestLeaf:
    def test_of_the_form_is_taken(self) -> None:
        steps(TENDERMINT_SPEC, TENDERMINT_LEAF)
        steps(IAVL_SPEC, IAVL_LEAF)
        steps(SMT_SPEC, SMT_LEAF)

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ({"hash": HashOp.SHA512_256}, "hash 6 of a leaf;"),
            ({"prehash_key": SHA}, "hash 1 of a leaf's key"),
            ({"prehash_value": HashOp.NO_HASH}, "hash 0 of a leaf's value"),
            ({"length": LengthOp.REQUIRE_32_BYTES}, "length operation 7"),
            ({"prefix": b"\1"}, "leaf prefix 01; expected one that begins with 00"),
        ],
    )
    def test_of_another_form_is_refused(self, change: dict[str, object], found: str) -> None:
        with refused(found):
            check_leaf(replace(TENDERMINT_LEAF, **change), TENDERMINT_LEAF)  # type: ignore[arg-type]
        with pytest.raises(ProofError):
            steps(TENDERMINT_SPEC, replace(TENDERMINT_LEAF, **change))  # type: ignore[arg-type]

    def test_of_the_tendermint_form_has_exactly_its_prefix(self) -> None:
        with refused("leaf prefix 0000; expected exactly 00"):
            steps(TENDERMINT_SPEC, replace(TENDERMINT_LEAF, prefix=b"\0\0"))
        other = replace(TENDERMINT_SPEC, leaf_spec=replace(TENDERMINT_LEAF, prehash_value=HashOp.NO_HASH))
        steps(other, LeafOp(SHA, HashOp.NO_HASH, HashOp.NO_HASH, LengthOp.VAR_PROTO, b"\0\0"))  # as cosmos/ics23

    @pytest.mark.parametrize(
        "prefix", ["02 02 02", "00 04 02", "00 02", "00 02 80", "00 01 02", "00 02 01", "00 02 02 00"]
    )
    def test_of_iavl_is_height_0_size_1_and_a_version(self, prefix: str) -> None:
        with refused("IAVL|leaf prefix"):
            steps(IAVL_SPEC, replace(IAVL_LEAF, prefix=bytes.fromhex(prefix)))

    def test_of_iavl_is_of_height_0_whatever_prefix_its_spec_has(self) -> None:
        spec = replace(IAVL_SPEC, leaf_spec=replace(IAVL_LEAF, prefix=b"\2"))
        with refused("IAVL leaf of height 1"):
            steps(spec, replace(IAVL_LEAF, prefix=b"\2\2\2"))

    def test_is_there(self) -> None:
        with refused("without a leaf step"):
            steps(TENDERMINT_SPEC, None)

    @pytest.mark.parametrize(("key", "value", "found"), [(b"", b"1", "empty key"), (b"1", b"", "empty value")])
    def test_has_a_key_and_a_value(self, key: bytes, value: bytes, found: str) -> None:
        with refused(found):
            leaf_hash(TENDERMINT_LEAF, key, value)


class TestInner:
    def test_of_the_form_is_taken(self) -> None:
        steps(TENDERMINT_SPEC, TENDERMINT_LEAF, LEFT, RIGHT)
        steps(IAVL_SPEC, IAVL_LEAF, IAVL_LEFT, replace(IAVL_RIGHT, prefix=b"\4" + IAVL_RIGHT.prefix[1:]))
        steps(SMT_SPEC, SMT_LEAF, LEFT, RIGHT)

    @pytest.mark.parametrize(
        ("step", "found"),
        [
            (replace(LEFT, hash=HashOp.SHA512_256), "hash 6 of an inner step"),
            (replace(LEFT, prefix=b"\0"), "inner prefix 00; expected none that begins with 00"),
            (replace(LEFT, prefix=b""), "inner prefix of 0 bytes"),
            (replace(RIGHT, prefix=RIGHT.prefix + b"1"), "inner prefix of 34 bytes; expected 1 to 33"),
            (replace(LEFT, suffix=HASH[1:]), "inner suffix of 31 bytes; expected a multiple of 32"),
        ],
    )
    def test_of_another_form_is_refused(self, step: InnerOp, found: str) -> None:
        with refused(found):
            check_inner(step, rules_of(SMT_SPEC))
        with refused(found):
            steps(SMT_SPEC, SMT_LEAF, LEFT, step)

    @pytest.mark.parametrize(
        "step", [InnerOp(SHA, b"\2", HASH), InnerOp(SHA, b"\1" + HASH, HASH), InnerOp(SHA, b"\2" + HASH)]
    )
    def test_of_the_tendermint_form_begins_with_01_and_has_one_sibling(self, step: InnerOp) -> None:
        with refused("expected 01, and a left sibling only where no right one is"):
            steps(TENDERMINT_SPEC, TENDERMINT_LEAF, step)
        steps(SMT_SPEC, SMT_LEAF, step)

    @pytest.mark.parametrize(
        ("prefix", "found"),
        [
            (b"\2\4\2\x20\x20", "2 bytes after an IAVL node's version"),
            (b"\2\4\2" + b"\x20" * 33, "33 bytes after"),
            (b"\1\4\2\x20", "no negative height"),
            (b"\2\4\xff\x20", "no negative height"),
        ],
    )
    def test_of_iavl_is_height_size_version_and_a_place(self, prefix: bytes, found: str) -> None:
        with refused(found):
            steps(IAVL_SPEC, IAVL_LEAF, InnerOp(SHA, prefix, b"\x20" + HASH))

    def test_of_iavl_is_as_high_as_its_layer(self) -> None:
        with refused("IAVL height 1 in layer 2"):
            steps(IAVL_SPEC, IAVL_LEAF, IAVL_LEFT, IAVL_LEFT)

    def test_needs_a_child(self) -> None:
        with refused("without a child"):
            inner_hash(LEFT, b"")

    @pytest.mark.parametrize(("least", "most", "depth"), [(2, 0, 1), (0, 3, 4), (0, 0, 129)])
    def test_paths_are_as_deep_as_the_spec_says(self, least: int, most: int, depth: int) -> None:
        spec = replace(TENDERMINT_SPEC, min_depth=least, max_depth=most)
        with refused(f"a path of {depth} steps"):
            steps(spec, TENDERMINT_LEAF, *[LEFT] * depth)
        steps(spec, TENDERMINT_LEAF, *[LEFT] * (least or most or 128))
        steps(SMT_SPEC, SMT_LEAF, *[LEFT] * 256)

    @pytest.mark.parametrize(
        ("number", "data"),
        [(0, "00"), (63, "7e"), (64, "8001"), (2**31, "8080808010"), (2**62, "80808080808080808001")],
    )
    def test_iavl_numbers_are_zig_zag_varints(self, number: int, data: str) -> None:
        assert iavl_prefix(bytes.fromhex(data) + b"\2\2rest") == (number, 1, 4)

    @pytest.mark.parametrize("data", ["", "80", "0202", "02028080", "ff" * 11 + "00", "02" + "80" * 9 + "0202"])
    def test_iavl_numbers_that_are_none_are_refused(self, data: str) -> None:
        with refused("IAVL prefix"):
            iavl_prefix(bytes.fromhex(data))


class TestSpec:
    @pytest.mark.parametrize(
        ("spec", "found"),
        [
            (ProofSpec(), "without a leaf spec"),
            (ProofSpec(leaf_spec=TENDERMINT_LEAF), "without a leaf spec or an inner spec"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0,), 32, 1, 1, b"", SHA)), "child order"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 0), 32, 1, 1, b"", SHA)), "child order"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((1, 2), 32, 1, 1, b"", SHA)), "child order"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 0, 1, 1, b"", SHA)), "children of 0 bytes"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 32, 2, 1, b"", SHA)), "prefixes of 2 to 1 bytes"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 32, 1, 33, b"", SHA)), "prefixes of 1 to 33 bytes"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 32, 1, 1, b"", HashOp.KECCAK256)), "hash operations"),
            (ProofSpec(LeafOp(), InnerSpec((0, 1), 32, 1, 1, b"", SHA)), "hash operations 0"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 32, 1, 1, b"", HashOp.SHA512)), "a hash of 64 bytes"),
            (ProofSpec(TENDERMINT_LEAF, InnerSpec((0, 1), 32, 1, 1, b"e", SHA)), "an empty child of 1 bytes"),
            (replace(TENDERMINT_SPEC, prehash_key_before_comparison=True), "keys compared by hash"),
            (replace(TENDERMINT_SPEC, min_depth=129), "paths of 129 to 128 steps"),
        ],
    )
    def test_under_which_nothing_is_proved_is_refused(self, spec: ProofSpec, found: str) -> None:
        with refused(found):
            rules_of(spec)

    def test_forms_are_known_by_their_numbers(self) -> None:
        assert [rules_of(spec).is_iavl for spec in (IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC)] == [True, False, False]
        assert [rules_of(spec).is_tendermint for spec in (IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC)] == [False, True, False]
        assert rules_of(replace(IAVL_SPEC, max_depth=5)).is_iavl  # a spec with its own depth is no way round


class TestPlaces:
    SPEC = InnerSpec((2, 0, 1), 4, 1, 3, b"none", SHA)  # the third child's hash stands first

    @pytest.mark.parametrize(
        ("before", "after", "place"), [(1, 8, 2), (3, 8, 2), (5, 4, 0), (7, 4, 0), (9, 0, 1), (11, 0, 1)]
    )
    def test_follow_from_lengths(self, before: int, after: int, place: int) -> None:
        assert place_of(self.SPEC, InnerOp(SHA, bytes(before), bytes(after))) == place

    @pytest.mark.parametrize(("before", "after"), [(0, 8), (4, 8), (1, 4), (1, 7), (5, 5), (12, 0), (1, 12), (13, 0)])
    def test_of_other_lengths_are_none(self, before: int, after: int) -> None:
        with refused("an inner step with"):
            place_of(self.SPEC, InnerOp(SHA, bytes(before), bytes(after)))

    def test_of_more_children_than_there_are_is_none(self) -> None:
        spec = InnerSpec((0, 1, 2), 4, 2, 5, b"", SHA)
        with refused("1 bytes before its child and 12 after it"):
            place_of(spec, InnerOp(SHA, bytes(1), bytes(12)))

    def step(self, *children: bytes | None) -> InnerOp:
        """A step through the child that is None; children in their order from left to right."""
        slots = [children[2], children[0], children[1]]
        at = slots.index(None)
        before, after = (b"".join(each or b"" for each in part) for part in (slots[:at], slots[at + 1 :]))
        return InnerOp(SHA, b"P" + before, after)

    def test_are_left_most_where_only_placeholders_lie_left(self) -> None:
        assert is_left_most(self.SPEC, [self.step(None, b"full", b"full"), self.step(b"none", None, b"full")])
        assert is_left_most(self.SPEC, [self.step(b"none", b"none", None)])
        assert not is_left_most(self.SPEC, [self.step(None, b"full", b"full"), self.step(b"full", None, b"none")])
        assert not is_left_most(self.SPEC, [self.step(b"none", b"full", None)])
        assert not is_left_most(self.SPEC, [self.step(b"full", b"none", None)])

    def test_are_right_most_where_only_placeholders_lie_right(self) -> None:
        assert is_right_most(self.SPEC, [self.step(b"full", b"full", None), self.step(b"full", None, b"none")])
        assert is_right_most(self.SPEC, [self.step(None, b"none", b"none")])
        assert not is_right_most(self.SPEC, [self.step(b"full", b"full", None), self.step(b"none", None, b"full")])
        assert not is_right_most(self.SPEC, [self.step(None, b"full", b"none")])
        assert not is_right_most(self.SPEC, [self.step(None, b"none", b"full")])

    def test_are_next_to_each_other_where_paths_part(self) -> None:
        inner, top = TENDERMINT_SPEC.inner_spec, InnerOp(SHA, b"\1", b"\x33" * 32)
        assert inner
        assert are_neighbours(inner, [RIGHT, LEFT, top], [LEFT, RIGHT, top])
        assert are_neighbours(inner, [LEFT], [LEFT, RIGHT])
        assert not are_neighbours(inner, [LEFT, LEFT, top], [LEFT, RIGHT, top])  # the left one is not right-most
        assert not are_neighbours(inner, [RIGHT, LEFT, top], [RIGHT, RIGHT, top])  # the right one is not left-most
        assert not are_neighbours(inner, [RIGHT, RIGHT, top], [LEFT, LEFT, top])  # the wrong way round
        assert not are_neighbours(inner, [LEFT, top], [LEFT, top])  # the same leaf
        assert not are_neighbours(inner, [], [])
        assert not are_neighbours(inner, [], [LEFT])
        assert not are_neighbours(inner, [top], [LEFT, top])
        assert not are_neighbours(inner, [LEFT], [InnerOp(SHA, b"\1", b"\x33" * 32)])  # the same place
        assert not are_neighbours(self.SPEC, [self.step(None, b"full", b"full")], [self.step(b"full", b"full", None)])
        assert are_neighbours(self.SPEC, [self.step(b"full", None, b"full")], [self.step(b"full", b"full", None)])


class TestProofs:
    """What a proof of one tree must be about."""

    store = ProvableStore(IAVL)
    for name in (b"a", b"c", b"e", b"g"):
        store.set(name, name * 2)
    root = store.commit()

    def exist(self, key: bytes = b"c") -> ExistenceProof:
        proof = self.store.prove(key, 1).exist
        assert proof
        return proof

    def absent(self, key: bytes = b"d") -> NonExistenceProof:
        proof = self.store.prove(key, 1).nonexist
        assert proof
        return proof

    def test_existence(self) -> None:
        verify_existence(self.exist(), IAVL_SPEC, self.root, b"c", b"cc")
        with refused("root"):
            verify_existence(self.exist(), IAVL_SPEC, bytes(32), b"c", b"cc")
        for at in range(32):
            with refused("root"):
                other = bytes(byte ^ (index == at) for index, byte in enumerate(self.root))
                verify_existence(self.exist(), IAVL_SPEC, other, b"c", b"cc")
        with refused("a proof of key 'c'; expected 'd'"):
            verify_existence(self.exist(), IAVL_SPEC, self.root, b"d", b"cc")
        with refused("a proof of value 'cc'; expected ff00"):
            verify_existence(self.exist(), IAVL_SPEC, self.root, b"c", b"\xff\0")

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ({"left": None}, "no left neighbour"),
            ({"right": None}, "no right neighbour"),
            ({"left": None, "right": None}, "without a neighbour"),
            ({"key": b"f"}, "a proof that key 'f' is absent"),
        ],
    )
    def test_absence_needs_its_neighbours(self, change: dict[str, object], found: str) -> None:
        verify_non_existence(self.absent(), IAVL_SPEC, self.root, b"d")
        with refused(found):
            verify_non_existence(replace(self.absent(), **change), IAVL_SPEC, self.root, b"d")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("left", "right", "key", "found"),
        [
            (b"c", b"e", b"b", "left neighbour 'c'"),
            (b"c", b"e", b"f", "right neighbour 'e'"),
            (b"c", b"e", b"c", "left neighbour 'c'"),
            (b"c", b"e", b"e", "right neighbour 'e'"),
            (b"a", b"e", b"b", "not next to each other"),
        ],
    )
    def test_absence_lies_between_neighbours(self, left: bytes, right: bytes, key: bytes, found: str) -> None:
        with refused(found):
            proof = NonExistenceProof(key, self.exist(left), self.exist(right))
            verify_non_existence(proof, IAVL_SPEC, self.root, key)

    def test_absence_has_one_root_and_a_key(self) -> None:
        other = ProvableStore(IAVL)
        other.set(b"e", b"e")
        other.commit()
        with refused("different roots"):
            proof = replace(self.absent(), right=other.prove(b"e", 1).exist)
            verify_non_existence(proof, IAVL_SPEC, self.root, b"d")
        with refused("empty key"):
            verify_non_existence(NonExistenceProof(b"", None, self.exist(b"a")), IAVL_SPEC, self.root, b"")
        with refused("root"):
            verify_non_existence(self.absent(), IAVL_SPEC, bytes(32), b"d")

    @pytest.mark.parametrize(("proofs", "specs", "keys"), [(0, 0, 0), (2, 1, 1), (1, 2, 1), (1, 1, 2)])
    def test_chains_have_as_many_proofs_as_specs_and_keys(self, proofs: int, specs: int, keys: int) -> None:
        chain, kinds, path = [CommitmentProof(exist=self.exist())] * proofs, [IAVL_SPEC] * specs, [b"c"] * keys
        with refused("as many of each, and one"):
            verify_membership(chain, kinds, self.root, path, b"cc")
        with refused("as many of each, and one"):
            verify_non_membership(chain, kinds, self.root, path)

    def test_chains_need_the_right_kind_of_proof(self) -> None:
        with refused("no proof of existence of 'd'"):
            verify_membership([CommitmentProof(nonexist=self.absent())], [IAVL_SPEC], self.root, [b"d"], b"1")
        with refused("no proof of absence"):
            verify_non_membership([CommitmentProof(exist=self.exist())], [IAVL_SPEC], self.root, [b"c"])


class TestOps:
    @pytest.mark.parametrize("op", [0, 3, 9, 10, -1])
    def test_hashes_that_nobody_has_are_refused(self, op: int) -> None:
        with refused(f"hash operation {op}"):
            hashed(op, b"data")

    @pytest.mark.parametrize("op", [2, 9, -1])
    def test_lengths_that_nobody_has_are_refused(self, op: int) -> None:
        with refused(f"length operation {op}"):
            with_length(op, b"data")

    @pytest.mark.parametrize(("op", "size"), [(LengthOp.REQUIRE_32_BYTES, 32), (LengthOp.REQUIRE_64_BYTES, 64)])
    def test_lengths_that_are_demanded(self, op: int, size: int) -> None:
        assert with_length(op, bytes(size)) == bytes(size)
        for other in (size - 1, size + 1):
            with refused(f"{other} bytes in a leaf"):
                with_length(op, bytes(other))

    @pytest.mark.parametrize(("number", "data"), [(0, "00"), (127, "7f"), (128, "8001"), (16384, "808001")])
    def test_varint(self, number: int, data: str) -> None:
        assert varint(number).hex() == data


class TestBatch:
    leaf = ExistenceProof(b"a", b"1", TENDERMINT_LEAF, (LEFT, RIGHT))

    def test_is_expanded(self) -> None:
        absent = NonExistenceProof(b"b", self.leaf, None)
        entries = (ics23.BatchEntry(exist=self.leaf), ics23.BatchEntry(nonexist=absent))
        single = (CommitmentProof(exist=self.leaf), CommitmentProof(nonexist=absent))
        assert expanded(CommitmentProof(batch=ics23.BatchProof(entries))) == single
        assert expanded(single[0]) == single[:1]
        small = ics23.CompressedExistenceProof(b"a", b"1", TENDERMINT_LEAF, (1, 0))
        compressed = ics23.CompressedBatchProof(
            (
                ics23.CompressedBatchEntry(exist=small),
                ics23.CompressedBatchEntry(nonexist=ics23.CompressedNonExistenceProof(b"b", small, None)),
            ),
            (RIGHT, LEFT),
        )
        assert expanded(CommitmentProof(compressed=compressed)) == single

    @pytest.mark.parametrize("step", [-1, 2])
    def test_without_a_step_of_its_table_is_refused(self, step: int) -> None:
        small = ics23.CompressedExistenceProof(b"a", b"1", TENDERMINT_LEAF, (step,))
        entries = (ics23.CompressedBatchEntry(exist=small),)
        with refused(f"step {step} of a compressed proof"):
            expanded(CommitmentProof(compressed=ics23.CompressedBatchProof(entries, (RIGHT, LEFT))))

    def test_without_a_proof_is_refused(self) -> None:
        for proof in (CommitmentProof(), CommitmentProof(batch=ics23.BatchProof((ics23.BatchEntry(),)))):
            with refused("an entry with no proof"):
                expanded(proof)
