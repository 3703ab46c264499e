"""Messages of ICS-2, ICS-23 and ICS-7 in ibc-go: heights, commitments, clients and the Tendermint light client.

Invariant: bytes are those of `ibc.core.client.v1`, `v2`, `ibc.core.commitment.v1` and
`ibc.lightclients.tendermint.v1` in ibc-go v10.
"""

from __future__ import annotations

from nodes.ibc.proto.comet import SignedHeader, ValidatorSet
from nodes.ibc.proto.ics23 import CommitmentProof, ProofSpec
from nodes.ibc.proto.well_known import Any, Duration, Timestamp
from nodes.ibc.proto.wire import Message, boolean, message, nested, octets, optional, repeated, string, uint64


@message("ibc.core.client.v1.Height")
class Height(Message):
    """A height of a chain: its revision (see the chain id) and the number within it. 0-0 stands for none."""

    revision_number: int = uint64(1)
    revision_height: int = uint64(2)


@message("ibc.core.commitment.v1.MerkleRoot")
class MerkleRoot(Message):
    """Root of a chain's state."""

    hash: bytes = octets(1)


@message("ibc.core.commitment.v1.MerklePrefix")
class MerklePrefix(Message):
    """The store of a chain under which IBC keeps its keys."""

    key_prefix: bytes = octets(1)


@message("ibc.core.commitment.v2.MerklePath")
class MerklePath(Message):
    """A key: one part for each tree, outermost first."""

    key_path: tuple[bytes, ...] = repeated(1, bytes)


@message("ibc.core.commitment.v1.MerkleProof")
class MerkleProof(Message):
    """Proofs of each tree, innermost first."""

    proofs: tuple[CommitmentProof, ...] = repeated(1, CommitmentProof)


@message("ibc.lightclients.tendermint.v1.Fraction")
class Fraction(Message):
    """Share of power that must be trusted."""

    numerator: int = uint64(1)
    denominator: int = uint64(2)


@message("ibc.lightclients.tendermint.v1.ClientState")
class ClientState(Message):
    """What a chain knows and demands of another one."""

    chain_id: str = string(1)
    trust_level: Fraction = nested(2, Fraction)
    trusting_period: Duration = nested(3, Duration)
    unbonding_period: Duration = nested(4, Duration)
    max_clock_drift: Duration = nested(5, Duration)
    frozen_height: Height = nested(6, Height)
    latest_height: Height = nested(7, Height)
    proof_specs: tuple[ProofSpec, ...] = repeated(8, ProofSpec)
    upgrade_path: tuple[str, ...] = repeated(9, str)
    allow_update_after_expiry: bool = boolean(10)
    allow_update_after_misbehaviour: bool = boolean(11)


@message("ibc.lightclients.tendermint.v1.ConsensusState")
class ConsensusState(Message):
    """What is trusted of one height of another chain."""

    timestamp: Timestamp = nested(1, Timestamp)
    root: MerkleRoot = nested(2, MerkleRoot)
    next_validators_hash: bytes = octets(3)


@message("ibc.lightclients.tendermint.v1.Header")
class Header(Message):
    """A header to update a client with, and the trusted height that it builds on."""

    signed_header: SignedHeader | None = optional(1, SignedHeader)
    validator_set: ValidatorSet | None = optional(2, ValidatorSet)
    trusted_height: Height = nested(3, Height)
    trusted_validators: ValidatorSet | None = optional(4, ValidatorSet)


@message("ibc.lightclients.tendermint.v1.Misbehaviour")
class Misbehaviour(Message):
    """Two headers that cannot both be honest."""

    client_id: str = string(1)
    header_1: Header | None = optional(2, Header)
    header_2: Header | None = optional(3, Header)


@message("ibc.core.client.v1.MsgCreateClient")
class MsgCreateClient(Message):
    """Create a client."""

    client_state: Any | None = optional(1, Any)
    consensus_state: Any | None = optional(2, Any)
    signer: str = string(3)


@message("ibc.core.client.v1.MsgCreateClientResponse")
class MsgCreateClientResponse(Message):
    """The name of the new client."""

    client_id: str = string(1)


@message("ibc.core.client.v1.MsgUpdateClient")
class MsgUpdateClient(Message):
    """Update a client with a header, or freeze it with misbehaviour."""

    client_id: str = string(1)
    client_message: Any | None = optional(2, Any)
    signer: str = string(3)


@message("ibc.core.client.v1.MsgUpdateClientResponse")
class MsgUpdateClientResponse(Message):
    """Nothing."""


@message("ibc.core.client.v1.MsgUpgradeClient")
class MsgUpgradeClient(Message):
    """Follow a chain through an upgrade that breaks its client."""

    client_id: str = string(1)
    client_state: Any | None = optional(2, Any)
    consensus_state: Any | None = optional(3, Any)
    proof_upgrade_client: bytes = octets(4)
    proof_upgrade_consensus_state: bytes = octets(5)
    signer: str = string(6)


@message("ibc.core.client.v1.MsgUpgradeClientResponse")
class MsgUpgradeClientResponse(Message):
    """Nothing."""


@message("ibc.core.client.v1.MsgSubmitMisbehaviour")
class MsgSubmitMisbehaviour(Message):
    """Freeze a client (older form; MsgUpdateClient does it, too)."""

    client_id: str = string(1)
    misbehaviour: Any | None = optional(2, Any)
    signer: str = string(3)


@message("ibc.core.client.v1.MsgSubmitMisbehaviourResponse")
class MsgSubmitMisbehaviourResponse(Message):
    """Nothing."""


@message("ibc.core.client.v1.MsgRecoverClient")
class MsgRecoverClient(Message):
    """Let an active client take the place of an expired or frozen one."""

    subject_client_id: str = string(1)
    substitute_client_id: str = string(2)
    signer: str = string(3)


@message("ibc.core.client.v1.MsgRecoverClientResponse")
class MsgRecoverClientResponse(Message):
    """Nothing."""


@message("ibc.core.client.v2.MsgRegisterCounterparty")
class MsgRegisterCounterparty(Message):
    """Bind a client to the client that the other chain has of this one (IBC v2)."""

    client_id: str = string(1)
    counterparty_merkle_prefix: tuple[bytes, ...] = repeated(2, bytes)
    counterparty_client_id: str = string(3)
    signer: str = string(4)


@message("ibc.core.client.v2.MsgRegisterCounterpartyResponse")
class MsgRegisterCounterpartyResponse(Message):
    """Nothing."""


@message("ibc.core.client.v2.CounterpartyInfo")
class CounterpartyInfo(Message):
    """The client on the other side, and where that chain keeps its IBC keys."""

    merkle_prefix: tuple[bytes, ...] = repeated(1, bytes)
    client_id: str = string(2)


@message("ibc.core.client.v1.IdentifiedClientState")
class IdentifiedClientState(Message):
    """A client with its name."""

    client_id: str = string(1)
    client_state: Any | None = optional(2, Any)


@message("ibc.core.client.v1.ConsensusStateWithHeight")
class ConsensusStateWithHeight(Message):
    """A consensus state with its height."""

    height: Height = nested(1, Height)
    consensus_state: Any | None = optional(2, Any)
