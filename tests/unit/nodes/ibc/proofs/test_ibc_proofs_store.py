"""The provable store and the multistore: roots that cosmos/iavl and CometBFT have, versions, pruning, proofs."""

from __future__ import annotations

from hashlib import sha256

import pytest

from emulator.model.errors import Absent, Unfit
from nodes.ibc.proofs.forms import EMPTY_ROOT, IAVL, SIMPLE, Form
from nodes.ibc.proofs.multistore import Multistore, simple_map_root
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership

both_forms = pytest.mark.parametrize("form", [SIMPLE, IAVL], ids=["simple", "iavl"])


class TestIavlRoots:
    """The history that crypto-org-chain/cronos plays through cosmos/iavl (memiavl/tree_test.go), with its roots."""

    ROOTS = (
        "6032661ab0d201132db7a8fa1da6a0afe427e6278bd122c301197680ab79ca02",
        "457d81f933f53e5cfb90d813b84981aa2604d69939e10c94304d18287ded31f7",
        "c7ab142752add0374992261536e502851ce555d243270d3c3c6b77cf31b7945d",
        "e54da9407cbca3570d04ad5c3296056a0726467cb06272ffd8ef1b4ae87fb99d",
        "8b04490800d6b54fa569715a754b5fafe24fd720f677cab819394cf7ccf8cdec",
        "38abd5268374923e6727b14ac5a9bb6611e591d7e316d0a612904062f244e72f",
        "d91cf6388eeff3204474bb07b853ab0d7d39163912ac1e610e92f9b178c76922",
    )

    def test_of_a_history_of_changes_and_removals_are_those_of_cosmos_iavl(self) -> None:
        aello = [b"aello%02d" % number for number in range(21)]
        history: tuple[tuple[dict[bytes, bytes], list[bytes]], ...] = (
            ({b"hello": b"world"}, []),
            ({b"hello": b"world1", b"hello1": b"world1"}, []),
            ({b"hello2": b"world1", b"hello3": b"world1"}, []),
            ({b"hello00": b"world1"}, []),
            ({}, [b"hello", b"hello19"]),
            (dict.fromkeys(aello, b"world1"), []),
            ({}, [*aello, *(b"hello%02d" % number for number in range(19))]),
        )
        store = ProvableStore(IAVL)
        for (written, removed), root in zip(history, self.ROOTS, strict=True):
            for key, value in written.items():
                store.set(key, value)
            for key in removed:
                store.delete(key)
            assert store.commit().hex() == root

    def test_of_a_leaf_that_changes_are_those_of_cosmos_iavl(self) -> None:
        store = ProvableStore(IAVL)
        store.set(b"hello", b"world")
        store.commit()
        store.set(b"hello", b"world1")
        assert store.commit().hex() == "ef0530f9bf1af56c19a3bac32a3ec4f76a6fefaacb2efd4027a2cf37240f60bb"

    def test_of_an_empty_tree(self) -> None:
        store = ProvableStore(IAVL)
        assert store.commit() == EMPTY_ROOT == sha256(b"").digest()


@both_forms
class TestStore:
    def test_keeps_versions_apart(self, form: Form) -> None:
        store = ProvableStore(form)
        store.set(b"a", b"1")
        first = store.commit()
        store.set(b"a", b"2")
        store.set(b"b", b"2")
        assert store.get(b"a") == b"2"
        assert store.get_at(b"a", 1) == b"1"
        assert store.root(1) == first
        store.commit()
        assert (store.get_at(b"b", 1), store.get_at(b"b", 2)) == (None, b"2")

    def test_rollback_forgets_what_was_not_committed(self, form: Form) -> None:
        store = ProvableStore(form)
        store.set(b"a", b"1")
        root = store.commit()
        store.set(b"a", b"2")
        store.delete(b"a")
        store.rollback()
        assert (store.get(b"a"), len(store)) == (b"1", 1)
        if form is SIMPLE:  # an IAVL root has versions in it
            store.set(b"a", b"1")
            assert store.commit() == root

    def test_pruned_versions_say_which_are_kept(self, form: Form) -> None:
        store = ProvableStore(form, kept=2)
        for number in range(5):
            store.set(b"key", b"%d" % number)
            store.commit()
        assert store.versions == range(4, 6)
        assert store.get_at(b"key", 4) == b"3"
        for ask in (lambda: store.prove(b"key", 3), lambda: store.root(3), lambda: store.get_at(b"key", 6)):
            with pytest.raises(Absent, match="expected 4 to 5, which are kept"):
                ask()

    def test_iterates_in_order_and_over_the_state_of_its_beginning(self, form: Form) -> None:
        store = ProvableStore(form)
        for key in (b"b2", b"a", b"b1", b"c", b"b"):
            store.set(key, key)
        found = []
        for key, value in store.iterate(b"b"):
            store.delete(key)
            found.append(value)
        assert found == [b"b", b"b1", b"b2"]
        assert [key for key, _ in store.iterate()] == [b"a", b"c"]

    @pytest.mark.parametrize(("key", "value"), [(b"", b"1"), (b"1", b"")])
    def test_refuses_what_no_proof_can_be_about(self, form: Form, key: bytes, value: bytes) -> None:
        with pytest.raises(Unfit, match="at least one byte"):
            ProvableStore(form).set(key, value)

    def test_proves_nothing_of_an_empty_version(self, form: Form) -> None:
        store = ProvableStore(form)
        store.commit()
        with pytest.raises(Absent, match="version 1 empty"):
            store.prove(b"a", 1)

    def test_is_balanced(self, form: Form) -> None:
        store = ProvableStore(form)
        for number in range(1024):
            store.set(b"%04d" % number, b"1")
        store.commit()
        proof = store.prove(b"0000", 1).exist
        assert proof
        assert len(proof.path) <= 10


