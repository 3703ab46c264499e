"""Proofs of our stores, checked by the verifier that CosmJS has: @confio/ics23, which knows nothing of ours.

It lies where NODE_PATH says: `npm install --prefix DIR @confio/ics23`, then NODE_PATH=DIR/node_modules.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from random import Random

import pytest

from nodes.ibc.proofs.forms import IAVL, SIMPLE, Form
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ics23 import CommitmentProof

CHECK = """
const { ics23, iavlSpec, tendermintSpec, verifyMembership, verifyNonMembership } = require("@confio/ics23");
const octets = (text) => Uint8Array.from(Buffer.from(text, "hex"));
for (const { form, root, key, value, proof } of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
  const spec = form === "ics23:iavl" ? iavlSpec : tendermintSpec;
  const decoded = ics23.CommitmentProof.decode(octets(proof));
  console.log(value
    ? verifyMembership(decoded, spec, octets(root), octets(key), octets(value))
    : verifyNonMembership(decoded, spec, octets(root), octets(key)));
}
"""


@pytest.fixture(scope="module")
def with_ics23_of_javascript() -> None:
    """Node, and @confio/ics23 where it looks for modules."""
    if not shutil.which("node"):
        pytest.skip("needs node here (Debian's nodejs)")
    if subprocess.run(["node", "-e", "require('@confio/ics23')"], capture_output=True, check=False).returncode:
        pytest.skip("needs @confio/ics23, from npm, in a folder that NODE_PATH names")


@pytest.mark.usefixtures("with_ics23_of_javascript")
@pytest.mark.parametrize("form", [IAVL, SIMPLE], ids=lambda form: form.name)
def test_javascript_verifies_our_proofs_and_refuses_them_for_other_claims(form: Form) -> None:
    random = Random("javascript")
    store, claims, expected = ProvableStore(form), [], []
    for version in range(1, 9):
        for _ in range(3**version % 40):
            store.set(random.randbytes(random.randint(1, 3)), random.randbytes(4))
        for key, _ in list(store.iterate())[::7]:
            store.delete(key)
        store.set(b"always", b"%d" % version)
        root = store.commit().hex()
        for key in [b"always", *(random.randbytes(random.randint(1, 3)) for _ in range(12))]:
            value, proof = store.get_at(key, version) or b"", store.prove(key, version)
            for said, holds in ((value, True), (b"" if value else b"other", False)):
                claims.append(claim(form, root, key, said, proof))
                expected.append(holds)
    asked = json.dumps(claims)
    done = subprocess.run(["node", "-e", CHECK], input=asked, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [str(holds).lower() for holds in expected]


def claim(form: Form, root: str, key: bytes, value: bytes, proof: CommitmentProof) -> dict[str, str]:
    return {"form": form.name, "root": root, "key": key.hex(), "value": value.hex(), "proof": proof.encode().hex()}
