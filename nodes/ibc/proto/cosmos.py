"""Messages of the Cosmos SDK 0.50: transactions, accounts, the bank, and the questions that CosmJS 0.32 asks.

Invariant: `TxBody` and `AuthInfo` are signed as the bytes that stand in `TxRaw`; nothing encodes them anew.
"""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.comet import Event
from nodes.ibc.proto.cosmos_base import Coin, PageRequest, PageResponse
from nodes.ibc.proto.well_known import Any, Duration, Timestamp
from nodes.ibc.proto.wire import (
    Message,
    boolean,
    enum,
    message,
    nested,
    octets,
    optional,
    repeated,
    string,
    uint32,
    uint64,
)


class SignMode(IntEnum):
    """What of a transaction is signed."""

    UNSPECIFIED = 0
    DIRECT = 1
    TEXTUAL = 2
    DIRECT_AUX = 3
    LEGACY_AMINO_JSON = 127


@message("cosmos.crypto.secp256k1.PubKey")
class Secp256k1PubKey(Message):
    """Public key of an account: 33 bytes, compressed."""

    key: bytes = octets(1)


@message("cosmos.crypto.ed25519.PubKey")
class Ed25519PubKey(Message):
    """Public key of a validator: 32 bytes."""

    key: bytes = octets(1)


@message("cosmos.tx.v1beta1.TxRaw")
class TxRaw(Message):
    """A transaction as it is sent."""

    body_bytes: bytes = octets(1)
    auth_info_bytes: bytes = octets(2)
    signatures: tuple[bytes, ...] = repeated(3, bytes)


@message("cosmos.tx.v1beta1.SignDoc")
class SignDoc(Message):
    """What SIGN_MODE_DIRECT signs."""

    body_bytes: bytes = octets(1)
    auth_info_bytes: bytes = octets(2)
    chain_id: str = string(3)
    account_number: int = uint64(4)


@message("cosmos.tx.v1beta1.TxBody")
class TxBody(Message):
    """What a transaction does. `timeout_height` is the last block that may hold it; 0 is no limit."""

    messages: tuple[Any, ...] = repeated(1, Any)
    memo: str = string(2)
    timeout_height: int = uint64(3)
    unordered: bool = boolean(4)
    timeout_timestamp: Timestamp | None = optional(5, Timestamp)
    extension_options: tuple[Any, ...] = repeated(1023, Any)
    non_critical_extension_options: tuple[Any, ...] = repeated(2047, Any)


@message("cosmos.tx.v1beta1.ModeInfo.Single")
class ModeInfoSingle(Message):
    """One signature's mode."""

    mode: SignMode = enum(1, SignMode)


@message("cosmos.tx.v1beta1.ModeInfo")
class ModeInfo(Message):
    """How a signer signs. Multisignatures, which have field 2, are not known here."""

    single: ModeInfoSingle | None = optional(1, ModeInfoSingle)


@message("cosmos.tx.v1beta1.SignerInfo")
class SignerInfo(Message):
    """A signer: key, mode and account sequence."""

    public_key: Any | None = optional(1, Any)
    mode_info: ModeInfo | None = optional(2, ModeInfo)
    sequence: int = uint64(3)


@message("cosmos.tx.v1beta1.Fee")
class Fee(Message):
    """What is paid, and for how much gas at most."""

    amount: tuple[Coin, ...] = repeated(1, Coin)
    gas_limit: int = uint64(2)
    payer: str = string(3)
    granter: str = string(4)


@message("cosmos.tx.v1beta1.AuthInfo")
class AuthInfo(Message):
    """Signers and fee."""

    signer_infos: tuple[SignerInfo, ...] = repeated(1, SignerInfo)
    fee: Fee | None = optional(2, Fee)


@message("cosmos.auth.v1beta1.BaseAccount")
class BaseAccount(Message):
    """An account."""

    address: str = string(1)
    pub_key: Any | None = optional(2, Any)
    account_number: int = uint64(3)
    sequence: int = uint64(4)


@message("cosmos.auth.v1beta1.ModuleAccount")
class ModuleAccount(Message):
    """An account without a key, such as an escrow."""

    base_account: BaseAccount | None = optional(1, BaseAccount)
    name: str = string(2)
    permissions: tuple[str, ...] = repeated(3, str)


@message("cosmos.bank.v1beta1.MsgSend")
class MsgSend(Message):
    """Send coins within a chain."""

    from_address: str = string(1)
    to_address: str = string(2)
    amount: tuple[Coin, ...] = repeated(3, Coin)


@message("cosmos.bank.v1beta1.MsgSendResponse")
class MsgSendResponse(Message):
    """Nothing."""


@message("cosmos.base.abci.v1beta1.MsgData")
class MsgData(Message):
    """Answer to one message in the form of older releases."""

    msg_type: str = string(1)
    data: bytes = octets(2)


