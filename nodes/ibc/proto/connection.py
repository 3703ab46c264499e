"""Messages of ICS-3: connections between two clients (`ibc.core.connection.v1`, ibc-go v10)."""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.ibc import Height, MerklePrefix
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message, enum, message, nested, octets, optional, repeated, string, uint64


class State(IntEnum):
    """State of one end of a connection."""

    UNINITIALIZED = 0
    INIT = 1
    TRYOPEN = 2
    OPEN = 3


@message("ibc.core.connection.v1.Version")
class Version(Message):
    """A version of the protocol and the orderings that it allows."""

    identifier: str = string(1)
    features: tuple[str, ...] = repeated(2, str)


@message("ibc.core.connection.v1.Counterparty")
class Counterparty(Message):
    """The other end."""

    client_id: str = string(1)
    connection_id: str = string(2)
    prefix: MerklePrefix = nested(3, MerklePrefix)


@message("ibc.core.connection.v1.ConnectionEnd")
class ConnectionEnd(Message):
    """One end of a connection, as it is stored and proven. Delay in ns."""

    client_id: str = string(1)
    versions: tuple[Version, ...] = repeated(2, Version)
    state: State = enum(3, State)
    counterparty: Counterparty = nested(4, Counterparty)
    delay_period: int = uint64(5)


@message("ibc.core.connection.v1.IdentifiedConnection")
class IdentifiedConnection(Message):
    """One end with its name."""

    id: str = string(1)
    client_id: str = string(2)
    versions: tuple[Version, ...] = repeated(3, Version)
    state: State = enum(4, State)
    counterparty: Counterparty = nested(5, Counterparty)
    delay_period: int = uint64(6)


@message("ibc.core.connection.v1.ClientPaths")
class ClientPaths(Message):
    """Names of the connections of a client."""

    paths: tuple[str, ...] = repeated(1, str)


@message("ibc.core.connection.v1.Params")
class Params(Message):
    """Longest time that a block is expected to take, in ns."""

    max_expected_time_per_block: int = uint64(1)


@message("ibc.core.connection.v1.MsgConnectionOpenInit")
class MsgConnectionOpenInit(Message):
    """First step, on chain A."""

    client_id: str = string(1)
    counterparty: Counterparty = nested(2, Counterparty)
    version: Version | None = optional(3, Version)
    delay_period: int = uint64(4)
    signer: str = string(5)


@message("ibc.core.connection.v1.MsgConnectionOpenInitResponse")
class MsgConnectionOpenInitResponse(Message):
    """Nothing."""


@message("ibc.core.connection.v1.MsgConnectionOpenTry")
class MsgConnectionOpenTry(Message):
    """Second step, on chain B. Fields 3, 9, 10, 11 and 13 are read by no release since v10."""

    client_id: str = string(1)
    previous_connection_id: str = string(2)
    client_state: Any | None = optional(3, Any)
    counterparty: Counterparty = nested(4, Counterparty)
    delay_period: int = uint64(5)
    counterparty_versions: tuple[Version, ...] = repeated(6, Version)
    proof_height: Height = nested(7, Height)
    proof_init: bytes = octets(8)
    proof_client: bytes = octets(9)
    proof_consensus: bytes = octets(10)
    consensus_height: Height = nested(11, Height)
    signer: str = string(12)
    host_consensus_state_proof: bytes = octets(13)


@message("ibc.core.connection.v1.MsgConnectionOpenTryResponse")
class MsgConnectionOpenTryResponse(Message):
    """Nothing."""


@message("ibc.core.connection.v1.MsgConnectionOpenAck")
class MsgConnectionOpenAck(Message):
    """Third step, on chain A. Fields 4, 7, 8, 9 and 11 are read by no release since v10."""

    connection_id: str = string(1)
    counterparty_connection_id: str = string(2)
    version: Version | None = optional(3, Version)
    client_state: Any | None = optional(4, Any)
    proof_height: Height = nested(5, Height)
    proof_try: bytes = octets(6)
    proof_client: bytes = octets(7)
    proof_consensus: bytes = octets(8)
    consensus_height: Height = nested(9, Height)
    signer: str = string(10)
    host_consensus_state_proof: bytes = octets(11)


@message("ibc.core.connection.v1.MsgConnectionOpenAckResponse")
class MsgConnectionOpenAckResponse(Message):
    """Nothing."""


@message("ibc.core.connection.v1.MsgConnectionOpenConfirm")
class MsgConnectionOpenConfirm(Message):
    """Last step, on chain B."""

    connection_id: str = string(1)
    proof_ack: bytes = octets(2)
    proof_height: Height = nested(3, Height)
    signer: str = string(4)


@message("ibc.core.connection.v1.MsgConnectionOpenConfirmResponse")
class MsgConnectionOpenConfirmResponse(Message):
    """Nothing."""
