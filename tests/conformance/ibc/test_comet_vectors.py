"""Public vectors of CometBFT: Merkle roots, hashes, sign bytes, verdicts of a light client, answers of a real node.

The data stays where it is (../shared/data/ibc, sources in SOURCES.md there); without it the tests are skipped. Each
vector is also tried with one bit changed, which must change the outcome.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from nodes.ibc.comet import commits, hashes, json_form, light, merkle
from nodes.ibc.comet.moments import read_time
from nodes.ibc.proto.comet import BlockIDFlag, CanonicalVote, Commit, CommitSig, SignedHeader, SignedMsgType, Validator
from nodes.ibc.proto.wire import delimited

DATA = Path(__file__).resolve().parents[4] / "shared/data/ibc"
STEPS = DATA / "tendermint-light-client/single_step"
RPC = DATA / "tendermint-rpc"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="reference data ../shared/data/ibc is absent")


def loaded(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {}


VECTORS = loaded(DATA / "vectors/cometbft_hashes.json")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    "vector", VECTORS.get("rfc6962_merkle", []), ids=lambda each: f"{len(each['leaves_hex'])}-leaves"
)
def test_merkle_root(vector: dict[str, Any]) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in vector["leaves_hex"]]
    assert merkle.root(leaves).hex() == vector["root"]
    for index, leaf in enumerate(leaves):
        assert (merkle.proof(leaves, index).root_of(leaf) or b"").hex() == vector["root"]
        for bit in range(8 * len(leaf)):
            changed = [*leaves[:index], flipped(leaf, bit), *leaves[index + 1 :]]
            assert merkle.root(changed).hex() != vector["root"]
            assert merkle.proof(leaves, index).root_of(flipped(leaf, bit)) is None


@pytest.mark.parametrize(
    "vector", VECTORS.get("header_hash", []), ids=lambda each: f"height-{each['header']['height']}"
)
def test_header_hash(vector: dict[str, Any]) -> None:
    header = json_form.read_header(vector["header"])
    assert json_form.write_hex(hashes.header_hash(header)) == vector["hash"]
    assert type(header).decode(header.encode()) == header
    for name in ("last_commit_hash", "validators_hash", "app_hash", "proposer_address", "evidence_hash"):
        changed = replace(header, **{name: flipped(getattr(header, name), 3)})
        assert hashes.header_hash(changed).hex().upper() != vector["hash"]


@pytest.mark.parametrize("number", range(len(VECTORS.get("vote_sign_bytes", []))))
def test_vote_sign_bytes(number: int) -> None:
    vector = VECTORS["vote_sign_bytes"][number]
    vote = CanonicalVote(
        type=SignedMsgType(vector["type"]),
        height=vector["height"],
        round=vector["round"],
        timestamp=read_time(vector["timestamp"]),
        chain_id=vector["chain_id"],
    )
    assert delimited(vote.encode()).hex() == vector["sign_bytes_hex"]
    assert CanonicalVote.decode(bytes.fromhex(vector["sign_bytes_hex"])[1:]) == vote


class Step:
    """One step of a model-based test: what is trusted, what is shown, and the verdict."""

    def __init__(self, trusted: light.Trusted, data: dict[str, Any], period_ns: int) -> None:
        block = data["block"]
        self.trusted = trusted
        self.block = light.LightBlock.of(
            json_form.read_signed_header(block["signed_header"]),
            json_form.read_validators(block["validator_set"]["validators"]),
            json_form.read_validators(block["next_validator_set"]["validators"]),
        )
        self.policy = light.Policy(period_ns, clock_drift_ns=0)
        self.now_ns = read_time(data["now"]).ns
        self.expected = data["verdict"]

    def verdict(self, signed: SignedHeader | None = None, validators: tuple[Validator, ...] | None = None) -> str:
        cache = commits.SignatureCache()
        shown = self.block.signed if signed is None else signed
        members = self.block.validators if validators is None else validators
        try:
            light.verify(self.trusted, shown, members, self.policy, self.now_ns, cache)
        except light.NotEnoughTrust:
            return "NOT_ENOUGH_TRUST"
        except light.LightError:
            return "INVALID"
        return "SUCCESS"


def steps(path: Path) -> Iterator[Step]:
    data = loaded(path)
    first = data["initial"]
    header = json_form.read_signed_header(first["signed_header"]).header
    assert header is not None
    trusted = light.Trusted(
        header.chain_id,
        header.height,
        header.time.ns,
        header.next_validators_hash,
        json_form.read_validators(first["next_validator_set"]["validators"]),
    )
    for each in data["input"]:
        step = Step(trusted, each, int(first["trusting_period"]))
        yield step
        if step.expected == "SUCCESS":
            trusted = step.block.trusted()


@pytest.mark.parametrize("path", sorted(STEPS.glob("*.json")), ids=lambda path: path.stem)
def test_light_client_step(path: Path) -> None:
    verdicts = [(step.verdict(), step.expected) for step in steps(path)]
    assert verdicts
    assert [found for found, _ in verdicts] == [expected for _, expected in verdicts]


@pytest.mark.parametrize("path", sorted(STEPS.glob("*.json")), ids=lambda path: path.stem)
def test_light_client_step_with_a_bit_changed(path: Path) -> None:
    for step in steps(path):
        if step.expected != "SUCCESS":
            continue
        header, commit = step.block.header, step.block.signed.commit
        assert commit is not None
        for name in ("app_hash", "validators_hash", "next_validators_hash", "consensus_hash", "proposer_address"):
            value = getattr(header, name) or bytes(32)
            changed = replace(header, **{name: flipped(value, 17)})
            assert step.verdict(SignedHeader(changed, commit)) == "INVALID"
        for at in range(len(commit.signatures)):
            if entry_counts(step, commit, at):
                assert step.verdict(SignedHeader(header, with_bit(commit, at))) == "INVALID"
        first, *others = step.block.validators
        assert step.verdict(validators=(replace(first, voting_power=first.voting_power + 1), *others)) == "INVALID"


def entry_counts(step: Step, commit: Commit, at: int) -> bool:
    """Whether the step needs this signature: without it, it would not succeed."""
    absent = CommitSig(block_id_flag=BlockIDFlag.ABSENT)
    without = replace(commit, signatures=(*commit.signatures[:at], absent, *commit.signatures[at + 1 :]))
    return step.verdict(SignedHeader(step.block.header, without)) != "SUCCESS"


def with_bit(commit: Commit, at: int) -> Commit:
    entry = commit.signatures[at]
    entry = replace(entry, signature=flipped(entry.signature, 100))
    return replace(commit, signatures=(*commit.signatures[:at], entry, *commit.signatures[at + 1 :]))


def test_block_of_a_real_node() -> None:
    genesis = loaded(RPC / "kvstore_v038_genesis.json")["result"]["genesis"]
    result = loaded(RPC / "kvstore_v038_commit_at_height_10.json")["result"]["signed_header"]
    signed = json_form.read_signed_header(result)
    assert signed.header is not None
    assert signed.commit is not None
    assert hashes.header_hash(signed.header) == signed.commit.block_id.hash
    assert SignedHeader.decode(signed.encode()) == signed
    assert json_form.read_signed_header(json_form.write_signed_header(signed)) == signed
    validators = json_form.read_validators([{**each, "voting_power": each["power"]} for each in genesis["validators"]])
    assert hashes.validators_hash(validators) == signed.header.validators_hash
    commits.verify_commit(signed.header.chain_id, validators, signed.commit, commits.SignatureCache())
    with pytest.raises(commits.CommitError):
        commits.verify_commit(signed.header.chain_id, validators, with_bit(signed.commit, 0), commits.SignatureCache())


def test_last_commit_of_a_real_block() -> None:
    block = loaded(RPC / "kvstore_v038_block_at_height_10.json")["result"]["block"]
    header, commit = json_form.read_header(block["header"]), json_form.read_commit(block["last_commit"])
    assert hashes.commit_hash(commit) == header.last_commit_hash
    assert hashes.commit_hash(with_bit(commit, 0)) != header.last_commit_hash
    assert hashes.data_hash([]) == header.data_hash


@pytest.mark.parametrize("number", range(10))
def test_header_of_a_real_chain(number: int) -> None:
    metas = loaded(RPC / "kvstore_v038_blockchain_from_1_to_10.json")["result"]["block_metas"]
    header = json_form.read_header(metas[number]["header"])
    assert json_form.write_hex(hashes.header_hash(header)) == metas[number]["block_id"]["hash"]
    assert json_form.write_header(header) == metas[number]["header"]


def test_proofs_of_transactions_of_a_real_chain() -> None:
    found = loaded(RPC / "kvstore_v038_tx_search_with_prove.json")["result"]["txs"]
    assert found
    for each in found:
        given = each["proof"]["proof"]
        proof = merkle.Proof(
            int(given["total"]),
            int(given["index"]),
            b64decode(given["leaf_hash"]),
            tuple(map(b64decode, given["aunts"])),
        )
        digest = sha256(b64decode(each["tx"])).digest()
        assert json_form.write_hex(proof.root_of(digest) or b"") == each["proof"]["root_hash"]
        assert json_form.write_hex(digest) == each["hash"]
        assert proof.root_of(flipped(digest, 9)) is None
