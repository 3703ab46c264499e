"""Messages of CometBFT 0.38: headers, commits, votes and validator sets, and what is signed of them.

Invariant: bytes are those of `tendermint.types` and `tendermint.crypto`; field numbers and the fields that are always
written follow the gogoproto options there.
"""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.well_known import Timestamp
from nodes.ibc.proto.wire import (
    Message,
    boolean,
    enum,
    int32,
    int64,
    message,
    nested,
    octets,
    optional,
    optional_octets,
    repeated,
    sfixed64,
    string,
    uint32,
    uint64,
)


class BlockIDFlag(IntEnum):
    """What a validator's entry in a commit says."""

    UNKNOWN = 0
    ABSENT = 1
    COMMIT = 2
    NIL = 3


class SignedMsgType(IntEnum):
    """Kinds of votes, and a proposal."""

    UNKNOWN = 0
    PREVOTE = 1
    PRECOMMIT = 2
    PROPOSAL = 32


@message("tendermint.version.Consensus")
class ConsensusVersion(Message):
    """Versions of the block's form and of the application."""

    block: int = uint64(1)
    app: int = uint64(2)


@message("tendermint.types.PartSetHeader")
class PartSetHeader(Message):
    """Number of the parts of a block, and the Merkle root over them."""

    total: int = uint32(1)
    hash: bytes = octets(2)


@message("tendermint.types.BlockID")
class BlockID(Message):
    """A block by the hash of its header and by its parts; the empty one stands before the first block."""

    hash: bytes = octets(1)
    part_set_header: PartSetHeader = nested(2, PartSetHeader)


@message("tendermint.types.Header")
class Header(Message):
    """Header of a block. `app_hash` is the state after the block before."""

    version: ConsensusVersion = nested(1, ConsensusVersion)
    chain_id: str = string(2)
    height: int = int64(3)
    time: Timestamp = nested(4, Timestamp)
    last_block_id: BlockID = nested(5, BlockID)
    last_commit_hash: bytes = octets(6)
    data_hash: bytes = octets(7)
    validators_hash: bytes = octets(8)
    next_validators_hash: bytes = octets(9)
    consensus_hash: bytes = octets(10)
    app_hash: bytes = octets(11)
    last_results_hash: bytes = octets(12)
    evidence_hash: bytes = octets(13)
    proposer_address: bytes = octets(14)


@message("tendermint.types.CanonicalPartSetHeader")
class CanonicalPartSetHeader(Message):
    """Parts of a block as they are signed."""

    total: int = uint32(1)
    hash: bytes = octets(2)


@message("tendermint.types.CanonicalBlockID")
class CanonicalBlockID(Message):
    """A block as it is signed."""

    hash: bytes = octets(1)
    part_set_header: CanonicalPartSetHeader = nested(2, CanonicalPartSetHeader)


@message("tendermint.types.CanonicalVote")
class CanonicalVote(Message):
    """What a validator signs; `block_id` is None in a vote for no block."""

    type: SignedMsgType = enum(1, SignedMsgType)
    height: int = sfixed64(2)
    round: int = sfixed64(3)
    block_id: CanonicalBlockID | None = optional(4, CanonicalBlockID)
    timestamp: Timestamp = nested(5, Timestamp)
    chain_id: str = string(6)


@message("tendermint.types.Vote")
class Vote(Message):
    """A vote of one validator with its signature."""

    type: SignedMsgType = enum(1, SignedMsgType)
    height: int = int64(2)
    round: int = int32(3)
    block_id: BlockID = nested(4, BlockID)
    timestamp: Timestamp = nested(5, Timestamp)
    validator_address: bytes = octets(6)
    validator_index: int = int32(7)
    signature: bytes = octets(8)
    extension: bytes = octets(9)
    extension_signature: bytes = octets(10)


