"""Accounts of a relayer on one chain, and their transactions from messages to what became of them.

Invariant: an account has one submission under way at a time, and its sequences are used in order; whenever it is not
known which sequence is next, the chain is asked before another transaction is signed. A transaction that the mempool
refuses or drops takes none of those behind it along: they are signed again, with the sequences that are free now.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from math import ceil

from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.channel import ResponseResultType
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Broadcast, Flow, TxResult, Unanswered, Wait, opened
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.submission import UNKNOWN, Outcome, Sent, Submission

OUT_OF_GAS = ("sdk", 11)
PATIENCE_BLOCKS = 2  # that come without a transaction, before the mempool is asked whether it has it
_FIRST_GAS = 40_000  # of a transaction beside its messages
_MARGIN = 1.3  # of gas over what such messages used
_WEIGH_S = 10.0  # between questions for balances
_REMEMBERED = 256  # outcomes of an account


UNTRIED = Outcome(UNKNOWN, log="not tried", lost=True)


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

    def __init__(self, terms: Terms, keys: Sequence[str], clock: Clock, chain: Followed) -> None:
        self.terms = terms
        self.accounts = [Account(key, encode(terms.prefix, key.address)) for key in map(AccountKey.named, keys)]
        self.submitted = 0  # transactions
        self._clock = clock
        self._chain = chain
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
        tried = list(takewhile(self._knows, signed))
        outcomes = yield from self._carry_out(account, account.sequence, tried)
        return [*outcomes, *[UNTRIED] * (len(groups) - len(tried))]

    def _carry_out(self, account: Account, first: int, groups: Sequence[Sequence[Message]]) -> Flow[list[Outcome]]:
        """Transactions of groups, with the sequences from `first` on: what became of each.

        Where blocks come without the last one, it is handed over again: the answer tells whether the mempool has it.
        """
        batch = Submission(groups, first, partial(self._transaction, account))
        until_ns = self._clock.after_s(self.terms.confirm_s)
        in_time = True
        while in_time and not batch.is_over:
            has_room = True
            while has_room and batch.unsent and self._clock.now_ns < until_ns:
                admissions = yield tuple(Broadcast(self.terms.chain, each.data) for each in batch.unsent)
                has_room = batch.handed_over(admissions, self._clock.now_ns)
            height = self._chain.height + (PATIENCE_BLOCKS if has_room else 1)
            in_time = yield Wait(partial(self._is_due, account, batch, height), until_ns)
            for sent in batch.confirmed(account.spent):
                batch.outcomes[sent.place] = self._outcome(sent, account.spent[sent.sequence])
            batch.doubt()
        self.submitted += batch.admitted
        account.sequence = batch.sequence if batch.is_over else None
        late = Outcome(UNKNOWN, log=f"not in a block after {self.terms.confirm_s:g} s", lost=True)
        return [batch.outcomes.get(place, late) for place in range(len(groups))]

    def _is_due(self, account: Account, batch: Submission, height: int) -> bool:
        """Whether blocks have all that the mempool was given, or the chain is so high without it."""
        is_confirmed = all(each.sequence in account.spent for each in batch.waiting)
        return (is_confirmed and not batch.unsent) or self._chain.height >= height

    def _outcome(self, sent: Sent, result: TxResult) -> Outcome:
        if (result.codespace, result.code) == OUT_OF_GAS:
            for message in sent.group:
                self._gas.pop(message.NAME, None)
        elif not result.code:
            self._learn(sent.group, result.gas_used)
        return Outcome(result.code, result.codespace, result.log, result, admitted_ns=sent.admitted_ns)

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
            return Outcome(UNKNOWN, "simulation", str(failure))
        if found.gas_info is None or found.result is None:
            raise Unanswered("a simulation without its result, or the gas that it used")
        if any(map(_did_nothing, found.result.msg_responses)):  # it would use less gas than others of its kind
            return Outcome(UNKNOWN, "simulation", "another relayer was faster", lost=True)
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

    def _transaction(self, account: Account, group: Sequence[Message], sequence: int, gas: int | None = None) -> bytes:
        gas = self._gas_for(group) if gas is None else gas
        fee = ceil(gas * self.terms.gas_price)
        coins = (Coin(self.terms.denom, str(fee)),) if fee else ()
        return signed_transaction(
            account.key, group, self.terms.chain_id, account.number, sequence, cosmos.Fee(coins, gas)
        )  # fmt: skip


def _did_nothing(response: Any) -> bool:
    """Whether a message did nothing, as another relayer's had done it before."""
    with suppress(WireError):
        return getattr(response.open(strict=False), "result", None) is ResponseResultType.NOOP
    return False


def _signed_by(message: Message, address: str) -> Message:
    """A message with its signer."""
    return replace(message, signer=address)  # type: ignore[type-var]
