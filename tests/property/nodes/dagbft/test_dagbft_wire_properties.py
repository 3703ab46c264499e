"""Properties of the codec: round trips, one encoding for each value, and nothing but ValueError for other bytes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.dagbft.client.messages import Included, ReadReply, ReadRequest, SignedResults, Statement
from nodes.dagbft.field_types import CLASSES
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

digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
text = st.binary(max_size=40)


def many(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=6).map(tuple)


headers = st.builds(
    Header, u32, u16, u64, many(st.tuples(digests, u16)), text, many(digests), u16, digests, text,
    st.integers(0, 2), st.binary(min_size=8, max_size=8), signatures,
)  # fmt: skip
certificates = st.builds(Certificate, headers, many(st.tuples(u16, signatures)))
runs = st.binary(min_size=8, max_size=8)
statements = st.builds(Statement, runs, u32, st.integers(1, 2), u64, st.integers(1, (1 << 32) - 1), digests)
included = st.builds(Included, st.binary(min_size=16, max_size=16), digests, u64, u16, u32, many(digests))
results = many(st.tuples(st.binary(min_size=16, max_size=16), digests))
STRATEGIES: dict[type[Any], st.SearchStrategy[Any]] = {
    Header: headers,
    Vote: st.builds(Vote, digests, u64, u16, u16, signatures),
    Certificate: certificates,
    CertRequest: st.builds(CertRequest, many(digests), u64),
    CertReply: st.builds(CertReply, many(certificates), u64),
    StateRequest: st.builds(StateRequest, u64),
    TailRequest: st.builds(TailRequest, u64),
    StateReply: st.builds(StateReply, u64, digests, u16, u16, text),
    BareCertificate: st.builds(BareCertificate, digests, u64, u16, many(st.tuples(u16, signatures))),
    SnapshotOffer: st.builds(SnapshotOffer, u64, digests, st.integers(1, (1 << 16) - 1)),
    SnapshotRequest: st.builds(SnapshotRequest, u64, u16),
    SnapshotPart: st.builds(SnapshotPart, u64, u16, text),
    BlockRequest: st.builds(BlockRequest, many(digests), u64, u16),
    BlockReply: st.builds(BlockReply, many(headers), u64),
    Batch: st.builds(Batch, text),
    BatchRequest: st.builds(BatchRequest, many(digests)),
    BatchReply: st.builds(BatchReply, many(text)),
    OurBatch: st.builds(OurBatch, digests, u16, text),
    OthersBatch: st.builds(OthersBatch, digests, u16, text),
    Synchronize: st.builds(Synchronize, many(digests), many(u16), u64),
    Cleanup: st.builds(Cleanup, u64),
    Seal: st.builds(Seal, u64, u16, st.integers(0, 2**32 - 1)),
    Sealed: st.builds(Sealed, u64, u16, text),
    Certified: st.builds(Certified, many(digests)),
    SubmitTx: st.builds(SubmitTx, text),
    Subscribe: st.builds(Subscribe, u64),
    SpecReply: st.builds(SpecReply, u64, u16, results),
    FinalReply: st.builds(FinalReply, u64, u16, st.sampled_from([1, 2]), results),
    SignedResults: st.builds(SignedResults, u16, statements, signatures, many(included)),
    ReadRequest: st.builds(
        ReadRequest, u64, st.sampled_from([1, 2]), u64, st.sets(u64, max_size=6).map(sorted).map(tuple)
    ),
    ReadReply: st.builds(
        ReadReply,
        u16,
        runs,
        u64,
        st.sampled_from([1, 2]),
        st.integers(0, 4),
        u64,
        u64,
        digests,
        st.dictionaries(u64, st.tuples(u64, u64), max_size=6).map(
            lambda values: tuple([(key, *values[key]) for key in sorted(values)])
        ),
        signatures,
    ),
}
messages = st.one_of(*STRATEGIES.values())


def test_all_classes_are_drawn() -> None:
    assert set(STRATEGIES) == set(CLASSES.values())


@pytest.mark.parametrize("owner", STRATEGIES, ids=lambda owner: owner.__name__)
def test_round_trip(owner: type[Any]) -> None:
    @settings(max_examples=40)
    @given(STRATEGIES[owner])
    def check(message: Message) -> None:
        again = decode(encode(message))
        assert again == message
        assert all(type(getattr(again, each.name)) is type(getattr(message, each.name)) for each in fields(message))

    check()


@given(st.sampled_from(sorted(CLASSES)), st.binary(max_size=400))
def test_any_bytes_are_a_message_that_encodes_to_them_or_a_value_error(code: int, body: bytes) -> None:
    data = bytes((code,)) + body
    try:
        message = decode(data)
    except ValueError:
        return
    assert encode(message) == data


@given(messages, st.data())
def test_changed_bytes_are_another_message_or_none(message: Message, data: st.DataObject) -> None:
    good = encode(message)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(bad))
    except ValueError:
        return
    assert other != message
    assert encode(other) == bytes(bad)


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=20))
def test_batches_round_trip(transactions: list[bytes]) -> None:
    assert split_transactions(join_transactions(transactions)) == transactions


@given(st.binary(max_size=60))
def test_any_body_splits_one_way_or_not_at_all(body: bytes) -> None:
    try:
        transactions = split_transactions(body)
    except ValueError:
        return
    assert join_transactions(transactions) == body
