"""Messages that anyone may send: damaged headers are refused in the words of a transaction, and change nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from light_chain import INTERVAL_NS, LightChain, time_ns

from nodes.ibc.client.keeper import Clients
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.specs import TENDERMINT_SPEC
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ibc import ClientState, Fraction, Header, Height, Misbehaviour
from nodes.ibc.proto.well_known import Any, Duration

CHAIN = LightChain(lambda height: range(3))
GOOD = CHAIN.update(10, 15)
FORK = CHAIN.update(10, 15, CHAIN.signed(CHAIN.header(15, app_hash=bytes(32))))
STATE = ClientState(
    CHAIN.chain_id,
    Fraction(1, 3),
    Duration.of_ns(1000 * INTERVAL_NS),
    Duration.of_ns(2000 * INTERVAL_NS),
    Duration.of_ns(INTERVAL_NS),
    latest_height=Height(1, 10),
    proof_specs=(TENDERMINT_SPEC,),
)
MESSAGES = [Any.of(GOOD), Any.of(Misbehaviour("", FORK, GOOD))]
DAMAGE = st.lists(st.tuples(st.integers(0, 10**5), st.integers(0, 255)), min_size=1, max_size=3)


def context() -> Context:
    return Context("here-0", Height(0, 1), time_ns(20), {"ibc": ProvableStore()})


def damaged(data: bytes, damage: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for at, byte in damage:
        changed[at % len(changed)] = byte
    return bytes(changed)


@given(st.sampled_from(MESSAGES), DAMAGE)
@settings(max_examples=150)
def test_a_damaged_message_is_refused_or_says_the_same(message: Any, damage: list[tuple[int, int]]) -> None:
    clients, here = Clients(), context()
    client = clients.create(here, Any.of(STATE), Any.of(CHAIN.consensus_state(10)))
    before = dict(here.ibc.iterate(b""))
    bad = Any(message.type_url, damaged(message.value, damage))
    try:
        clients.update(here, client, bad)
    except AbciError:
        assert dict(here.ibc.iterate(b"")) == before
        return
    content = bad.open(strict=False)  # damaged where nothing is signed, such as who proposed the block
    if isinstance(content, Header):
        assert content.signed_header is not None
        assert GOOD.signed_header is not None
        assert content.signed_header.header == GOOD.signed_header.header


@given(DAMAGE, DAMAGE)
@settings(max_examples=150)
def test_damaged_states_make_a_client_or_none(damage: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    clients, here = Clients(), context()
    state, consensus = Any.of(STATE), Any.of(CHAIN.consensus_state(10))
    try:
        client = clients.create(
            here,
            Any(state.type_url, damaged(state.value, damage)),
            Any(consensus.type_url, damaged(consensus.value, other)),
        )
    except AbciError:
        assert dict(here.ibc.iterate(b"")) == {}
        return
    clients.status(here, client)
    try:
        clients.update(here, client, MESSAGES[0])
    except AbciError:
        return