@message("tendermint.types.CommitSig")
class CommitSig(Message):
    """The entry of one validator in a commit, at its index in the validator set."""

    block_id_flag: BlockIDFlag = enum(1, BlockIDFlag)
    validator_address: bytes = octets(2)
    timestamp: Timestamp = nested(3, Timestamp)
    signature: bytes = octets(4)


@message("tendermint.types.Commit")
class Commit(Message):
    """Precommits for a block."""

    height: int = int64(1)
    round: int = int32(2)
    block_id: BlockID = nested(3, BlockID)
    signatures: tuple[CommitSig, ...] = repeated(4, CommitSig)


@message("tendermint.crypto.PublicKey", oneof=("ed25519", "secp256k1"))
class PublicKey(Message):
    """A validator's public key, of one of two kinds."""

    ed25519: bytes | None = optional_octets(1)
    secp256k1: bytes | None = optional_octets(2)


@message("tendermint.types.SimpleValidator")
class SimpleValidator(Message):
    """What the hash of a validator set covers of a validator."""

    pub_key: PublicKey | None = optional(1, PublicKey)
    voting_power: int = int64(2)


@message("tendermint.types.Validator")
class Validator(Message):
    """A member of a validator set."""

    address: bytes = octets(1)
    pub_key: PublicKey = nested(2, PublicKey)
    voting_power: int = int64(3)
    proposer_priority: int = int64(4)


@message("tendermint.types.ValidatorSet")
class ValidatorSet(Message):
    """Validators in the order in which commits list them."""

    validators: tuple[Validator, ...] = repeated(1, Validator)
    proposer: Validator | None = optional(2, Validator)
    total_voting_power: int = int64(3)


@message("tendermint.types.SignedHeader")
class SignedHeader(Message):
    """A header and the commit for it."""

    header: Header | None = optional(1, Header)
    commit: Commit | None = optional(2, Commit)


@message("tendermint.types.LightBlock")
class LightBlock(Message):
    """A signed header with its validator set."""

    signed_header: SignedHeader | None = optional(1, SignedHeader)
    validator_set: ValidatorSet | None = optional(2, ValidatorSet)


@message("tendermint.types.HashedParams")
class HashedParams(Message):
    """What `consensus_hash` covers: limits of bytes and gas of a block."""

    block_max_bytes: int = int64(1)
    block_max_gas: int = int64(2)


@message("tendermint.crypto.Proof")
class Proof(Message):
    """Merkle proof of one leaf of a list."""

    total: int = int64(1)
    index: int = int64(2)
    leaf_hash: bytes = octets(3)
    aunts: tuple[bytes, ...] = repeated(4, bytes)


@message("tendermint.crypto.ProofOp")
class ProofOp(Message):
    """One step of a proof as `abci_query` gives it: `type` is ics23:iavl or ics23:simple."""

    type: str = string(1)
    key: bytes = octets(2)
    data: bytes = octets(3)


@message("tendermint.crypto.ProofOps")
class ProofOps(Message):
    """Steps of a proof, innermost first."""

    ops: tuple[ProofOp, ...] = repeated(1, ProofOp)


@message("tendermint.abci.EventAttribute")
class EventAttribute(Message):
    """One attribute of an event."""

    key: str = string(1)
    value: str = string(2)
    index: bool = boolean(3)


@message("tendermint.abci.Event")
class Event(Message):
    """What a transaction reports of what it did."""

    type: str = string(1)
    attributes: tuple[EventAttribute, ...] = repeated(2, EventAttribute)


@message("tendermint.abci.ExecTxResult")
class ExecTxResult(Message):
    """Outcome of a transaction. `last_results_hash` covers code, data, gas_wanted and gas_used."""

    code: int = uint32(1)
    data: bytes = octets(2)
    log: str = string(3)
    info: str = string(4)
    gas_wanted: int = int64(5)
    gas_used: int = int64(6)
    events: tuple[Event, ...] = repeated(7, Event)
    codespace: str = string(8)
