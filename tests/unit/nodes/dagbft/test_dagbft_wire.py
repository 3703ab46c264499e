"""Messages on the wire: golden bytes that must not change, and refusals that name the field."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

import pytest

from nodes.dagbft.client.messages import Included, ReadReply, ReadRequest, SignedResults, Statement
from nodes.dagbft.field_types import CLASSES, MOST_BYTES, MOST_TRANSACTION_BYTES, Cause, batch_digest, vote_digest
from nodes.dagbft.messages import (
    BareCertificate,
    Batch,
    BatchReply,
    BatchRequest,
    BlockReply,
    BlockRequest,
    Certificate,
    Certified,
    CertReply,
    CertRequest,
    Cleanup,
    FinalReply,
    Header,
    Message,
    OthersBatch,
    OurBatch,
    Seal,
    Sealed,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    SpecReply,
    StateReply,
    StateRequest,
    SubmitTx,
    Subscribe,
    Synchronize,
    TailRequest,
    Vote,
)
from nodes.dagbft.wire import decode, encode, join_transactions, split_transactions

A, B, C = (bytes([letter]) * 32 for letter in (0xAA, 0xBB, 0xCC))
SIGNED = bytes([0x5E]) * 64
HEADER = Header(1, 2, 3, ((A, 0), (B, 4)), b"in", (B, C), 4, C, b"coin", 2, bytes(range(8)), SIGNED)
CERTIFICATE = Certificate(HEADER, ((0, SIGNED), (3, SIGNED)))
HEADER_HEX = (
    "00000001" "0002" "0000000000000003"  # epoch, author, round
    "0002" + "aa" * 32 + "0000" + "bb" * 32 + "0004"  # payload
    "00000002" "696e"  # inline
    "0002" + "bb" * 32 + "cc" * 32  # parents
    + "0004" + "cc" * 32 + "00000004" + b"coin".hex()  # shard, summary, share
    + "02" "0001020304050607" + "5e" * 64  # mode, run, signature
)  # fmt: skip
GOLDEN: list[tuple[Message, str]] = [
    (HEADER, "01" + HEADER_HEX),
    (Vote(A, 3, 2, 1, SIGNED), "02" + "aa" * 32 + "0000000000000003" "0002" "0001" + "5e" * 64),
    (CERTIFICATE, "03" + HEADER_HEX + "0002" "0000" + "5e" * 64 + "0003" + "5e" * 64),
    (CertRequest((A, B)), "04" "0002" + "aa" * 32 + "bb" * 32 + "00" * 10),
    (CertReply((CERTIFICATE,)), "05" "0001" + HEADER_HEX + "0002" "0000" + "5e" * 64 + "0003" + "5e" * 64 + "00" * 8),
    (StateRequest(258), "06" "0000000000000102"),
    (StateReply(1, A, 2, 3, b"xy"), "07" "0000000000000001" + "aa" * 32 + "0002" "0003" "00000002" "7879"),
    (TailRequest(258), "08" "0000000000000102"),
    (BareCertificate(A, 3, 2, ((0, SIGNED),)), "09" + "aa" * 32 + "0000000000000003" "0002" "0001" "0000" + "5e" * 64),
    (BlockRequest((A, B), 3, 5), "0a" "0002" + "aa" * 32 + "bb" * 32 + "0000000000000003" "0005"),
    (BlockReply((HEADER,), 3), "0b" "0001" + HEADER_HEX + "0000000000000003"),
    (SnapshotOffer(258, A, 3), "0c" "0000000000000102" + "aa" * 32 + "0003"),
    (SnapshotRequest(258, 2), "0d" "0000000000000102" "0002"),
    (SnapshotPart(258, 2, b"xy"), "0e" "0000000000000102" "0002" "00000002" "7879"),
    (Batch(b"xy"), "10" "00000002" "7879"),
    (BatchRequest((A,)), "12" "0001" + "aa" * 32),
    (BatchReply((b"x", b"")), "13" "0002" "00000001" "78" "00000000"),
    (OurBatch(A, 1, b"x"), "20" + "aa" * 32 + "0001" "00000001" "78"),
    (OthersBatch(A, 1, b"x"), "21" + "aa" * 32 + "0001" "00000001" "78"),
    (Synchronize((A,), (2, 3)), "22" "0001" + "aa" * 32 + "0002" "0002" "0003" + "00" * 8),
    (Cleanup(9), "23" "0000000000000009"),
    (Seal(9, 2, 258), "24" "0000000000000009" "0002" "00000102"),
    (Sealed(9, 2, b"xy"), "25" "0000000000000009" "0002" "00000002" "7879"),
    (Certified((A, B)), "26" "0002" + "aa" * 32 + "bb" * 32),
    (SubmitTx(b"pay"), "30" "00000003" "706179"),
    (Subscribe(5), "31" "0000000000000005"),
    (SpecReply(7, 1, ((A[:16], B),)), "32" "0000000000000007" "0001" "0001" + "aa" * 16 + "bb" * 32),
    (
        SignedResults(1, Statement(bytes(range(8)), 5, 2, 258, 3, A), SIGNED, (Included(B[:16], C, 7, 2, 1, (A, B)),)),
        "34" "0001" "0001020304050607" "00000005" "02" "0000000000000102" "00000003" + "aa" * 32 + "5e" * 64
        + "0001" + "bb" * 16 + "cc" * 32 + "0000000000000007" "0002" "00000001" "02" + "aa" * 32 + "bb" * 32,
    ),
    (ReadRequest(5, 2, 258, (1, 2)), "35" "0000000000000005" "02" "0000000000000102" "0002" + f"{1:016x}{2:016x}"),
    (
        ReadReply(1, bytes(range(8)), 5, 2, 0, 258, 259, A, ((1, 2, 3),), SIGNED),
        "36" "0001" "0001020304050607" "0000000000000005" "02" "00" "0000000000000102" "0000000000000103" + "aa" * 32
        + "0001" "0000000000000001" "0000000000000002" "0000000000000003" + "5e" * 64,
    ),
    (FinalReply(7, 1, Cause.EARLY, ((A[:16], B),)), "33" "0000000000000007" "0001" "01" "0001" + "aa" * 16 + "bb" * 32),
]  # fmt: skip


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=lambda value: type(value).__name__)
def test_golden_bytes(message: Message, golden: str) -> None:
    assert encode(message).hex() == golden
    assert decode(bytes.fromhex(golden)) == message


def test_golden_bytes_of_every_class() -> None:
    assert {type(message) for message, _ in GOLDEN} == set(CLASSES.values())


@pytest.mark.parametrize("message", [message for message, _ in GOLDEN], ids=lambda message: type(message).__name__)
def test_bytes_that_end_early_or_go_on_are_refused(message: Message) -> None:
    data = encode(message)
    for size in range(len(data)):
        with pytest.raises(ValueError, match="; expected"):
            decode(data[:size])
    with pytest.raises(ValueError, match=r"left over; expected none|; expected at most"):
        decode(data + b"\0")


def test_unknown_types_are_refused() -> None:
    for code in set(range(256)) - set(CLASSES):
        with pytest.raises(ValueError, match=f"message of type {code}; expected one of 1, 2"):
            decode(bytes((code,)) + bytes(100))


def test_headers_are_named_by_all_their_fields_but_the_signature() -> None:
    changes = [
        {"epoch": 9}, {"author": 9}, {"round": 9}, {"payload": ()}, {"payload": ((A, 1), (B, 4))}, {"parents": (C, B)},
        {"shard": 9}, {"summary": A}, {"coin_share": b""},
        {"mode": 1}, {"run": bytes(8)}, {"inline": b""},
    ]  # fmt: skip
    ids = {replace(HEADER, **change).id for change in changes} | {HEADER.id}  # type: ignore[arg-type]
    assert len(ids) == len(changes) + 1
    assert replace(HEADER, signature=bytes(64)).id == HEADER.id
    signed = bytes.fromhex(HEADER_HEX)[:-64]
    assert HEADER.id == blake2b(signed, digest_size=32, person=b"dagbft header").digest()


def test_a_certificate_is_named_by_what_its_voters_signed() -> None:
    vote = Vote(HEADER.id, 3, 2, 0, SIGNED)
    assert CERTIFICATE.digest == vote.digest == vote_digest(HEADER.id, 3, 2)
    assert CERTIFICATE.digest == replace(CERTIFICATE, votes=()).digest
    assert len({vote_digest(HEADER.id, *slot) for slot in [(3, 2), (2, 3), (3, 3), (259, 2)]}) == 4
    assert (CERTIFICATE.round, CERTIFICATE.author) == (3, 2)


def test_a_bare_certificate_has_the_name_of_the_whole_one() -> None:
    bare = BareCertificate(HEADER.id, 3, 2, CERTIFICATE.votes)
    assert bare.digest == CERTIFICATE.digest


def test_digests_of_different_things_differ() -> None:
    assert batch_digest(HEADER.id) != blake2b(HEADER.id, digest_size=32).digest()


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (replace(HEADER, round=-1), r"Header\.round: number -1; expected 0 to"),
        (replace(HEADER, author=1 << 16), r"number 65536; expected 0 to 65535"),
        (replace(HEADER, parents=(A[:31],)), r"Header\.parents: 31 bytes; expected 32"),
        (replace(HEADER, payload=((A, 0),) * 1025), r"Header\.payload: 1025 entries; expected at most 1024"),
        (replace(HEADER, inline=bytes(8193)), r"Header\.inline: 8193 bytes; expected at most 8192"),
        (replace(HEADER, coin_share=bytes(257)), r"Header\.coin_share: 257 bytes; expected at most 256"),
        (Vote(A, 1, 1, 1, b""), r"0 bytes; expected 64"),
        (SubmitTx(bytes(MOST_TRANSACTION_BYTES + 1)), r"SubmitTx\.transaction: 262145 bytes; expected at most 262144"),
        (FinalReply(1, 1, Cause.SPECULATIVE, ()), r"FinalReply\.cause: number 0; expected 1 to 2"),
        (BatchReply((bytes(1 << 21),) * 3), r"BatchReply of \d+ bytes; expected at most 4194304"),
    ],
)
def test_what_has_no_encoding(message: Message, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        encode(message)


def test_lists_are_refused_by_their_count_before_anything_is_made_of_them() -> None:
    with pytest.raises(ValueError, match=r"CertRequest\.digests: 65535 entries; expected at most 1024"):
        decode(b"\x04\xff\xff" + bytes(1000))
    with pytest.raises(ValueError, match=r"CertRequest\.digests: 100 bytes left; expected 32768"):
        decode(b"\x04\x04\x00" + bytes(100))
    with pytest.raises(ValueError, match=r"Batch\.body: 4294967295 bytes; expected at most 2097152"):
        decode(b"\x10\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="Vote of 201 bytes; expected at most 200"):
        decode(b"\x02" + bytes(200))


def test_a_final_reply_has_a_final_cause() -> None:
    data = bytearray(encode(FinalReply(7, 1, Cause.COMMITTED, ())))
    data[11] = 0
    with pytest.raises(ValueError, match=r"FinalReply\.cause"):
        decode(bytes(data))


def test_the_largest_of_each_class_has_room() -> None:
    header = replace(HEADER, payload=((A, 0),) * 1024, inline=bytes(8192), parents=(A,) * 1024, coin_share=bytes(256))
    certificate = Certificate(header, ((0, SIGNED),) * 1024)
    largest: list[Message] = [
        header, certificate, CertRequest((A,) * 1024), BatchRequest((A,) * 1024), Synchronize((A,) * 1024, (1,) * 1024),
        BareCertificate(A, 1, 1, ((0, SIGNED),) * 1024),
        Sealed(1, 1, bytes(8192)), Certified((A,) * 1024),
        SnapshotPart(1, 1, bytes(1 << 20)),
        Batch(bytes(1 << 21)), OurBatch(A, 1, bytes(1 << 21)), OthersBatch(A, 1, bytes(1 << 21)),
        StateReply(1, A, 1, 1, bytes(1 << 20)), SubmitTx(bytes(1 << 18)), SpecReply(1, 1, ((A[:16], A),) * (1 << 14)),
        FinalReply(1, 1, 2, ((A[:16], A),) * (1 << 14)),
    ]  # fmt: skip
    for message in largest:
        assert decode(encode(message)) == message
        assert len(encode(message)) <= MOST_BYTES[encode(message)[0]]


@pytest.mark.parametrize("body", [b"\0\0\0", b"\0\0\0\2x", b"\0\0\0\0", b"\0\4\0\1" + bytes(262145)])
def test_batches_that_cannot_be_split(body: bytes) -> None:
    with pytest.raises(ValueError, match="transaction of"):
        split_transactions(body)


@pytest.mark.parametrize("transactions", [[b""], [bytes(262145)], [bytes(262144)] * 8])
def test_transactions_that_make_no_batch(transactions: list[bytes]) -> None:
    with pytest.raises(ValueError, match="; expected"):
        join_transactions(transactions)
