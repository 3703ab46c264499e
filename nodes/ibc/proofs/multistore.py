"""A chain's stores under one root, which its headers carry: the simple map of store name and store root.

Invariant: a proof of two layers, the store's inside the multistore's, verifies against the root of its version by the
specs of `specs_of`, with the path (store name, key). Source: cosmos-sdk, store/types/commit_info.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from emulator.model.errors import Absent, Unfit
from nodes.ibc.comet import merkle
from nodes.ibc.proofs.specs import TENDERMINT_SPEC
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof, HashOp, InnerOp, ProofSpec
from nodes.ibc.proto.wire import delimited


class Multistore:
    """Stores by name, which are committed together."""

    def __init__(self, stores: Mapping[str, ProvableStore]) -> None:
        if not stores or "" in stores:
            raise Unfit(f"stores {list(stores)}", "at least one, all with names")
        self.stores = dict(sorted(stores.items()))
        if len({store.version for store in self.stores.values()}) > 1:
            raise Unfit("stores of different versions", "one version")

    @property
    def version(self) -> int:
        """The last one that was committed."""
        return next(iter(self.stores.values())).version

    @property
    def versions(self) -> range:
        """Versions that all stores keep."""
        kept = [store.versions for store in self.stores.values()]
        return max(kept, key=lambda each: each.start)

    def commit(self) -> bytes:
        """Commit all stores. The root of the new version: the app hash of the next header."""
        for store in self.stores.values():
            store.commit()
        return self.root(self.version)

    def rollback(self) -> None:
        """Forget what was changed in any store since the last commit."""
        for store in self.stores.values():
            store.rollback()

    def root(self, version: int) -> bytes:
        """The root of a version. Absent where it is not kept."""
        return simple_map_root(self._store_roots(version))

    def prove(self, name: str, key: bytes, version: int) -> tuple[CommitmentProof, CommitmentProof]:
        """The proof in a store, and the proof of that store. Absent where version or store is not there."""
        if name not in self.stores:
            raise Absent(f"store {name!r}", f"one of {', '.join(self.stores)}")
        inside = self.stores[name].prove(key, version)
        return inside, CommitmentProof(exist=simple_map_proof(self._store_roots(version), name.encode()))

    def specs_of(self, name: str) -> tuple[ProofSpec, ProofSpec]:
        """The specs that a client of this chain has, for one store."""
        return self.stores[name].form.spec, TENDERMINT_SPEC

    def _store_roots(self, version: int) -> dict[bytes, bytes]:
        return {name.encode(): store.root(version) for name, store in self.stores.items()}


def simple_map_root(values: Mapping[bytes, bytes]) -> bytes:
    """The root of CometBFT's simple map: the Merkle tree of RFC 6962 over keys and hashed values, in order."""
    return merkle.root(_leaves(values))


def simple_map_proof(values: Mapping[bytes, bytes], key: bytes) -> ExistenceProof:
    """The proof of one key of a simple map, which has it."""
    at, total = sorted(values).index(key), len(values)
    steps = []
    for aunt in merkle.proof(_leaves(values), at).aunts:
        while at ^ 1 == total:  # the last node of an odd level moves up
            at, total = at // 2, (total + 1) // 2
        steps.append(InnerOp(HashOp.SHA256, b"\1" + aunt) if at % 2 else InnerOp(HashOp.SHA256, b"\1", aunt))
        at, total = at // 2, (total + 1) // 2
    return ExistenceProof(key, values[key], TENDERMINT_SPEC.leaf_spec, tuple(steps))


def _leaves(values: Mapping[bytes, bytes]) -> list[bytes]:
    return [delimited(key) + b"\x20" + sha256(values[key]).digest() for key in sorted(values)]
