"""JSON of CometBFT's RPC: headers, commits and validators, read into messages and written from them.

Invariant: what is written is read back equal. 64-bit numbers are strings, hashes upper-case hex, keys and signatures
base64, times RFC 3339 in UTC; a time is exact to the nanosecond. JsonError says which field does not fit.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any as Anything
from typing import TypeVar

from emulator.model.errors import Unfit
from nodes.ibc.comet.hashes import ordered
from nodes.ibc.comet.moments import read_time, write_time
from nodes.ibc.proto import scalars
from nodes.ibc.proto.comet import (
    BlockID,
    BlockIDFlag,
    Commit,
    CommitSig,
    ConsensusVersion,
    Header,
    PartSetHeader,
    PublicKey,
    SignedHeader,
    Validator,
)
from nodes.ibc.proto.scalars import Kind

Json = Mapping[str, Anything]
T = TypeVar("T")
_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)
_KEYS = {"ed25519": "tendermint/PubKeyEd25519", "secp256k1": "tendermint/PubKeySecp256k1"}
_HASHES = (
    "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash",
    "last_results_hash", "evidence_hash", "proposer_address",
)  # fmt: skip


class JsonError(Unfit):
    """JSON that is not of CometBFT's form."""


def read_header(data: Json) -> Header:
    """A header."""
    return Header(
        version=_field(data, "version", _version),
        chain_id=_field(data, "chain_id", _text),
        height=_field(data, "height", _int64),
        time=_field(data, "time", lambda value: read_time(_text(value))),
        last_block_id=_field(data, "last_block_id", read_block_id),
        **{name: _field(data, name, _hex) for name in _HASHES},
    )


def write_header(header: Header) -> dict[str, Anything]:
    """A header."""
    return {
        "version": {"block": str(header.version.block), "app": str(header.version.app)},
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": write_time(header.time),
        "last_block_id": write_block_id(header.last_block_id),
        **{name: write_hex(getattr(header, name)) for name in _HASHES},
    }


def read_block_id(data: Json | None) -> BlockID:
    """A block id; null stands for the empty one."""
    if data is None:
        return BlockID()
    parts = "parts" if "parts" in _mapping(data) else "part_set_header"  # the RPC's name, and that of the messages
    return BlockID(_field(data, "hash", _hex), _field(data, parts, _parts))


def write_block_id(block_id: BlockID) -> dict[str, Anything]:
    """A block id."""
    parts = block_id.part_set_header
    return {"hash": write_hex(block_id.hash), "parts": {"total": parts.total, "hash": write_hex(parts.hash)}}


def read_commit(data: Json) -> Commit:
    """A commit."""
    return Commit(
        height=_field(data, "height", _int64),
        round=_field(data, "round", _int32),
        block_id=_field(data, "block_id", read_block_id),
        signatures=_field(data, "signatures", lambda entries: _all(entries, _commit_sig)),
    )


def write_commit(commit: Commit) -> dict[str, Anything]:
    """A commit."""
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": write_block_id(commit.block_id),
        "signatures": [
            {
                "block_id_flag": int(each.block_id_flag),
                "validator_address": write_hex(each.validator_address),
                "timestamp": write_time(each.timestamp),
                "signature": write_base64(each.signature) if each.signature else None,
            }
            for each in commit.signatures
        ],
    }


def read_signed_header(data: Json) -> SignedHeader:
    """A header with its commit: `signed_header` of the answer to `commit`."""
    return SignedHeader(_field(data, "header", read_header), _field(data, "commit", read_commit))


def write_signed_header(signed: SignedHeader) -> dict[str, Anything]:
    """A header with its commit; ValueError where one is missing."""
    if signed.header is None or signed.commit is None:
        raise JsonError("signed header without header or commit", "both")
    return {"header": write_header(signed.header), "commit": write_commit(signed.commit)}


def read_validators(entries: Anything) -> tuple[Validator, ...]:
    """Validators, in CometBFT's order: `validators` of the answer to `validators`, or of a validator set."""
    return ordered(_all(entries, read_validator))


