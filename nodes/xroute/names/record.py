"""What a registry says of a name: a canonical protobuf message, every version of which the name's owner has signed.

Invariant: a record that `read` returns is well formed for its kind, and has one encoding. Whether it is the newest one,
and whether its owner may say what it says, the registry's chain has checked.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

from emulator.model.errors import Unfit
from nodes.ibc.comet.light import MOST_CHAIN_ID, is_trust_level
from nodes.ibc.proto.ibc import Fraction
from nodes.ibc.proto.wire import (
    Message,
    delimited,
    enum,
    message,
    nested,
    octets,
    optional,
    repeated,
    string,
    uint32,
    uint64,
)
from nodes.xroute.encodings import decoded
from nodes.xroute.identity import ANCHOR_HEIGHT, ChainIdentity, identity
from nodes.xroute.keys import PUBLIC_BYTES
from nodes.xroute.names.labels import checked_name

__all__ = [
    "OPEN",
    "REVOKED",
    "ClientDemands",
    "Kind",
    "Record",
    "RecordError",
    "identity_of",
    "meaning",
    "read",
    "sign_bytes",
]

MOST_RECORD_BYTES = 4096
MOST_TTL_S = 7 * 86_400
_MOST_PARTS = 8  # of a Merkle prefix; endpoints
_TAG = b"xname-record-1"
_HASH_BYTES = 32


class RecordError(Unfit):
    """A record that no registry may hold."""


class Kind(IntEnum):
    """What a name stands for."""

    UNSPECIFIED = 0
    ZONE = 1
    CHAIN = 2
    APP = 3
    ALIAS = 4


OPEN = 1  # a flag: anybody may register names under this one; otherwise its owner signs, too
REVOKED = 2  # a flag: the name stands for nothing any more


@message("skyloom.xname.v1.ClientDemands")
class ClientDemands(Message):
    """What a light client of the chain should demand; a policy may ask for more."""

    trust_level: Fraction = nested(1, Fraction)
    max_trusting_s: int = uint64(2)
    proof_specs_hash: bytes = octets(3)  # SHA-256 of their encodings, each with its length before it


@message("skyloom.xname.v1.Record")
class Record(Message):
    """One version of what a name stands for. Fields 6 to 11 and 15 are of chains, 12 of applications.

    A zone whose `delegate` names a chain is kept by that chain's registry; the `delegate` of an alias is the name that
    it stands for.
    """

    name: str = string(1)
    kind: Kind = enum(2, Kind)
    seq: int = uint64(3)  # from 1, one more with each version, also when the name begins anew
    ttl_s: int = uint32(4)
    owner: bytes = octets(5)  # public key, Ed25519
    chain_id: str = string(6)
    anchor_height: int = uint64(7)
    anchor_hash: bytes = octets(8)  # of the header of that height
    client_type: str = string(9)
    client_demands: ClientDemands | None = optional(10, ClientDemands)
    merkle_prefix: tuple[bytes, ...] = repeated(11, bytes)
    port: str = string(12)
    endpoints: tuple[str, ...] = repeated(13, str)
    delegate: str = string(14)
    bech32_prefix: str = string(15)
    flags: int = uint32(16)
    not_after_s: int = uint64(17)  # since 1970

    @property
    def is_open(self) -> bool:
        return bool(self.flags & OPEN)

    @property
    def is_revoked(self) -> bool:
        return bool(self.flags & REVOKED)


def read(data: bytes) -> Record:
    """The record of an encoding. RecordError for other bytes, and for records that contradict their kind."""
    record = decoded(Record, data, MOST_RECORD_BYTES, RecordError)
    _check(record)
    return record


def _check(record: Record) -> None:
    checked_name(record.name)
    wrong = _wrong(record) or _WRONG_OF_KIND[record.kind](record)
    if wrong is not None:
        found, expected = wrong
        raise RecordError(f"{record.name}: {found}", expected)


_Wrong = tuple[str, str] | None


def _wrong(record: Record) -> _Wrong:
    """What contradicts any kind."""
    if not record.seq:
        return "seq 0", "1 or more"
    if not 0 < record.ttl_s <= MOST_TTL_S:
        return f"TTL of {record.ttl_s} s", f"1 to {MOST_TTL_S}"
    if len(record.owner) != PUBLIC_BYTES:
        return f"owner's key of {len(record.owner)} bytes", f"{PUBLIC_BYTES}"
    if record.flags & ~(OPEN | REVOKED):
        return f"flags {record.flags:#x}", "bits 0 (open) and 1 (revoked) alone"
    if len(record.endpoints) > _MOST_PARTS or len(record.merkle_prefix) > _MOST_PARTS:
        return "many endpoints or parts of the prefix", f"at most {_MOST_PARTS} of each"
    if record.delegate:
        checked_name(record.delegate)
        if record.delegate == record.name:
            return "a delegate of its own name", "another name"
    return None


def _wrong_zone(record: Record) -> _Wrong:
    return _with_others(record, "a zone", record.chain_id or record.anchor_height or record.port)


def _wrong_chain(record: Record) -> _Wrong:
    if not 0 < len(record.chain_id) <= MOST_CHAIN_ID:
        return f"chain id {record.chain_id!r}", f"1 to {MOST_CHAIN_ID} characters"
    if record.anchor_height != ANCHOR_HEIGHT or len(record.anchor_hash) != _HASH_BYTES:
        expected = f"height {ANCHOR_HEIGHT}, and a hash of {_HASH_BYTES}"
        return f"anchor {record.anchor_height}, {record.anchor_hash.hex()!r}", expected
    if not record.client_type:
        return "no client type", "one, such as 07-tendermint"
    demands = record.client_demands
    if demands is not None and not is_trust_level(demands.trust_level):
        level = demands.trust_level
        return f"trust level {level.numerator}/{level.denominator}", "1/3 to 1"
    return _with_others(record, "a chain", record.port or record.delegate)


def _wrong_app(record: Record) -> _Wrong:
    if not record.port:
        return "no port", "that of the application"
    return _with_others(record, "an application", record.chain_id or record.anchor_height or record.delegate)


def _wrong_alias(record: Record) -> _Wrong:
    if not record.delegate:
        return "no delegate", "the name that the alias stands for"
    return _with_others(record, "an alias", record.chain_id or record.anchor_height or record.port)


def _with_others(record: Record, what: str, others: object) -> _Wrong:
    """`others` are fields that records of other kinds have."""
    return (f"{what} with fields of another kind", "those of its own") if others else None


_WRONG_OF_KIND = {
    Kind.UNSPECIFIED: lambda record: ("no kind", "zone, chain, application or alias"),
    Kind.ZONE: _wrong_zone,
    Kind.CHAIN: _wrong_chain,
    Kind.APP: _wrong_app,
    Kind.ALIAS: _wrong_alias,
}


def sign_bytes(registry_chain_id: str, record: bytes) -> bytes:
    """What an owner signs of a record's encoding: the signature serves on one registry alone."""
    return _TAG + delimited(registry_chain_id.encode()) + record


def identity_of(record: Record) -> ChainIdentity:
    """The identity of the chain that a record of kind CHAIN is of."""
    return identity(record.chain_id, record.anchor_height, record.anchor_hash)


def meaning(record: Record) -> Record:
    """What two registries that agree on a name say alike: all but who keeps it, in which version, and for how long."""
    return replace(record, seq=0, ttl_s=0, owner=b"", endpoints=(), flags=0, not_after_s=0)