@message("cosmos.base.abci.v1beta1.TxMsgData")
class TxMsgData(Message):
    """Answers to the messages of a transaction: `data` of its result."""

    data: tuple[MsgData, ...] = repeated(1, MsgData)
    msg_responses: tuple[Any, ...] = repeated(2, Any)


@message("cosmos.base.abci.v1beta1.GasInfo")
class GasInfo(Message):
    """Gas that a transaction allows and takes."""

    gas_wanted: int = uint64(1)
    gas_used: int = uint64(2)


@message("cosmos.base.abci.v1beta1.Result")
class Result(Message):
    """Outcome of a transaction that was simulated."""

    data: bytes = octets(1)
    log: str = string(2)
    events: tuple[Event, ...] = repeated(3, Event)
    msg_responses: tuple[Any, ...] = repeated(4, Any)


@message("cosmos.tx.v1beta1.SimulateRequest")
class SimulateRequest(Message):
    """Ask what a transaction would do; its signatures are not checked."""

    tx_bytes: bytes = octets(2)


@message("cosmos.tx.v1beta1.SimulateResponse")
class SimulateResponse(Message):
    """The answer."""

    gas_info: GasInfo | None = optional(1, GasInfo)
    result: Result | None = optional(2, Result)


@message("cosmos.auth.v1beta1.QueryAccountRequest")
class QueryAccountRequest(Message):
    """Ask for an account."""

    address: str = string(1)


@message("cosmos.auth.v1beta1.QueryAccountResponse")
class QueryAccountResponse(Message):
    """The answer."""

    account: Any | None = optional(1, Any)


@message("cosmos.auth.v1beta1.QueryAccountsRequest")
class QueryAccountsRequest(Message):
    """Ask for all accounts."""

    pagination: PageRequest | None = optional(1, PageRequest)


@message("cosmos.auth.v1beta1.QueryAccountsResponse")
class QueryAccountsResponse(Message):
    """The answer."""

    accounts: tuple[Any, ...] = repeated(1, Any)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("cosmos.bank.v1beta1.QueryBalanceRequest")
class QueryBalanceRequest(Message):
    """Ask for the balance of one denomination."""

    address: str = string(1)
    denom: str = string(2)


@message("cosmos.bank.v1beta1.QueryBalanceResponse")
class QueryBalanceResponse(Message):
    """The answer."""

    balance: Coin | None = optional(1, Coin)


@message("cosmos.bank.v1beta1.QueryAllBalancesRequest")
class QueryAllBalancesRequest(Message):
    """Ask for all balances of an account."""

    address: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)
    resolve_denom: bool = boolean(3)


@message("cosmos.bank.v1beta1.QueryAllBalancesResponse")
class QueryAllBalancesResponse(Message):
    """The answer."""

    balances: tuple[Coin, ...] = repeated(1, Coin)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("cosmos.bank.v1beta1.QuerySpendableBalancesRequest")
class QuerySpendableBalancesRequest(Message):
    """Ask for what an account can spend."""

    address: str = string(1)
    pagination: PageRequest | None = optional(2, PageRequest)


@message("cosmos.bank.v1beta1.QuerySpendableBalancesResponse")
class QuerySpendableBalancesResponse(Message):
    """The answer."""

    balances: tuple[Coin, ...] = repeated(1, Coin)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("cosmos.bank.v1beta1.QueryTotalSupplyRequest")
class QueryTotalSupplyRequest(Message):
    """Ask for the supply of all denominations."""

    pagination: PageRequest | None = optional(1, PageRequest)


@message("cosmos.bank.v1beta1.QueryTotalSupplyResponse")
class QueryTotalSupplyResponse(Message):
    """The answer."""

    supply: tuple[Coin, ...] = repeated(1, Coin)
    pagination: PageResponse | None = optional(2, PageResponse)


@message("cosmos.bank.v1beta1.QuerySupplyOfRequest")
class QuerySupplyOfRequest(Message):
    """Ask for the supply of one denomination."""

    denom: str = string(1)


@message("cosmos.bank.v1beta1.QuerySupplyOfResponse")
class QuerySupplyOfResponse(Message):
    """The answer."""

    amount: Coin = nested(1, Coin)


@message("cosmos.staking.v1beta1.Params")
class StakingParams(Message):
    """What relayers read of staking: how long stake stays bonded."""

    unbonding_time: Duration = nested(1, Duration)
    max_validators: int = uint32(2)
    max_entries: int = uint32(3)
    historical_entries: int = uint32(4)
    bond_denom: str = string(5)
    min_commission_rate: str = string(6)


@message("cosmos.staking.v1beta1.QueryParamsRequest")
class QueryStakingParamsRequest(Message):
    """Ask for the parameters of staking."""


@message("cosmos.staking.v1beta1.QueryParamsResponse")
class QueryStakingParamsResponse(Message):
    """The answer."""

    params: StakingParams = nested(1, StakingParams)