def write_validators(validators: Iterable[Validator]) -> list[dict[str, Anything]]:
    """Validators."""
    return [
        {
            "address": write_hex(each.address),
            "pub_key": write_key(each.pub_key),
            "voting_power": str(each.voting_power),
            "proposer_priority": str(each.proposer_priority),
        }
        for each in validators
    ]


def read_validator(data: Json) -> Validator:
    """One validator."""
    return Validator(
        address=_field(data, "address", _hex),
        pub_key=_field(data, "pub_key", read_key),
        voting_power=_field(data, "voting_power", _int64),
        proposer_priority=_int64(data.get("proposer_priority") or 0),
    )


def read_key(data: Json) -> PublicKey:
    """A public key."""
    name = _field(data, "type", _text)
    for kind, known in _KEYS.items():
        if name == known:
            return PublicKey(**{kind: _field(data, "value", _base64)})
    raise JsonError(f"key of type {name!r}", " or ".join(_KEYS.values()))


def write_key(key: PublicKey) -> dict[str, str]:
    """A public key; ValueError where there is none."""
    for kind, name in _KEYS.items():
        if (value := getattr(key, kind)) is not None:
            return {"type": name, "value": write_base64(value)}
    raise JsonError("a public key without a value", "one of Ed25519 or secp256k1")


def read_number(data: Json, name: str) -> int:
    """A field that is a whole number of 64 bits."""
    return _field(data, name, _int64)


def read_text(data: Json, name: str) -> str:
    """A field that is a text."""
    return _field(data, name, _text)


def read_list(data: Json, name: str) -> list[Anything]:
    """A field that is a list."""
    return _field(data, name, lambda entries: list(_all(entries, lambda entry: entry)))


def write_hex(value: bytes) -> str:
    """Bytes in upper-case hex."""
    return value.hex().upper()


def write_base64(value: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(value).decode()


def _version(data: Json) -> ConsensusVersion:
    app = _uint64(_mapping(data).get("app") or 0)  # left out by some nodes where it is 0
    return ConsensusVersion(_field(data, "block", _uint64), app)


def _parts(data: Json) -> PartSetHeader:
    return PartSetHeader(_field(data, "total", _uint32), _field(data, "hash", _hex))


def _commit_sig(data: Json) -> CommitSig:
    return CommitSig(
        block_id_flag=_field(data, "block_id_flag", lambda value: BlockIDFlag(_int32(value))),
        validator_address=_field(data, "validator_address", _hex),
        timestamp=_field(data, "timestamp", lambda value: read_time(_text(value))),
        signature=_field(data, "signature", lambda value: _base64(value or "")),
    )


def _field(data: Json, name: str, read: Callable[[Anything], T]) -> T:
    if name not in _mapping(data):
        raise JsonError(f"no field {name!r}", "it among the fields")
    try:
        return read(data[name])
    except ValueError as error:
        if isinstance(error, Unfit):
            raise JsonError(f"{name}: {error.found}", error.expected) from None
        raise JsonError(f"{name}: {error}", "a value that it can have") from None


def _all(entries: Anything, read: Callable[[Anything], T]) -> tuple[T, ...]:
    if not isinstance(entries, list):
        raise JsonError(f"{entries!r:.40}", "a list")
    return tuple(read(entry) for entry in entries)


def _mapping(data: Anything) -> Json:
    if not isinstance(data, Mapping):
        raise JsonError(f"{data!r:.40}", "an object")
    return data


def _text(value: Anything) -> str:
    if not isinstance(value, str):
        raise JsonError(f"{value!r:.40}", "a text")
    scalars.STRING.write(value)
    return value


def _number(kind: Kind) -> Callable[[Anything], int]:
    """Reads whole numbers, written as numbers or as text, that fit a field of that kind."""

    def read(value: Anything) -> int:
        number = value if type(value) is int else _digits(_text(value))
        kind.write(number)
        return number

    return read


def _digits(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise JsonError(f"{text!r:.40}", "a whole number")
    return int(text)


_int32, _int64 = _number(scalars.INT32), _number(scalars.INT64)
_uint32, _uint64 = _number(scalars.UINT32), _number(scalars.UINT64)


def _hex(value: Anything) -> bytes:
    return bytes.fromhex(_text("" if value is None else value))


def _base64(value: Anything) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise JsonError(f"{value!r:.40}: {error}", "base64") from None
