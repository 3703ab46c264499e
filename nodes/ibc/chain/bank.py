"""Balances and supply.

Invariant: of every denomination the balances add up to the supply, and the supply changes by `mint` and `burn` alone.
Keys and values lie in the store "bank" as in the SDK's bank module, so that what wallets prove of it verifies: 00 and
the denomination for supply; 02, length, address and denomination for a balance; amounts are decimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodes.ibc.chain.auth import Accounts
from nodes.ibc.chain.errors import INSUFFICIENT_FUNDS, INVALID_COINS
from nodes.ibc.core.events import event
from nodes.ibc.core.state import Context
from nodes.ibc.proto.cosmos_base import Coin

__all__ = ["Bank", "balance_key", "parsed", "supply_key", "written"]

DENOMINATION = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")
MOST_AMOUNT = 1 << 256  # the SDK's integers have 256 bits
_MOST_DIGITS = 78
_SUPPLY, _BALANCE = b"\x00", b"\x02"


@dataclass(frozen=True, slots=True)
class Bank:
    """The bank, as `nodes.ibc.core` wants it, too. Whoever receives gets an account."""

    accounts: Accounts
    modules: frozenset[bytes] = frozenset()  # accounts that no key owns, and that take nothing from users

    def account(self, address: str) -> bytes:
        return self.accounts.account(address)

    def address(self, account: bytes) -> str:
        return self.accounts.address(account)

    def may_receive(self, context: Context, account: bytes) -> bool:
        return account not in self.modules

    def balance(self, context: Context, account: bytes, denom: str) -> int:
        return int(context.stores["bank"].get(balance_key(account, denom)) or 0)

    def balances(self, context: Context, account: bytes) -> dict[str, int]:
        """What an account has, by denomination in ascending order."""
        prefix = balance_key(account, "")
        return {key[len(prefix) :].decode(): int(has) for key, has in context.stores["bank"].iterate(prefix)}

    def supply(self, context: Context, denom: str) -> int:
        return int(context.stores["bank"].get(supply_key(denom)) or 0)

    def supplies(self, context: Context) -> dict[str, int]:
        return {key[1:].decode(): int(value) for key, value in context.stores["bank"].iterate(_SUPPLY)}

    def send(self, context: Context, sender: bytes, receiver: bytes, denom: str, amount: int) -> None:
        self.send_coins(context, sender, receiver, {denom: amount})

    def send_coins(self, context: Context, sender: bytes, receiver: bytes, coins: Mapping[str, int]) -> None:
        """Move coins. AbciError where the sender has too few; nothing is moved then."""
        for denom, amount in coins.items():
            self._require(context, sender, denom, amount)
        for denom, amount in coins.items():
            self._add(context, sender, denom, -amount)
            self._add(context, receiver, denom, amount)
        self.accounts.ensure(context, receiver)
        text, to, of = written(coins), self.address(receiver), self.address(sender)
        context.emit(
            event("coin_spent", spender=of, amount=text),
            event("coin_received", receiver=to, amount=text),
            event("transfer", recipient=to, sender=of, amount=text),
            event("message", sender=of),
        )

    def mint(self, context: Context, receiver: bytes, denom: str, amount: int) -> None:
        """Make coins. AbciError where the supply would pass 256 bits."""
        supply = self.supply(context, denom) + amount
        if supply >= MOST_AMOUNT:
            raise INVALID_COINS.error(f"supply of {denom} above 256 bits")
        self._put(context, supply_key(denom), supply)
        self._add(context, receiver, denom, amount)
        self.accounts.ensure(context, receiver)
        to, text = self.address(receiver), f"{amount}{denom}"
        context.emit(event("coinbase", minter=to, amount=text), event("coin_received", receiver=to, amount=text))

    def burn(self, context: Context, holder: bytes, denom: str, amount: int) -> None:
        """Destroy coins. AbciError where the holder has too few."""
        self._require(context, holder, denom, amount)
        self._add(context, holder, denom, -amount)
        self._put(context, supply_key(denom), self.supply(context, denom) - amount)
        of, text = self.address(holder), f"{amount}{denom}"
        context.emit(event("coin_spent", spender=of, amount=text), event("burn", burner=of, amount=text))

    def _require(self, context: Context, account: bytes, denom: str, amount: int) -> None:
        if (has := self.balance(context, account, denom)) < amount:
            raise INSUFFICIENT_FUNDS.error(f"spendable balance {has}{denom} is smaller than {amount}{denom}")

    def _add(self, context: Context, account: bytes, denom: str, amount: int) -> None:
        self._put(context, balance_key(account, denom), self.balance(context, account, denom) + amount)

    def _put(self, context: Context, key: bytes, number: int) -> None:
        if number:
            context.stores["bank"].set(key, b"%d" % number)
        else:
            context.stores["bank"].delete(key)


def balance_key(account: bytes, denom: str) -> bytes:
    """Where the balance of an address lies in the store "bank"."""
    return _BALANCE + bytes((len(account),)) + account + denom.encode()


def supply_key(denom: str) -> bytes:
    """Where the supply of a denomination lies in the store "bank"."""
    return _SUPPLY + denom.encode()


def parsed(coins: Iterable[Coin]) -> dict[str, int]:
    """Coins of a message, by denomination. AbciError unless they are sorted, each once, and above 0."""
    amounts: dict[str, int] = {}
    last = ""
    for coin in coins:
        if not DENOMINATION.fullmatch(coin.denom):
            raise INVALID_COINS.error(f"invalid denom: {coin.denom[:128]}")
        digits = coin.amount
        if not (
            digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and 0 < int(digits) < MOST_AMOUNT
        ):
            raise INVALID_COINS.error(f"amount {digits[:80]!r} of {coin.denom}")
        if coin.denom <= last:
            raise INVALID_COINS.error(f"coins are not sorted, or {coin.denom} is there twice")
        amounts[coin.denom] = int(digits)
        last = coin.denom
    return amounts


def written(coins: Mapping[str, int]) -> str:
    """Coins as the SDK writes them: "5uatom,7uosmo"."""
    return ",".join(f"{number}{denom}" for denom, number in coins.items())