class TestMultistore:
    def stores(self) -> Multistore:
        names = ("ibc", "bank", "acc", "transfer", "empty")
        return Multistore({name: ProvableStore(IAVL if name == "ibc" else SIMPLE, kept=3) for name in names})

    def test_two_layers_prove_keys_and_their_absence_at_every_kept_version(self) -> None:
        stores = self.stores()
        for height in range(1, 6):
            for name in ("ibc", "bank", "acc", "transfer"):
                stores.stores[name].set(b"height", b"%d" % height)
                stores.stores[name].set(b"key%d" % height, name.encode())
            stores.commit()
        assert stores.versions == range(3, 6)
        for version in stores.versions:
            root = stores.root(version)
            for name in ("ibc", "bank", "acc", "transfer"):
                specs, path = stores.specs_of(name), [name.encode(), b"height"]
                proofs = stores.prove(name, b"height", version)
                verify_membership(proofs, specs, root, path, b"%d" % version)
                with pytest.raises(ProofError):
                    verify_membership(proofs, specs, root, path, b"9")
                absent = [name.encode(), b"nobody"]
                verify_non_membership(stores.prove(name, b"nobody", version), specs, root, absent)
                with pytest.raises(ProofError):
                    verify_non_membership(stores.prove(name, b"nobody", version), specs, root, path)
        with pytest.raises(Absent):
            stores.prove("ibc", b"height", 2)
        with pytest.raises(Absent, match="expected one of acc, bank, empty, ibc, transfer"):
            stores.prove("gov", b"height", 5)

    @pytest.mark.parametrize("count", range(1, 18))
    def test_of_any_number_of_stores(self, count: int) -> None:
        stores = Multistore({f"store{number}": ProvableStore() for number in range(count)})
        for name, store in stores.stores.items():
            store.set(b"name", name.encode())
        root = stores.commit()
        for name in stores.stores:
            path = [name.encode(), b"name"]
            verify_membership(stores.prove(name, b"name", 1), stores.specs_of(name), root, path, name.encode())

    @pytest.mark.parametrize(
        ("values", "root"),
        [
            ({}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ({b"key1": b"value1"}, "a44d3cc7daba1a4600b00a2434b30f8b970652169810d6dfa9fb1793a2189324"),
            ({b"key1": b"value2"}, "0638e99b3445caec9d95c05e1a3fc1487b4ddec6a952ff337080360b0dcc078c"),
            (
                {b"key2": b"value2", b"key1": b"value1"},
                "8fd19b19e7bb3f2b3ee0574027d8a5a4cec370464ea2db2fbfa5c7d35bb0cff3",
            ),
            (
                {b"key1": b"value1", b"key3": b"value3", b"key2": b"value2"},
                "1dd674ec6782a0d586a903c9c63326a41cbe56b3bba33ed6ff5b527af6efb3dc",
            ),
        ],
    )
    def test_root_is_that_of_the_sdk_s_simple_map(self, values: dict[bytes, bytes], root: str) -> None:
        """Roots of cosmos-sdk, store/internal/maps/maps_test.go."""
        assert simple_map_root(values).hex() == root

    def test_rollback_and_bad_stores(self) -> None:
        stores = self.stores()
        stores.stores["ibc"].set(b"a", b"1")
        stores.rollback()
        assert stores.stores["ibc"].get(b"a") is None
        ahead = ProvableStore()
        ahead.commit()
        with pytest.raises(Unfit, match="different versions"):
            Multistore({"a": ProvableStore(), "b": ahead})
        with pytest.raises(Unfit, match="at least one"):
            Multistore({})
