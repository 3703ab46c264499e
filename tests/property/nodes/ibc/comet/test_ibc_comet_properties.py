"""Merkle trees, times and JSON of CometBFT: against their definitions, there and back, and damaged."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from light_chain import LightChain

from nodes.ibc.comet import json_form, merkle
from nodes.ibc.comet.moments import read_time, write_time
from nodes.ibc.proto.well_known import Timestamp

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def by_definition(leaves: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it: split at the largest power of two below the number of leaves."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@given(LEAVES)
def test_the_root_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == by_definition(leaves)


@given(LEAVES, st.data())
def test_each_leaf_has_a_proof_that_fits_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = merkle.proof(leaves, index), merkle.root(leaves)
    assert proof.root_of(leaves[index]) == root
    assert proof.root_of(leaves[index] + b"x") is None
    assert replace(proof, aunts=(*proof.aunts, root)).root_of(leaves[index]) is None
    if proof.aunts:
        assert replace(proof, aunts=proof.aunts[1:]).root_of(leaves[index]) is None
        changed = (bytes(32), *proof.aunts[1:])
        assert replace(proof, aunts=changed).root_of(leaves[index]) != root
    for wrong in (-1, len(leaves)):
        assert replace(proof, index=wrong).root_of(leaves[index]) is None


@given(st.integers(-62_135_596_800, 253_402_300_799), st.integers(0, 10**9 - 1))
def test_times_are_those_of_the_calendar(seconds: int, nanos: int) -> None:
    text = write_time(Timestamp(seconds, nanos))
    assert read_time(text) == Timestamp(seconds, nanos)
    whole = datetime.fromisoformat(write_time(Timestamp(seconds)))
    assert (whole - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() == seconds


@given(st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", fullmatch=True))
def test_other_texts_are_no_times(text: str) -> None:
    try:
        moment = read_time(text)
    except ValueError:
        return
    assert read_time(write_time(moment)) == moment


CHAIN = LightChain(lambda height: range(3))
SIGNED = json_form.write_signed_header(CHAIN.block(7).signed)
VALIDATORS = json_form.write_validators(CHAIN.validators(7))
ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just([]) | st.just({})


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(each for key, value in inner for each in places(value, (*path, key)))]


def test_what_is_written_is_read() -> None:
    assert json_form.read_signed_header(SIGNED) == CHAIN.block(7).signed
    assert json_form.read_validators(VALIDATORS) == CHAIN.validators(7)


@given(st.data(), ODD, st.booleans())
@settings(max_examples=300)
def test_odd_values_raise_only_that_they_do_not_fit(data: st.DataObject, odd: Any, remove: bool) -> None:
    document = copy.deepcopy({"signed": SIGNED, "validators": VALIDATORS})
    *above, last = data.draw(st.sampled_from([path for path in places(document) if len(path) > 1]))
    place: Any = document
    for key in above:
        place = place[key]
    if remove:
        del place[last]
    else:
        place[last] = odd
    try:
        signed = json_form.read_signed_header(document["signed"])
        validators = json_form.read_validators(document["validators"])
    except ValueError:
        return
    signed.encode()
    for each in validators:
        each.encode()
