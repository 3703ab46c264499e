"""The provable store against a dict for each version: every kept one is read and proved to be what its dict is."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulator.model.errors import Absent
from nodes.ibc.proofs.forms import IAVL, SIMPLE, Form
from nodes.ibc.proofs.multistore import Multistore
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proofs.tree import Node
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership
from nodes.ibc.proto.ics23 import CommitmentProof

KEYS = st.binary(min_size=1, max_size=2) | st.sampled_from([b"key%d" % number for number in range(12)])
VALUES = st.binary(min_size=1, max_size=3)
KEPT = 3


class StoreMachine(RuleBasedStateMachine):
    form: Form

    def __init__(self) -> None:
        super().__init__()
        self.chain = Multistore({"ibc": ProvableStore(self.form, KEPT), "other": ProvableStore(kept=KEPT)})
        self.store = self.chain.stores["ibc"]
        self.now: dict[bytes, bytes] = {}
        self.then: dict[int, tuple[bytes, dict[bytes, bytes]]] = {}  # root and contents of each version

    @rule(pairs=st.dictionaries(KEYS, VALUES, max_size=8))
    def set(self, pairs: dict[bytes, bytes]) -> None:
        for key, value in pairs.items():
            self.store.set(key, value)
        self.now |= pairs

    @rule(keys=st.lists(KEYS, max_size=6))
    def delete(self, keys: list[bytes]) -> None:
        for key in keys:
            self.store.delete(key)
            self.now.pop(key, None)

    @rule()
    def commit(self) -> None:
        root = self.chain.commit()
        self.then[self.chain.version] = root, dict(self.now)

    @rule()
    def rollback(self) -> None:
        self.chain.rollback()
        self.now = dict(self.then[self.chain.version][1]) if self.then else {}

    @rule(key=KEYS, version=st.integers(-1, 9), other=VALUES)
    def ask(self, key: bytes, version: int, other: bytes) -> None:
        kept = range(max(1, self.chain.version - KEPT + 1), self.chain.version + 1)
        if version not in kept:
            for question in (self.store.prove, self.store.get_at):
                with pytest.raises(Absent):
                    question(key, version)
            with pytest.raises(Absent):
                self.chain.root(version)
            return
        root, contents = self.then[version]
        assert self.chain.root(version) == root
        assert self.store.get_at(key, version) == contents.get(key)
        if not contents:
            with pytest.raises(Absent):
                self.chain.prove("ibc", key, version)
            return
        proofs = [CommitmentProof.decode(proof.encode()) for proof in self.chain.prove("ibc", key, version)]
        specs, path = self.chain.specs_of("ibc"), (b"ibc", key)
        if key in contents:
            verify_membership(proofs, specs, root, path, contents[key])
            with pytest.raises(ProofError):
                verify_non_membership(proofs, specs, root, path)
        else:
            verify_non_membership(proofs, specs, root, path)
        if contents.get(key) != other:
            with pytest.raises(ProofError):
                verify_membership(proofs, specs, root, path, other)

    @rule(prefix=st.binary(max_size=1))
    def iterate(self, prefix: bytes) -> None:
        expected = [(key, self.now[key]) for key in sorted(self.now) if key.startswith(prefix)]
        assert list(self.store.iterate(prefix)) == expected

    @invariant()
    def is_the_dict(self) -> None:
        assert len(self.store) == len(self.now)
        assert all(self.store.get(key) == value for key, value in self.now.items())

    def teardown(self) -> None:
        self.commit()
        root = self.store._roots[self.store.version]
        if root is not None:
            check_balance(root)


def check_balance(node: Node) -> None:
    """Heights, sizes and separating keys of all nodes are right, and no half is two higher than the other."""
    if node.height:
        left, right = node.left, node.right
        assert node.height == 1 + max(left.height, right.height)
        assert node.size == left.size + right.size
        assert abs(left.height - right.height) < 2
        smallest = right
        while smallest.height:
            smallest = smallest.left
        assert smallest.key == node.key
        check_balance(left)
        check_balance(right)


class IavlMachine(StoreMachine):
    form = IAVL


class SimpleMachine(StoreMachine):
    form = SIMPLE


for machine in (IavlMachine, SimpleMachine):
    machine.TestCase.settings = settings(max_examples=25, stateful_step_count=24)
TestIavlStore = IavlMachine.TestCase
TestSimpleStore = SimpleMachine.TestCase
