"""Answers to `abci_query`: keys of stores with proofs, and the questions of the SDK's gRPC services by their paths.

Invariant: a question changes nothing, and what is wrong with it is an answer with a code, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any as Anything
from typing import Generic, TypeVar

from emulator.model.errors import Absent
from nodes.ibc.chain.app import Moment
from nodes.ibc.chain.bank import Bank
from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.errors import INVALID_HEIGHT, INVALID_REQUEST, TX_PARSE_ERROR, UNKNOWN_REQUEST, not_found
from nodes.ibc.chain.results import encodable
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.state import Context
from nodes.ibc.proto import cosmos
from nodes.ibc.proto.comet import ProofOp
from nodes.ibc.proto.cosmos_base import Coin, PageRequest, PageResponse
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any, Duration
from nodes.ibc.proto.wire import Message

__all__ = ["Answer", "Queries", "Question", "paged"]

M = TypeVar("M", bound=Message)
T = TypeVar("T")
_STORE_KEY = re.compile(r"/store/([^/]+)/key")
MOST_PAGE = 1000
PAGE = 100  # where none is asked for
UNBONDING_NS = 21 * 86_400 * 10**9  # what relayers make the trusting period of a client from


@dataclass(frozen=True, slots=True)
class Answer:
    """What `abci_query` answers. `height` is of the state that was asked."""

    height: int
    key: bytes = b""
    value: bytes = b""
    proof: tuple[ProofOp, ...] = ()
    code: int = 0
    codespace: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class Question(Generic[M]):
    """A gRPC method: its path, what is asked, and who answers."""

    path: str
    request: type[M]
    answer: Callable[[Context, M], Message]


class Queries:
    """All questions that a chain answers."""

    def __init__(self, chain: Chain, bank: Bank, bond_denom: str, more: Iterable[Question[Anything]] = ()) -> None:
        self._chain = chain
        self._bank = bank
        self._bond_denom = bond_denom
        self._questions: Mapping[str, Question[Anything]] = {each.path: each for each in (*self._own(), *more)}

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all questions, without those of keys."""
        return tuple(self._questions)

    def answer(self, path: str, data: bytes, height: int, prove: bool) -> Answer:
        """Answer a question about the state after block `height`; 0 stands for the latest."""
        asked = height or self._chain.height
        try:
            if not 0 < asked <= self._chain.height:
                raise INVALID_HEIGHT.error(f"height {asked} is not between 1 and {self._chain.height}")
            if match := _STORE_KEY.fullmatch(path):
                return self._stored(match[1], data, asked, prove)
            return Answer(asked, value=self._asked(path, data, asked))
        except AbciError as error:
            return Answer(asked, code=error.code, codespace=error.codespace, log=error.message)

    def _stored(self, name: str, key: bytes, height: int, prove: bool) -> Answer:
        state = self._chain.state
        if name not in state.stores:
            raise UNKNOWN_REQUEST.error(f"no such store: {name}")
        try:
            value = state.stores[name].get_at(key, height)
            if not prove:
                return Answer(height, key, value or b"")
            inner, outer = state.prove(name, key, height)
        except Absent as error:
            raise INVALID_REQUEST.error(f"store {name} at height {height}: {error}") from None
        form = state.stores[name].form.name
        ops = ProofOp(form, key, inner.encode()), ProofOp("ics23:simple", name.encode(), outer.encode())
        return Answer(height, key, value or b"", ops)

    def _asked(self, path: str, data: bytes, height: int) -> bytes:
        question = self._questions.get(path)
        if question is None:
            raise UNKNOWN_REQUEST.error(f"unknown query path: {path[:200]}")
        if height != self._chain.height:
            raise INVALID_HEIGHT.error(f"{path} answers of height {self._chain.height} alone; ask /store for the past")
        try:
            request = question.request.decode(data)
        except WireError as error:
            raise TX_PARSE_ERROR.error(str(error)) from None
        entry = self._chain.ledger[height]
        context = self._chain.app.context(self._chain.state.stores, Moment(height, entry.block.time_ns))
        return question.answer(context, request).encode()

    def _own(self) -> tuple[Question[Anything], ...]:
        bank = "/cosmos.bank.v1beta1.Query"
        return (
            Question("/cosmos.auth.v1beta1.Query/Account", cosmos.QueryAccountRequest, self._account),
            Question(f"{bank}/Balance", cosmos.QueryBalanceRequest, self._balance),
            Question(f"{bank}/AllBalances", cosmos.QueryAllBalancesRequest, self._balances),
            Question(f"{bank}/SpendableBalances", cosmos.QuerySpendableBalancesRequest, self._spendable),
            Question(f"{bank}/TotalSupply", cosmos.QueryTotalSupplyRequest, self._supplies),
            Question(f"{bank}/SupplyOf", cosmos.QuerySupplyOfRequest, self._supply),
            Question("/cosmos.staking.v1beta1.Query/Params", cosmos.QueryStakingParamsRequest, self._staking),
            Question("/cosmos.tx.v1beta1.Service/Simulate", cosmos.SimulateRequest, self._simulation),
        )

    def _account(self, context: Context, request: cosmos.QueryAccountRequest) -> Message:
        account = self._bank.accounts.get(context, self._bank.account(request.address))
        if account is None:
            raise not_found(f"account {request.address}")
        return cosmos.QueryAccountResponse(Any.of(account))

    def _balance(self, context: Context, request: cosmos.QueryBalanceRequest) -> Message:
        amount = self._bank.balance(context, self._bank.account(request.address), request.denom)
        return cosmos.QueryBalanceResponse(Coin(request.denom, str(amount)))

    def _balances(self, context: Context, request: cosmos.QueryAllBalancesRequest) -> Message:
        return cosmos.QueryAllBalancesResponse(*self._page_of(context, request.address, request.pagination))

    def _spendable(self, context: Context, request: cosmos.QuerySpendableBalancesRequest) -> Message:
        return cosmos.QuerySpendableBalancesResponse(*self._page_of(context, request.address, request.pagination))

    def _page_of(
        self, context: Context, address: str, page: PageRequest | None
    ) -> tuple[tuple[Coin, ...], PageResponse]:
        return paged(_coins(self._bank.balances(context, self._bank.account(address))), page)

    def _supplies(self, context: Context, request: cosmos.QueryTotalSupplyRequest) -> Message:
        return cosmos.QueryTotalSupplyResponse(*paged(_coins(self._bank.supplies(context)), request.pagination))

    def _supply(self, context: Context, request: cosmos.QuerySupplyOfRequest) -> Message:
        return cosmos.QuerySupplyOfResponse(Coin(request.denom, str(self._bank.supply(context, request.denom))))

    def _staking(self, context: Context, request: cosmos.QueryStakingParamsRequest) -> Message:
        params = cosmos.StakingParams(
            Duration.of_ns(UNBONDING_NS), len(self._chain.committee.at(1).validators), 7, 10_000, self._bond_denom, "0"
        )
        return cosmos.QueryStakingParamsResponse(params)

    def _simulation(self, context: Context, request: cosmos.SimulateRequest) -> Message:
        result = self._chain.simulate(request.tx_bytes)
        if result.code:
            raise AbciError(result.codespace, result.code, result.log)
        answers = cosmos.TxMsgData.decode(result.data).msg_responses
        return cosmos.SimulateResponse(
            cosmos.GasInfo(result.gas_wanted, result.gas_used),
            cosmos.Result(data=result.data, log=result.log, events=encodable(result.events), msg_responses=answers),
        )


def paged(rows: tuple[T, ...], page: PageRequest | None) -> tuple[tuple[T, ...], PageResponse]:
    """The part of the rows that is asked for, and where the next one begins. The key of a page is its first place."""
    page = page or PageRequest()
    if page.key and len(page.key) != _KEY_BYTES:
        raise INVALID_REQUEST.error("a page key of another answer")
    first = int.from_bytes(page.key, "big") if page.key else page.offset
    rows = rows[::-1] if page.reverse else rows
    end = first + min(page.limit or PAGE, MOST_PAGE)
    next_key = end.to_bytes(_KEY_BYTES, "big") if end < len(rows) else b""
    return rows[first:end], PageResponse(next_key, len(rows))


_KEY_BYTES = 8


def _coins(amounts: Mapping[str, int]) -> tuple[Coin, ...]:
    return tuple(Coin(denom, str(amount)) for denom, amount in amounts.items())
