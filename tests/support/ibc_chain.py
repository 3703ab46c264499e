"""A chain without sockets and clocks, accounts with names, and their signed transactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.genesis import Settings, chain_of, funded
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.proto.cosmos import (
    AuthInfo,
    Fee,
    ModeInfo,
    ModeInfoSingle,
    MsgSend,
    Secp256k1PubKey,
    SignDoc,
    SignerInfo,
    SignMode,
    TxBody,
    TxRaw,
)
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message

GENESIS_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
NAMES = ("alice", "bob", "carol")
FUNDS = 1_000_000


def address(name: str) -> str:
    return encode("cosmos", AccountKey.named(name).address)


def settings(**changes: object) -> Settings:
    return Settings("skyloom-1", balances=funded(NAMES, "cosmos", {"stake": FUNDS}), **changes)  # type: ignore[arg-type]


def send(sender: str, receiver: str, **coins: int) -> MsgSend:
    amounts = tuple(Coin(denom, str(amount)) for denom, amount in sorted(coins.items()))
    return MsgSend(address(sender), address(receiver), amounts)


def signed(
    name: str, messages: Iterable[Message], sequence: int, number: int, *, fee: int = 0, gas: int = 200_000,
    chain_id: str = "skyloom-1", memo: str = "", timeout_height: int = 0, mode: SignMode = SignMode.DIRECT,
) -> bytes:  # fmt: skip
    """A transaction of one signer."""
    key = AccountKey.named(name)
    body = TxBody(tuple(map(Any.of, messages)), memo, timeout_height).encode()
    info = SignerInfo(Any.of(Secp256k1PubKey(key.public)), ModeInfo(ModeInfoSingle(mode)), sequence)
    fees = (Coin("stake", str(fee)),) if fee else ()
    auth = AuthInfo((info,), Fee(fees, gas)).encode()
    return TxRaw(body, auth, (key.sign(SignDoc(body, auth, chain_id, number).encode()),)).encode()


@dataclass
class Ticking:
    """A chain that makes a block a second, and its accounts' sequences."""

    chain: Chain = field(default_factory=lambda: chain_of(settings(), GENESIS_NS))
    sequences: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))

    def block(self) -> Entry:
        return self.chain.produce(GENESIS_NS + (self.chain.height + 1) * SECOND_NS)

    def tx(self, name: str, *messages: Message, **given: object) -> bytes:
        """The next transaction of an account."""
        number = NAMES.index(name)
        data = signed(name, messages, self.sequences[name], number, **given)  # type: ignore[arg-type]
        self.sequences[name] += 1
        return data

    def balances(self) -> Mapping[str, int]:
        bank = self.chain.app.bank
        context = self.chain.app.context(self.chain.state.stores, self.chain.moment)
        return {name: bank.balance(context, bank.account(address(name)), "stake") for name in NAMES}

    def held_sequence(self, name: str) -> int:
        context = self.chain.app.context(self.chain.state.stores, self.chain.moment)
        accounts = self.chain.app.bank.accounts
        account = accounts.get(context, accounts.account(address(name)))
        assert account is not None
        return account.sequence
