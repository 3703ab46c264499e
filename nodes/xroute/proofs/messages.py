"""What travels of a message between chains: its envelope, and the proof that it came by a certain route.

Invariant: one message has one encoding; whatever decodes is bounded by `MOST_PROOF_BYTES` and `MOST_HOPS`, which are
checked before anything else. After xRoute; the shapes are ours.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import sha256

from nodes.ibc.core.commitments import packet_commitment_v2
from nodes.ibc.proto.channel_v2 import Packet, Payload
from nodes.ibc.proto.comet import SimpleValidator
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof
from nodes.ibc.proto.wire import (
    Message,
    boolean,
    delimited,
    enum,
    message,
    nested,
    octets,
    optional,
    repeated,
    string,
    uint64,
)
from nodes.xroute.identity import ChainIdentity

MOST_PROOF_BYTES = 64 << 10
MOST_HOPS = 8
PORT = "xroute"
VERSION = "xroute-1"
ENCODING = "application/x-protobuf"


class Mode(IntEnum):
    """How the destination is convinced."""

    UNSPECIFIED = 0
    E2E = 1  # by proofs from its own client back to the source
    HOP = 2  # each transit verifies the chain before it, and commits anew
    QUORUM = 3  # by signatures of staked relayers, and a time in which anybody may contradict them
    ZK_MODEL = 4  # a model: an object of a fixed size, in place of a proof that nobody makes here

    @property
    def word(self) -> str:
        """As policies write it."""
        return self.name.lower().replace("_", "-")


@message("skyloom.xroute.v1.Envelope")
class Envelope(Message):
    """The value of a message's one payload: from whom, to whom, on what terms, and what an application says."""

    source: bytes = octets(1)  # chain identities
    destination: bytes = octets(2)
    destination_name: str = string(3)
    policy_id: bytes = octets(4)
    mode: Mode = enum(5, Mode)
    payload: Payload = nested(6, Payload)
    transits: tuple[bytes, ...] = repeated(7, bytes)  # of mode HOP alone: identities, from the source on
    threshold: int = uint64(8)  # of mode QUORUM alone: relayers that must sign


@message("skyloom.xroute.v1.HopRecord")
class HopRecord(Message):
    """What a chain found of the chain before it, in mode HOP: its word for it, and no proof. Times in nanoseconds."""

    identity: bytes = octets(1)  # of the chain before
    client_type: str = string(2)
    trust_level_ppm: int = uint64(3)
    time_ns: int = uint64(4)  # of the consensus state used
    trusting_ns: int = uint64(5)
    delay_ns: int = uint64(6)
    nakamoto: int = uint64(7)  # 0, as the next two: not proven
    validators: int = uint64(8)
    top1_share_ppm: int = uint64(9)
    transit_ok: bool = boolean(10)  # whether the chain that found this lets the message pass


@message("skyloom.xroute.v1.Hop")
class Hop(Message):
    """What chain i holds of chain i + 1. Of chain 0, which verifies, nothing is proved but what it does not keep."""

    client_id: str = string(1)  # on chain i
    height: Height = nested(2, Height)  # of chain i + 1
    store: tuple[CommitmentProof, ...] = repeated(3, CommitmentProof)  # of chain i's store of IBC, innermost tree first
    client: ExistenceProof | None = optional(4, ExistenceProof)
    consensus: ExistenceProof | None = optional(5, ExistenceProof)
    connection: str = string(6)  # by v1; "" where the clients name each other, as in v2
    peer: ExistenceProof | None = optional(7, ExistenceProof)  # the connection, or the client's counterparty
    names: tuple[CommitmentProof, ...] = repeated(8, CommitmentProof)  # of chain i's store of names
    binding: ExistenceProof | None = optional(9, ExistenceProof)  # of the client to the identity of chain i + 1
    transit: CommitmentProof | None = optional(10, CommitmentProof)  # of chain i's transit policy, or that it has none
    validators: tuple[SimpleValidator, ...] = repeated(11, SimpleValidator)  # of chain i + 1; may be known already
    updater: ExistenceProof | None = optional(12, ExistenceProof)  # who brought the height to chain i, to be paid


@message("skyloom.xroute.v1.RouteProof")
class RouteProof(Message):
    """That the last chain of a route holds, or does not hold, something about a message."""

    packet: Packet = nested(1, Packet)
    policy: bytes = octets(2)  # canonical; empty where the verifying chain knows it by its id
    hops: tuple[Hop, ...] = repeated(3, Hop)  # from the verifying chain on
    store: tuple[CommitmentProof, ...] = repeated(4, CommitmentProof)  # of the last chain's store of IBC
    key: CommitmentProof = nested(5, CommitmentProof)
    names: tuple[bytes, ...] = repeated(6, bytes)  # proofs of names, for the verifier of names
    payee: bytes = octets(7)  # account that the deliverer wants to be paid on the source chain
    records: tuple[HopRecord, ...] = repeated(8, HopRecord)  # of mode HOP, from the source on


@message("skyloom.xroute.v1.Power")
class Power(Message):
    """Facts of a validator set."""

    nakamoto: int = uint64(1)  # smallest number of validators with more than a third of the power
    validators: int = uint64(2)
    top1_share_ppm: int = uint64(3)  # of the power, the strongest validator's; rounded up


def message_id(source: ChainIdentity, packet: Packet) -> bytes:
    """What a message is called everywhere: by its source chain and what that has committed, not by any route."""
    fields = (source, packet.source_client.encode(), packet.sequence.to_bytes(8), packet_commitment_v2(packet))
    return sha256(b"xroute-message-1" + b"".join(map(delimited, fields))).digest()


def route_id(identities: tuple[ChainIdentity, ...], clients: tuple[str, ...]) -> bytes:
    """What a route is called: by the chains that it leads over, from the verifying one on, and by the clients used."""
    parts = (*identities, *(client.encode() for client in clients))
    return sha256(b"xroute-route-1" + b"".join(map(delimited, parts))).digest()


def forward_commitment(packet: Packet, records: tuple[HopRecord, ...]) -> bytes:
    """What a transit commits to in mode HOP: the message, and what all chains so far found of those before them."""
    parts = (packet_commitment_v2(packet), *(record.encode() for record in records))
    return sha256(b"xroute-forward-1" + b"".join(map(delimited, parts))).digest()
