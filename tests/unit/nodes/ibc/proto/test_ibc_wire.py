"""The codec by example: bytes that others make, and bytes that are refused."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import pytest

from nodes.ibc.proto.comet import BlockID, CanonicalVote, CommitSig, Header, PartSetHeader, PublicKey, Validator
from nodes.ibc.proto.cosmos import MsgSend, TxBody
from nodes.ibc.proto.cosmos_base import Coin, PageRequest
from nodes.ibc.proto.ibc import ClientState, Height
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof, HashOp, InnerSpec, LeafOp, NonExistenceProof
from nodes.ibc.proto.queries import QueryUnreceivedPacketsRequest
from nodes.ibc.proto.scalars import WireError, read_varint, varint
from nodes.ibc.proto.well_known import Any, Duration, Timestamp
from nodes.ibc.proto.wire import MOST_BYTES, Message, message, message_named, string, uint64


@pytest.mark.parametrize(
    ("value", "encoding"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ffffffffffffffffff01")],
)
def test_varints(value: int, encoding: str) -> None:
    assert varint(value).hex() == encoding
    assert read_varint(bytes.fromhex(encoding), 0) == (value, len(encoding) // 2)


@pytest.mark.parametrize("encoding", ["", "80", "8000", "ffffffffffffffffff02", "ffffffffffffffffffff01", "80" * 20])
def test_varints_that_are_refused(encoding: str) -> None:
    with pytest.raises(WireError, match="varint"):
        read_varint(bytes.fromhex(encoding), 0)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (Height(), ""),
        (Height(1, 300), "080110ac02"),
        (BlockID(), "1200"),  # its parts are written always
        (Header(), "0a0022002a021200"),
        (Timestamp(-62_135_596_800), "088092b8c398feffffff01"),  # year 1
        (PublicKey(ed25519=b""), "0a00"),  # a branch of a oneof is written even where it is empty
        (InnerSpec(child_order=(0, 1), child_size=32), "0a0200011020"),
        (QueryUnreceivedPacketsRequest("a", "b", (1, 300)), "0a016112016" + "21a0301ac02"),
        (Coin("uatom", "7"), "0a057561746f6d120137"),
        (CanonicalVote(height=1), "1101000000000000002a00"),
        (PageRequest(count_total=True), "2001"),
        (Duration.of_ns(1_500_000_000), "08011080cab5ee01"),
        (LeafOp(hash=HashOp.SHA256, prefix=b"\0"), "08012a0100"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Message) else None,
)
def test_encodings(value: Message, encoding: str) -> None:
    assert value.encode().hex() == encoding
    assert type(value).decode(bytes.fromhex(encoding)) == value


def test_what_is_recalled_is_decoded_once_and_as_strictly() -> None:
    encoding = Coin("uatom", "7").encode()
    assert Coin.recall(encoding) == Coin("uatom", "7")
    assert Coin.recall(encoding) is Coin.recall(bytes(bytearray(encoding)))
    assert MsgSend.recall(b"") == MsgSend()  # no other class's
    long = Coin("u" * 2000, "7").encode()
    assert Coin.recall(long) is not Coin.recall(long)
    for _ in range(2):
        with pytest.raises(WireError, match="declared"):
            Coin.recall(encoding + b"\x18\x01")


STRICT = [
    ("1001" + "0801", "ascending"),
    ("0800", "default"),
    ("0801" + "1801", "declared"),
]
ALWAYS = [
    ("0801" + "0802", "one value"),
    ("0a0101", "wire type"),
    ("0d01000000", "wire type"),
    ("0b", "wire type 3"),
    ("0f", "wire type 7"),
    ("08", "varint"),
    ("088100", "varint"),
    ("0801" + "1a0561", "announces"),
    ("0801" + "00", "declared|varint|wire"),
    ("0801" + "fa", "varint"),
]


@pytest.mark.parametrize(("encoding", "words"), STRICT + ALWAYS)
def test_a_strict_decode_refuses(encoding: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        Height.decode(bytes.fromhex(encoding))


@pytest.mark.parametrize(("encoding", "words"), ALWAYS)
def test_a_lenient_decode_refuses(encoding: str, words: str) -> None:
    with pytest.raises(WireError):
        Height.decode(bytes.fromhex(encoding), strict=False)


@pytest.mark.parametrize(("encoding", "_words"), STRICT)
def test_a_lenient_decode_takes_what_others_write(encoding: str, _words: str) -> None:
    assert Height.decode(bytes.fromhex(encoding), strict=False).encode() != bytes.fromhex(encoding)


def test_numbers_that_are_not_packed_are_taken_leniently() -> None:
    apart = bytes.fromhex("08000801" + "1020")
    assert InnerSpec.decode(apart, strict=False) == InnerSpec((0, 1), 32)
    with pytest.raises(WireError):
        InnerSpec.decode(apart)


def test_one_branch_of_a_oneof() -> None:
    both = CommitmentProof(exist=ExistenceProof(b"k"), nonexist=NonExistenceProof(b"k"))
    with pytest.raises(WireError, match="exist and nonexist"):
        both.encode()
    bytes_of_both = CommitmentProof(exist=both.exist).encode() + CommitmentProof(nonexist=both.nonexist).encode()
    with pytest.raises(WireError, match="exist and nonexist"):
        CommitmentProof.decode(bytes_of_both, strict=False)


@pytest.mark.parametrize(
    "bad",
    [
        Height(-1),
        Height(2**64),
        Height(True),
        Validator(voting_power=2**63),
        PartSetHeader(2**32),
        PartSetHeader(1, "text"),
        Coin("\ud800"),
        Coin(b"bytes"),
        PageRequest(reverse=1),
        LeafOp(hash=77),
        CanonicalVote(height=2**63),
        BlockID(part_set_header=None),
        BlockID(part_set_header=Height(1)),
    ],
    ids=repr,
)
def test_values_without_an_encoding(bad: Message) -> None:
    with pytest.raises(WireError):
        bad.encode()


@pytest.mark.parametrize("encoding", ["0804", "08ffffffffffffffffff01"])
def test_members_that_an_enumeration_has_not(encoding: str) -> None:
    with pytest.raises(WireError, match="BlockIDFlag"):
        CommitSig.decode(bytes.fromhex(encoding + "1a00"), strict=False)


def test_text_is_utf_8() -> None:
    with pytest.raises(WireError, match="UTF-8"):
        Coin.decode(bytes.fromhex("0a02c328"))


def test_a_message_is_at_most_so_long() -> None:
    with pytest.raises(WireError, match="at most"):
        Coin.decode(bytes(MOST_BYTES + 1))


def test_any_holds_a_message_of_any_type() -> None:
    send = MsgSend("a", "b", (Coin("x", "1"),))
    wrapped = Any.of(send)
    assert wrapped.type_url == "/cosmos.bank.v1beta1.MsgSend"
    assert wrapped.open() == send
    assert wrapped.opened_as(MsgSend) == send
    assert TxBody.decode(TxBody((wrapped,)).encode()).messages == (wrapped,)
    with pytest.raises(WireError, match="known here"):
        Any("/made.up.Message", b"").open()
    with pytest.raises(WireError, match=r"/cosmos\.base\.v1beta1\.Coin"):
        wrapped.opened_as(Coin)
    with pytest.raises(WireError):
        replace(wrapped, value=b"\xff").open()


def test_messages_are_known_by_their_names() -> None:
    assert message_named("ibc.lightclients.tendermint.v1.ClientState") is ClientState


def test_a_declaration_must_make_sense() -> None:
    with pytest.raises(WireError, match="twice"):

        @message("made.Twice")
        class Twice(Message):
            one: int = uint64(1)
            other: str = string(1)

    with pytest.raises(WireError, match="field number 0"):

        @message("made.Zero")
        class Zero(Message):
            one: int = uint64(0)

    class NoZero(IntEnum):
        ONE = 1

    from nodes.ibc.proto.wire import enum

    with pytest.raises(ValueError, match="0"):
        enum(1, NoZero)


def test_times_in_nanoseconds() -> None:
    for ns in (0, 1, -1, 1_700_000_000_123_456_789, -62_135_596_800 * 10**9):
        assert Timestamp.of_ns(ns).ns == ns
    assert 0 <= Timestamp.of_ns(-1).nanos < 10**9
