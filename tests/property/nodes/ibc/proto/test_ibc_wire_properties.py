"""Every declared message: what is encoded is decoded, one encoding each, and hostile bytes raise only WireError."""

from __future__ import annotations

import dataclasses
import functools
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any as Anything
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.ibc.proto import (  # noqa: F401
    channel,
    channel_v2,
    comet,
    connection,
    cosmos,
    ibc,
    ics23,
    queries,
    queries_v2,
    scalars,
    transfer,
)
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message, all_messages

NUMBERS = {
    scalars.UINT32: st.integers(0, 2**32 - 1),
    scalars.UINT64: st.integers(0, 2**64 - 1),
    scalars.INT32: st.integers(-(2**31), 2**31 - 1),
    scalars.INT64: st.integers(-(2**63), 2**63 - 1),
    scalars.SFIXED64: st.integers(-(2**63), 2**63 - 1),
}
MESSAGES = [each for each in all_messages() if not each.NAME.startswith("made.")]


@functools.cache
def values(cls: type[Message]) -> st.SearchStrategy[Anything]:
    """Instances of a message, with at most one branch of each oneof."""
    hints = get_type_hints(cls)
    kinds = {name: declared.kind for name, _, declared in cls._plan.fields}
    fields = {each.name: value_of(hints[each.name], kinds[each.name]) for each in dataclasses.fields(cls)}
    oneof = cls._plan.oneof
    if not oneof:
        return st.builds(cls, **fields)
    others = {name: each for name, each in fields.items() if name not in oneof}
    branches = [st.builds(cls, **others, **{name: fields[name]}) for name in oneof]
    return st.one_of(*branches)


def value_of(hint: Anything, kind: scalars.Kind) -> st.SearchStrategy[Anything]:
    if get_origin(hint) is UnionType:
        (inner,) = set(get_args(hint)) - {NoneType}
        return st.none() | value_of(inner, kind)
    if get_origin(hint) is tuple:
        return st.lists(value_of(get_args(hint)[0], kind), max_size=3).map(tuple)
    if issubclass(hint, Message):
        return values(hint)
    if issubclass(hint, IntEnum):
        return st.sampled_from(hint)
    if hint is int:
        return NUMBERS[kind]
    return {bool: st.booleans(), str: st.text(max_size=8), bytes: st.binary(max_size=8)}[hint]


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.NAME)
@settings(max_examples=4)
@given(data=st.data())
def test_what_is_encoded_is_decoded(cls: type[Message], data: st.DataObject) -> None:
    value = data.draw(values(cls))
    encoding = value.encode()
    assert cls.decode(encoding) == value
    assert cls.decode(encoding, strict=False) == value
    assert cls.decode(encoding).encode() == encoding
    assert cls._plan.read(encoding) == value  # so that the usual case is the fast one


HOSTILE = [
    comet.SignedHeader,
    comet.ValidatorSet,
    ics23.CommitmentProof,
    ics23.ProofSpec,
    ibc.ClientState,
    channel.Channel,
    channel_v2.Packet,
    cosmos.TxBody,
    cosmos.AuthInfo,
    queries.QueryPacketAcknowledgementsRequest,
]


def decoded(cls: type[Message], data: bytes, strict: bool) -> Message | None:
    try:
        return cls.decode(data, strict=strict)
    except WireError:
        return None


@given(cls=st.sampled_from(HOSTILE), data=st.binary(max_size=64), strict=st.booleans())
@settings(max_examples=200)
def test_any_bytes_raise_nothing_but_the_one_error(cls: type[Message], data: bytes, strict: bool) -> None:
    decoded(cls, data, strict)


@given(data=st.data(), strict=st.booleans())
@settings(max_examples=80)
def test_damaged_encodings_raise_nothing_but_the_one_error(data: st.DataObject, strict: bool) -> None:
    cls = data.draw(st.sampled_from(HOSTILE))
    encoding = bytearray(data.draw(values(cls)).encode())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=3)):
        if encoding:
            encoding[at % len(encoding)] = byte
    damaged = bytes(encoding[: data.draw(st.integers(0, len(encoding)))])
    value = decoded(cls, damaged, strict)
    if value is not None:
        assert cls.decode(value.encode()) == value


@given(data=st.data())
@settings(max_examples=300)
def test_what_the_compiled_reader_takes_is_canonical_and_read_alike_by_the_general_one(data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(HOSTILE))
    encoding = bytearray(data.draw(values(cls)).encode())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=3)):
        if encoding:
            encoding[at % len(encoding)] = byte
    read = cls._plan.read(bytes(encoding))
    if read is not None:
        assert cls._read_any(bytes(encoding), True) == cls._read_any(bytes(encoding), False) == read
        assert cls.decode(read.encode()) == read


@given(cls=st.sampled_from([ics23.InnerSpec, ibc.Height, channel.PacketState, ics23.InnerOp]),
       data=st.binary(max_size=12))  # fmt: skip
@settings(max_examples=250)
def test_a_strict_decode_takes_one_encoding_of_a_value(cls: type[Message], data: bytes) -> None:
    """Of messages without nested ones that are never null: the absence of these stands for their default."""
    value = decoded(cls, data, strict=True)
    if value is not None:
        assert value.encode() == data
