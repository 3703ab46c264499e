"""Accounts of a relayer on one chain, and their transactions from messages to what became of them.

Invariant: an account has one submission under way at a time, and its sequences are used in order; whenever it is not
known which sequence is next, the chain is asked before another transaction is signed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import ceil

from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Broadcast, Flow, TxResult, Unanswered, Wait, opened
from nodes.ibc.relayer.clock import Clock

OUT_OF_GAS = ("sdk", 11)
WRONG_SEQUENCE = ("sdk", 32)
REDUNDANT = ("channel", 22)  # another relayer was faster, and its transaction may still wait for its block
NOT_MINE = -2  # code of a transaction of which nothing is known
_FIRST_GAS = 40_000  # of a transaction beside its messages
_MARGIN = 1.3  # of gas over what such messages used
_WEIGH_S = 10.0  # between questions for balances
_REMEMBERED = 256  # outcomes of an account


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a group of messages. `lost`: nobody knows; it may still come.

    `admitted_ns`: when the mempool had taken it, 0 where it did not.
    """

    code: int
    codespace: str = ""
    log: str = ""
    result: TxResult | None = None
    lost: bool = False
    admitted_ns: int = 0


UNTRIED = Outcome(NOT_MINE, log="not tried", lost=True)


@dataclass
class Account:
    """One key, and the sequence that comes next: None where the chain must be asked."""

    key: AccountKey
    address: str
    number: int = 0
    sequence: int | None = None
    busy: bool = False
    balance: int | None = None  # when it was last asked
    spent: dict[int, TxResult] = field(default_factory=dict)
    order: deque[int] = field(default_factory=deque)

    def used(self, sequence: int, result: TxResult) -> None:
        """A block holds its transaction with this sequence."""
        self.spent[sequence] = result
        self.order.append(sequence)
        if len(self.order) > _REMEMBERED:
            self.spent.pop(self.order.popleft(), None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What transactions on a chain need."""

    chain: str
    chain_id: str
    prefix: str
    denom: str
    gas_price: float
    confirm_s: float  # how long a transaction may take into a block


class Signer:
    """The relayer's accounts on one chain."""

    def __init__(self, terms: Terms, keys: Sequence[str], clock: Clock) -> None:
        self.terms = terms
        self.accounts = [Account(key, encode(terms.prefix, key.address)) for key in map(AccountKey.named, keys)]
        self.submitted = 0  # transactions
        self.fees = 0
        self._clock = clock
        self._gas: dict[str, int] = {}  # that a message of a kind uses, at most so far

    def seen(self, address: str, sequence: int, result: TxResult) -> None:
        """A block holds a transaction of some account."""
        for account in self.accounts:
            if account.address == address:
                account.used(sequence, result)

    @property
    def first(self) -> Account:
        """The account that makes clients: what only their maker may do must be signed by the same one."""
        return self.accounts[0]

    def submit(self, groups: Sequence[Sequence[Message]], only: Account | None = None) -> Flow[list[Outcome]]:
        """Each group in a transaction of its own, in this order, all of one account, whose address is put in as signer:
        `only` this one, or any.

        Raises Unanswered where it is not known what became of any of them.
        """
        account = yield from self._free(self.accounts if only is None else [only])
        account.busy = True
        try:
            return (yield from self._submit(account, groups))
        except Unanswered:
            account.sequence = None
            raise
        finally:
            account.busy = False

    def weigh(self) -> Flow[None]:
        """Ask what the accounts have, for fees, again and again."""
        path = "/cosmos.bank.v1beta1.Query/Balance"
        while True:
            asks = [
                Ask(self.terms.chain, path, cosmos.QueryBalanceRequest(account.address, self.terms.denom),
                    cosmos.QueryBalanceResponse)
                for account in self.accounts
            ]  # fmt: skip
            with suppress(Unanswered):
                for account, answer in zip(self.accounts, (yield tuple(asks)), strict=True):
                    account.balance = int(answer.balance.amount) if answer.balance else 0
            yield Wait(lambda: False, self._clock.after_s(_WEIGH_S))

    def _free(self, accounts: Sequence[Account]) -> Flow[Account]:
        while True:
            for account in accounts:
                if not account.busy:
                    return account
            yield Wait(lambda: any(not account.busy for account in accounts))

    def _submit(self, account: Account, groups: Sequence[Sequence[Message]]) -> Flow[list[Outcome]]:
        signed = [[_signed_by(message, account.address) for message in group] for group in groups]
        if account.sequence is None:
            question = cosmos.QueryAccountRequest(account.address)
            path = "/cosmos.auth.v1beta1.Query/Account"
            (found,) = yield (Ask(self.terms.chain, path, question, cosmos.QueryAccountResponse),)
            held = opened(found.account, cosmos.BaseAccount)
            account.number, account.sequence = held.account_number, held.sequence
        if not self._knows(signed[0]):
            failure = yield from self._simulate(account, signed[0])
            if failure is not None:
                return [failure, *[UNTRIED] * (len(groups) - 1)]
        first, tried = account.sequence, list(takewhile(self._knows, signed))
        txs = [
            self._transaction(account, group, first + place, self._gas_for(group)) for place, group in enumerate(tried)
        ]
        admissions = yield tuple(Broadcast(self.terms.chain, data) for data in txs)
        admitted, admitted_ns = 0, self._clock.now_ns
        while admitted < len(txs) and admissions[admitted].code == 0:
            admitted += 1
        self.submitted += admitted
        account.sequence = first + admitted if admitted == len(txs) else None
        ours = range(first, first + admitted)
        until_ns = self._clock.now_ns + self.terms.confirm_s * 1e9
        yield Wait(lambda: all(sequence in account.spent for sequence in ours), until_ns)
        outcomes = [
            replace(self._outcome(account, sequence, signed[place]), admitted_ns=admitted_ns)
            for place, sequence in enumerate(ours)
        ]
        for admission in admissions[admitted:]:
            transient = (admission.codespace, admission.code) in (WRONG_SEQUENCE, REDUNDANT) or admission.code < 0
            outcomes.append(Outcome(admission.code, admission.codespace, admission.log, lost=transient))
        return [*outcomes, *[UNTRIED] * (len(groups) - len(tried))]

    def _outcome(self, account: Account, sequence: int, group: Sequence[Message]) -> Outcome:
        result = account.spent.get(sequence)
        if result is None:
            account.sequence = None
            return Outcome(NOT_MINE, log=f"not in a block after {self.terms.confirm_s:g} s", lost=True)
        if (result.codespace, result.code) == OUT_OF_GAS:
            for message in group:
                self._gas.pop(message.NAME, None)
        elif not result.code:
            self._learn(group, result.gas_used)
        return Outcome(result.code, result.codespace, result.log, result)

    def _simulate(self, account: Account, group: Sequence[Message]) -> Flow[Outcome | None]:
        """Learn the gas of a group; where it would fail, how."""
        data = self._transaction(account, group, account.sequence or 0, 0)
        path = "/cosmos.tx.v1beta1.Service/Simulate"
        ask = Ask(self.terms.chain, path, cosmos.SimulateRequest(data), cosmos.SimulateResponse)
        try:
            (found,) = yield (ask,)
        except Unanswered as failure:
            if re.search(r"account sequence mismatch|too many requests|Cannot connect|closed", str(failure)):
                raise
            return Outcome(NOT_MINE, "simulation", str(failure))
        if found.gas_info is None:
            raise Unanswered("a simulation without the gas that it used")
        self._learn(group, found.gas_info.gas_used)
        return None

    def _learn(self, group: Sequence[Message], gas_used: int) -> None:
        share = gas_used // len(group)
        for message in group:
            self._gas[message.NAME] = max(self._gas.get(message.NAME, 0), share)

    def _knows(self, group: Sequence[Message]) -> bool:
        """Whether the gas of a group's kinds is known. Where it is not, the group waits until it is the first one."""
        return all(message.NAME in self._gas for message in group)

    def gas_for(self, group: Sequence[Message]) -> int | None:
        """The gas that a transaction of these messages would be given; None where that of a kind is not known yet."""
        return self._gas_for(group) if self._knows(group) else None

    def _gas_for(self, group: Sequence[Message]) -> int:
        return _FIRST_GAS + ceil(_MARGIN * sum(self._gas[message.NAME] for message in group))

    def _transaction(self, account: Account, group: Sequence[Message], sequence: int, gas: int) -> bytes:
        fee = ceil(gas * self.terms.gas_price)
        coins = (Coin(self.terms.denom, str(fee)),) if fee else ()
        self.fees += fee
        return signed_transaction(
            account.key, group, self.terms.chain_id, account.number, sequence, cosmos.Fee(coins, gas)
        )  # fmt: skip


def _signed_by(message: Message, address: str) -> Message:
    """A message with its signer."""
    return replace(message, signer=address)  # type: ignore[type-var]
