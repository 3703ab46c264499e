"""Packet data, memos, denominations, identifiers and branches of stores, for any input."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibc_world import MemoryStore

from nodes.ibc.core import identifiers
from nodes.ibc.core.denominations import Denomination, Hop
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.forward import Instructions, InvalidMemo
from nodes.ibc.core.state import Branch
from nodes.ibc.core.transfer_data import ABI, JSON, PROTOBUF, TransferData, parse_acknowledgement

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
HOPS = st.builds(Hop, st.sampled_from(("transfer", "port.x")), st.from_regex(r"channel-[0-9]{1,5}", fullmatch=True))
BASES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,30}", fullmatch=True)
KEYS = st.binary(min_size=1, max_size=3)


@given(
    denomination=st.builds(Denomination.parse, BASES),
    amount=st.integers(1, 2**256 - 1),
    sender=TEXT.filter(str.strip),
    receiver=TEXT.filter(str.strip),
    memo=TEXT,
    encoding=st.sampled_from((JSON, PROTOBUF, ABI)),
)
def test_packet_data_come_back(
    denomination: Denomination, amount: int, sender: str, receiver: str, memo: str, encoding: str
) -> None:
    data = TransferData(denomination, amount, sender, receiver, memo)
    assert TransferData.decode(data.encode(encoding), encoding) == data


@given(data=st.binary(max_size=300), encoding=st.sampled_from((JSON, PROTOBUF, ABI)))
def test_other_bytes_are_refused_or_mean_something(data: bytes, encoding: str) -> None:
    try:
        TransferData.decode(data, encoding).check()
    except AbciError:
        pass
    try:
        parse_acknowledgement(data)
    except AbciError:
        pass


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
FORWARD = st.fixed_dictionaries(
    {"receiver": JSON_VALUES, "port": st.just("transfer") | JSON_VALUES, "channel": st.just("channel-0") | JSON_VALUES},
    optional={"timeout": st.just("1m") | JSON_VALUES, "retries": st.just(2) | JSON_VALUES, "next": JSON_VALUES},
)


@given(memo=TEXT | JSON_VALUES.map(json.dumps) | FORWARD.map(lambda forward: json.dumps({"forward": forward})))
def test_memos_are_instructions_nothing_or_an_error(memo: str) -> None:
    try:
        found = Instructions.parse(memo)
    except InvalidMemo:
        return
    if found is not None:
        assert found.receiver
        assert 0 < found.timeout_ns < 2**63
        assert 0 <= found.retries <= 255
        (found.receiver + found.next).encode()


@given(base=BASES, trace=st.lists(HOPS, max_size=4))
def test_denomination_comes_back_from_its_path(base: str, trace: list[Hop]) -> None:
    parsed = Denomination.parse(base)
    made = parsed
    for hop in trace:
        made = made.through(hop.port, hop.channel)
    if "/" not in base or parsed.trace or len(base.split("/")) < 2 or not identifiers.is_generated_client(
        base.split("/")[1]
    ):  # fmt: skip
        assert Denomination.parse(made.path) == made
    assert Denomination.parse(made.path).local == made.local
    if trace:
        assert made.arrived_through(trace[-1].port, trace[-1].channel)
        assert made.back().path == made.path.split("/", 2)[2]


@given(name=st.text(max_size=70))
def test_identifiers_are_accepted_or_refused(name: str) -> None:
    for check in (identifiers.check_client, identifiers.check_channel, identifiers.check_port):
        try:
            assert check(name) == name
            assert "/" not in name
            assert name.isascii()
        except AbciError:
            pass
    identifiers.revision(name)


@given(
    below=st.dictionaries(KEYS, KEYS, max_size=8),
    changes=st.lists(st.tuples(KEYS, KEYS | st.none()), max_size=12),
    prefix=st.binary(max_size=2),
)
def test_branch_is_a_copy_until_it_is_written(
    below: dict[bytes, bytes], changes: list[tuple[bytes, bytes | None]], prefix: bytes
) -> None:
    store, model = MemoryStore(), dict(below)
    store.values.update(below)
    branch = Branch(Branch(store))
    for key, value in changes:
        if value is None:
            branch.delete(key)
            model.pop(key, None)
        else:
            branch.set(key, value)
            model[key] = value
        assert branch.get(key) == value
    assert list(branch.iterate(prefix)) == sorted(item for item in model.items() if item[0].startswith(prefix))
    assert store.values == below
    branch.write()
    branch._below.write()  # type: ignore[attr-defined]
    assert store.values == model


def test_abi_offsets_that_point_elsewhere_are_refused() -> None:
    good = TransferData(Denomination("stake"), 1, "s", "r").encode(ABI)
    for place in range(0, 6 * 32, 32):
        wrong = good[:place] + (2**255).to_bytes(32) + good[place + 32 :]
        if place != 4 * 32:  # the amount, which may be anything
            with pytest.raises(AbciError):
                TransferData.decode(wrong, ABI)
