"""Proofs of two layers, as IBC packets carry them: made, decoded and verified. Prints milliseconds of processor.

python -m benchmarks.ibc_proofs [KEYS]     by default 10,000 keys in the store `ibc`, beside fifteen other stores
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from random import Random

from nodes.ibc.proofs.forms import IAVL, SIMPLE, Form
from nodes.ibc.proofs.multistore import Multistore
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership
from nodes.ibc.proto.ibc import MerkleProof

ROUNDS, CALLS = 7, 200
WRITES = 400  # in a block


def cost_ms(call: Callable[[], object]) -> float:
    """Processor time of one call: the least of several rounds, since other processes only add to it."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            call()
        best = min(best, time.process_time() - begun)
    return best / CALLS * 1000


def chain(form: Form, keys: int) -> Multistore:
    """Stores of a chain after packets: commitments of 32 bytes under keys as ICS-24 has them."""
    random = Random("benchmarks/ibc_proofs")
    stores = Multistore({"ibc": ProvableStore(form, kept=10)} | {f"store{at}": ProvableStore() for at in range(15)})
    for at in range(keys):
        stores.stores["ibc"].set(key_of(at), random.randbytes(32))
    stores.commit()
    return stores


def key_of(sequence: int) -> bytes:
    return b"commitments/ports/transfer/channels/channel-0/sequences/%d" % sequence


def row(name: str, form: Form, keys: int) -> None:
    stores = chain(form, keys)
    version, store, specs = stores.version, stores.stores["ibc"], stores.specs_of("ibc")
    root, key, absent = stores.root(version), key_of(keys // 3), key_of(keys + 1)
    value = store.get(key) or b""
    proof, gap = MerkleProof(stores.prove("ibc", key, version)), MerkleProof(stores.prove("ibc", absent, version))
    data, path = proof.encode(), (b"ibc", key)
    depths = [len(each.exist.path) for each in proof.proofs if each.exist]

    def decoded_and_verified() -> None:
        verify_membership(MerkleProof.decode(data).proofs, specs, root, path, value)

    figures = (
        cost_ms(lambda: verify_membership(proof.proofs, specs, root, path, value)),
        cost_ms(lambda: verify_non_membership(gap.proofs, specs, root, (b"ibc", absent))),
        cost_ms(lambda: MerkleProof.decode(data)),
        cost_ms(decoded_and_verified),
        cost_ms(lambda: stores.prove("ibc", key, version)),
        block_ms(stores),
    )
    print(f"{name:8} {len(data):6} {'+'.join(map(str, depths)):>6} " + " ".join(f"{each:9.3f}" for each in figures))


def block_ms(stores: Multistore) -> float:
    """Processor time of a block that writes some keys, and of its root."""
    best = float("inf")
    for at in range(ROUNDS):
        begun = time.process_time()
        for write in range(WRITES):
            stores.stores["ibc"].set(b"receipts/%d/%d" % (at, write), b"\1")
        stores.commit()
        best = min(best, time.process_time() - begun)
    return best * 1000


def main() -> None:
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{keys:,} keys; ms of processor; target: a proof of two layers verified in 0.2 ms")
    print(f"{'store':8} {'bytes':>6} {'steps':>6} {'exists':>9} {'absent':>9} {'decoded':>9} {'both':>9} {'made':>9}"
          f" {f'{WRITES} sets':>9}")  # fmt: skip
    for name, form in (("iavl", IAVL), ("simple", SIMPLE)):
        row(name, form, keys)


if __name__ == "__main__":
    main()
