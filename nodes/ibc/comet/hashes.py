"""What CometBFT hashes and signs: headers, validator sets, commits, transactions, results and votes.

Invariant: each function gives the bytes of CometBFT 0.38 (`types/block.go`, `types/validator_set.go`, `types/vote.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import new, sha256
from typing import Protocol

from nodes.ibc.comet import merkle
from nodes.ibc.proto.comet import (
    BlockID,
    BlockIDFlag,
    CanonicalBlockID,
    CanonicalPartSetHeader,
    CanonicalVote,
    Commit,
    ExecTxResult,
    HashedParams,
    Header,
    PublicKey,
    SignedMsgType,
    SimpleValidator,
    Validator,
)
from nodes.ibc.proto.scalars import INT64
from nodes.ibc.proto.wire import delimited

ADDRESS_BYTES = 20


def header_hash(header: Header) -> bytes:
    """Hash of a header: the root over its fourteen fields, each encoded by itself."""
    return merkle.root(
        (
            header.version.encode(),
            _bytes_value(header.chain_id.encode()),
            b"\x08" + INT64.write(header.height) if header.height else b"",
            header.time.encode(),
            header.last_block_id.encode(),
            *map(
                _bytes_value,
                (
                    header.last_commit_hash,
                    header.data_hash,
                    header.validators_hash,
                    header.next_validators_hash,
                    header.consensus_hash,
                    header.app_hash,
                    header.last_results_hash,
                    header.evidence_hash,
                    header.proposer_address,
                ),
            ),
        )
    )


def _bytes_value(value: bytes) -> bytes:
    """A string or bytes as a message of one field, or nothing where it is empty."""
    return b"\x0a" + delimited(value) if value else b""


def address(key: PublicKey) -> bytes:
    """Address of a validator: 20 bytes. ValueError where there is no key."""
    if key.ed25519 is not None:
        return sha256(key.ed25519).digest()[:ADDRESS_BYTES]
    if key.secp256k1 is not None:
        return new("ripemd160", sha256(key.secp256k1).digest()).digest()
    raise ValueError("a public key without a value has no address")


def validators_hash(validators: Iterable[Validator]) -> bytes:
    """Hash of a validator set: keys and powers in the order given."""
    return merkle.root([SimpleValidator(each.pub_key, each.voting_power).encode() for each in validators])


def ordered(validators: Iterable[Validator]) -> tuple[Validator, ...]:
    """Validators in CometBFT's order: most power first, then by address."""
    return tuple(sorted(validators, key=lambda each: (-each.voting_power, each.address)))


def commit_hash(commit: Commit) -> bytes:
    """What the next header says of this commit."""
    return merkle.root([each.encode() for each in commit.signatures])


def data_hash(transactions: Sequence[bytes]) -> bytes:
    """What a header says of its block's transactions."""
    return merkle.root([sha256(each).digest() for each in transactions])


class Outcome(Protocol):
    """What headers say of a transaction's result."""

    @property
    def code(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def gas_wanted(self) -> int: ...
    @property
    def gas_used(self) -> int: ...


def results_hash(results: Iterable[Outcome]) -> bytes:
    """What the next header says of the outcome of transactions: code, data and gas of each."""
    return merkle.root(
        [
            ExecTxResult(code=each.code, data=each.data, gas_wanted=each.gas_wanted, gas_used=each.gas_used).encode()
            for each in results
        ]
    )


def params_hash(max_bytes: int, max_gas: int) -> bytes:
    """What a header says of the limits of blocks."""
    return sha256(HashedParams(max_bytes, max_gas).encode()).digest()


def vote_sign_bytes(chain_id: str, commit: Commit, index: int) -> bytes:
    """What the validator at an index of a commit signed: for the commit's block, or for none."""
    entry = commit.signatures[index]
    vote = CanonicalVote(
        type=SignedMsgType.PRECOMMIT,
        height=commit.height,
        round=commit.round,
        block_id=canonical_block_id(commit.block_id) if entry.block_id_flag == BlockIDFlag.COMMIT else None,
        timestamp=entry.timestamp,
        chain_id=chain_id,
    )
    return delimited(vote.encode())


def canonical_block_id(block_id: BlockID) -> CanonicalBlockID | None:
    """A block as votes name it; None for no block."""
    if block_id == BlockID():
        return None
    parts = block_id.part_set_header
    return CanonicalBlockID(block_id.hash, CanonicalPartSetHeader(parts.total, parts.hash))
