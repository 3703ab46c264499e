"""A chain as a state machine: supply is constant, sequences never skip, and what is refused changes nothing."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ibc_chain import FUNDS, GENESIS_NS, NAMES, Ticking, send, signed
from ibc_chain import settings as chain_settings

from emulator.model.errors import Unfit
from nodes.ibc.chain import bech32
from nodes.ibc.chain.genesis import chain_of
from nodes.ibc.chain.mempool import MempoolRefusal
from nodes.ibc.chain.query import Condition, QueryError, parse
from nodes.ibc.chain.transactions import read
from nodes.ibc.core.errors import AbciError

names = st.sampled_from(NAMES)
amounts = st.integers(0, 2 * FUNDS)


class Bank(RuleBasedStateMachine):
    """Transfers, right and wrong ones, in blocks; beside the chain a model of balances and sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.ticking = Ticking(chain_of(chain_settings(), GENESIS_NS))
        self.ticking.block()
        self.committed = dict.fromkeys(NAMES, 0)  # sequences
        self.balances = dict.fromkeys(NAMES, FUNDS)
        self.waiting: list[tuple[str, str, int, int]] = []

    @rule(sender=names, receiver=names, amount=amounts, fee=st.integers(0, FUNDS // 3))
    def transfer(self, sender: str, receiver: str, amount: int, fee: int) -> None:
        sequence = self.committed[sender] + sum(each[0] == sender for each in self.waiting)
        message = send(sender, receiver, stake=amount)
        result = self.ticking.chain.submit(signed(sender, [message], sequence, NAMES.index(sender), fee=fee))
        if not result.code:
            self.waiting.append((sender, receiver, amount, fee))
        else:
            assert result.code == 5  # the fee cannot be paid

    @rule(sender=names, off=st.integers(-3, 3).filter(bool))
    def wrong_sequence(self, sender: str, off: int) -> None:
        sequence = self.committed[sender] + sum(each[0] == sender for each in self.waiting) + off
        if sequence >= 0:
            data = signed(sender, [send(sender, "bob", stake=1)], sequence, NAMES.index(sender))
            try:
                assert self.ticking.chain.submit(data).code == 32
            except MempoolRefusal as refusal:
                assert str(refusal) == "tx already exists in cache"  # noqa: PT017 - either of the two is right

    @rule(data=st.binary(max_size=64))
    def noise(self, data: bytes) -> None:
        assert self.ticking.chain.submit(data).code != 0

    @rule()
    def block(self) -> None:
        entry = self.ticking.block()
        assert len(entry.results) == len(self.waiting)
        for (sender, receiver, amount, fee), result in zip(self.waiting, entry.results, strict=True):
            if self.balances[sender] < fee:
                assert result.code == 5  # a transfer before it took what the fee needed
                continue
            self.committed[sender] += 1
            self.balances[sender] -= fee
            if not 0 < amount <= self.balances[sender]:
                assert result.code in (5, 10)
                continue
            assert result.code == 0
            self.balances[sender] -= amount
            self.balances[receiver] += amount
        self.waiting.clear()

    @invariant()
    def state_is_the_model(self) -> None:
        assert self.ticking.balances() == self.balances
        assert {name: self.ticking.held_sequence(name) for name in NAMES} == self.committed

    @invariant()
    def supply_is_constant(self) -> None:
        chain = self.ticking.chain
        context = chain.app.context(chain.state.stores, chain.moment)
        assert chain.app.bank.supplies(context) == {"stake": len(NAMES) * FUNDS}
        held = sum(int(value) for key, value in chain.state.stores["bank"].iterate(b"\x02"))
        assert held == len(NAMES) * FUNDS


TestBank = Bank.TestCase
TestBank.settings = settings(max_examples=10, stateful_step_count=12, deadline=None)


@given(st.binary(max_size=60))
def test_addresses_round_trip(data: bytes) -> None:
    assert bech32.decode(bech32.encode("cosmos", data), "cosmos") == data


@given(st.binary(min_size=20, max_size=20), st.integers(0, 37), st.sampled_from(bech32.LETTERS))
def test_a_changed_letter_is_refused(data: bytes, place: int, letter: str) -> None:
    text = bech32.encode("cosmos", data)
    at = len("cosmos1") + place
    if text[at] == letter:
        return
    try:
        bech32.decode(text[:at] + letter + text[at + 1 :], "cosmos")
    except Unfit:
        return
    raise AssertionError("a changed address was read")


@given(st.text("abANDEXISTCOU .=<>'-0123é", max_size=60))
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    try:
        conditions = parse(text)
    except QueryError:
        return
    assert conditions
    assert all(isinstance(each, Condition) for each in conditions)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_transaction_or_an_error(data: bytes) -> None:
    with suppress(AbciError):
        read(data)
