"""A sorted map that keeps its last versions and proves what they hold, or do not hold.

Invariant: a committed version never changes, and every proof of it verifies against its root by the form's spec. A
version that was pruned is an error that says which are kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.model.errors import Absent, Unfit
from nodes.ibc.proofs.forms import EMPTY_ROOT, SIMPLE, Form, existence_proof, hash_of
from nodes.ibc.proofs.tree import Node, key_before, leaves, value_of, with_key, without_key
from nodes.ibc.proto.ics23 import CommitmentProof, NonExistenceProof


class ProvableStore:
    """Keys and values as of now, and as of the last `kept` versions (0: of all).

    A version is a commit; a chain commits once a block, so that versions are heights.
    """

    def __init__(self, form: Form = SIMPLE, kept: int = 0, first_version: int = 1) -> None:
        if kept < 0 or first_version < 1:
            raise Unfit(f"{kept} versions kept, the first of them {first_version}", "0 or more, and 1 or more")
        self.form = form
        self.version = first_version - 1  # the last that was committed
        self._kept = kept
        self._roots: dict[int, Node | None] = {}  # by version, in ascending order
        self._root: Node | None = None  # with what is not committed yet
        self._committed: Node | None = None

    def __len__(self) -> int:
        return self._root.size if self._root else 0

    def get(self, key: bytes) -> bytes | None:
        """The value as of now."""
        return value_of(self._root, key)

    def set(self, key: bytes, value: bytes) -> None:
        """Give a key a value. Unfit for an empty key or value, which no proof can be about."""
        if not key or not value:
            raise Unfit(f"an empty {'value' if key else 'key'}", "at least one byte")
        self._root = with_key(self._root, key, value, self.version + 1)

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        if self._root is not None and value_of(self._root, key) is not None:
            self._root = without_key(self._root, key, self.version + 1)

    def iterate(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with the prefix, in the order of keys, as they are when the iteration begins."""
        for leaf in leaves(self._root, prefix):
            if not leaf.key.startswith(prefix):
                return
            yield leaf.key, leaf.value

    def commit(self) -> bytes:
        """Make what is there now the next version, and forget the oldest one. The root of the new one."""
        self.version += 1
        self._roots[self.version] = self._committed = self._root
        while self._kept and len(self._roots) > self._kept:
            del self._roots[next(iter(self._roots))]
        return self.root(self.version)

    def rollback(self) -> None:
        """Forget what was changed since the last commit."""
        self._root = self._committed

    @property
    def versions(self) -> range:
        """Versions that are kept."""
        return range(self.version + 1 - len(self._roots), self.version + 1)

    def root(self, version: int) -> bytes:
        """The hash of a version. Absent where it is not kept."""
        node = self._at(version)
        return hash_of(self.form, node) if node else EMPTY_ROOT

    def get_at(self, key: bytes, version: int) -> bytes | None:
        """The value as of a version. Absent where that one is not kept."""
        return value_of(self._at(version), key)

    def prove(self, key: bytes, version: int) -> CommitmentProof:
        """The proof that a version has a value for a key, or none. Absent where it is not kept, or is empty.

        Nothing can be proved of an empty tree: ICS-23 has no form for it.
        """
        root = self._at(version)
        if root is None or not key:
            raise Absent(f"version {version} empty" if key else "an empty key", "something to be proved")
        if value_of(root, key) is not None:
            return CommitmentProof(exist=existence_proof(self.form, root, key))
        before, after = key_before(root, key), next(leaves(root, key), None)
        return CommitmentProof(
            nonexist=NonExistenceProof(
                key,
                None if before is None else existence_proof(self.form, root, before),
                None if after is None else existence_proof(self.form, root, after.key),
            )
        )

    def _at(self, version: int) -> Node | None:
        try:
            return self._roots[version]
        except KeyError:
            kept = self.versions
            expected = f"{kept[0]} to {kept[-1]}, which are kept" if kept else "a version, once one is committed"
            raise Absent(f"version {version}", expected) from None
