"""Accounts: number, sequence and public key of each address. An account is named by the bytes of its address.

Invariant: account numbers are given once, in ascending order, and a sequence only ever grows by 1. Keys and values lie
in the store "acc" as in the SDK's auth module: 01 and the address for an account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.ibc.chain import bech32
from nodes.ibc.chain.errors import INVALID_ADDRESS
from nodes.ibc.core.state import Context, next_number
from nodes.ibc.proto.cosmos import BaseAccount, Secp256k1PubKey
from nodes.ibc.proto.well_known import Any

__all__ = ["Accounts", "account_key"]

_NEXT_NUMBER = b"globalAccountNumber"
_MOST_ADDRESS_BYTES = 255


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of a chain whose addresses have a bech32 prefix."""

    prefix: str

    def account(self, address: str) -> bytes:
        """The account of an address: its bytes. AbciError where it is none of this chain."""
        try:
            account = bech32.decode(address, self.prefix)
        except ValueError as error:
            raise INVALID_ADDRESS.error(str(error)) from None
        if not 0 < len(account) <= _MOST_ADDRESS_BYTES:
            raise INVALID_ADDRESS.error(f"an address of {len(account)} bytes")
        return account

    def address(self, account: bytes) -> str:
        return bech32.encode(self.prefix, account)

    def get(self, context: Context, account: bytes) -> BaseAccount | None:
        found = context.stores["acc"].get(account_key(account))
        return None if found is None else Any.recall(found).opened_as(BaseAccount)

    def ensure(self, context: Context, account: bytes) -> None:
        """Give it a number where it has none."""
        if context.stores["acc"].get(account_key(account)) is None:
            number = next_number(context.stores["acc"], _NEXT_NUMBER)
            self._put(context, account, BaseAccount(address=self.address(account), account_number=number))

    def advance(self, context: Context, account: bytes, held: BaseAccount, public_key: bytes) -> None:
        """A transaction of this account with this key has been taken: the next one has the next sequence."""
        key = Any.of(Secp256k1PubKey(public_key))
        self._put(context, account, replace(held, pub_key=key, sequence=held.sequence + 1))

    def _put(self, context: Context, account: bytes, held: BaseAccount) -> None:
        context.stores["acc"].set(account_key(account), Any.of(held).encode())


def account_key(account: bytes) -> bytes:
    """Where an account lies in the store "acc"."""
    return b"\x01" + account
