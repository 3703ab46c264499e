"""What is asked of a transaction before its messages run: size, fee, signatures, sequences.

Invariant: a transaction that passes has paid its fee and advanced the sequence of each signer by 1; one that does not
has changed nothing. Order, prices and words: Cosmos SDK, x/auth/ante.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import ceil, inf

from nodes.ibc.chain.auth import Accounts
from nodes.ibc.chain.bank import Bank, parsed, written
from nodes.ibc.chain.errors import (
    INSUFFICIENT_FEE,
    INVALID_PUBKEY,
    INVALID_REQUEST,
    MEMO_TOO_LARGE,
    TX_TIMEOUT_HEIGHT,
    UNAUTHORIZED,
    UNKNOWN_ADDRESS,
    WRONG_SEQUENCE,
)
from nodes.ibc.chain.gas import GasMeter
from nodes.ibc.chain.keys import account_address, module_address, verified
from nodes.ibc.chain.transactions import Signer, Transaction, public_key_of, sign_bytes
from nodes.ibc.core.events import event
from nodes.ibc.core.state import Context
from nodes.ibc.proto.cosmos import BaseAccount, SignMode

__all__ = ["FEE_COLLECTOR", "Ante", "Fees", "Mode"]

FEE_COLLECTOR = module_address("fee_collector")
MOST_MEMO_CHARACTERS = 256
TX_GAS_PER_BYTE = 10
SIGNATURE_GAS = 1000  # of a secp256k1 signature
UNSIGNED_GAS = 12_000  # what fee (one denomination) and signature will add to a simulated transaction; 10,434 measured


class Mode(Enum):
    """Why a transaction is run."""

    CHECK = "check"  # it wants into the mempool, or into a block without having been in one
    RECHECK = "recheck"  # it waits there, and a block has come: its signatures have been verified
    SIMULATE = "simulate"  # to learn its gas; it is not signed
    DELIVER = "deliver"  # it is in a block
    REPLAY = "replay"  # it is in a block of the chain's own records, which was verified when it was made


@dataclass(frozen=True, slots=True)
class Fees:
    """Least price of gas that lets a transaction into the mempool, in one denomination."""

    denom: str
    price: float = 0.0  # per unit of gas


@dataclass(frozen=True, slots=True)
class Ante:
    """The checks of one chain."""

    chain_id: str
    accounts: Accounts
    bank: Bank
    fees: Fees
    block_gas: int  # -1: no limit

    def meter(self, transaction: Transaction, mode: Mode) -> GasMeter:
        return GasMeter(inf if mode is Mode.SIMULATE else transaction.gas_wanted)

    def run(
        self, context: Context, transaction: Transaction, accounts: tuple[bytes, ...], meter: GasMeter, mode: Mode
    ) -> None:
        """Check it and take its fee. `accounts` must all have signed, in this order; the first one pays."""
        self._require_limits(context, transaction)
        meter.spend(TX_GAS_PER_BYTE * transaction.size + (UNSIGNED_GAS if mode is Mode.SIMULATE else 0))
        self._take_fee(context, transaction, accounts, mode)
        if len(accounts) != len(transaction.signers):
            raise UNAUTHORIZED.error(f"{len(transaction.signers)} signatures; expected {len(accounts)}")
        for account, signer in zip(accounts, transaction.signers, strict=True):
            self._advance(context, transaction, account, signer, meter, mode)

    def _require_limits(self, context: Context, transaction: Transaction) -> None:
        body, height = transaction.body, context.height.revision_height
        if body.timeout_height and height > body.timeout_height:
            raise TX_TIMEOUT_HEIGHT.error(f"block height: {height}, timeout height: {body.timeout_height}")
        if len(body.memo) > MOST_MEMO_CHARACTERS:
            raise MEMO_TOO_LARGE.error(f"maximum number of characters is {MOST_MEMO_CHARACTERS}, got {len(body.memo)}")
        if 0 <= self.block_gas < transaction.gas_wanted:
            raise INVALID_REQUEST.error(f"tx gas limit {transaction.gas_wanted} exceeds block max gas {self.block_gas}")

    def _take_fee(self, context: Context, transaction: Transaction, accounts: tuple[bytes, ...], mode: Mode) -> None:
        fee = transaction.auth.fee
        coins = parsed(coin for coin in fee.amount if coin.amount != "0") if fee else {}  # wallets write "0stake"
        payer = accounts[0]
        if fee and (fee.granter or fee.payer not in ("", self.accounts.address(payer))):
            raise INVALID_REQUEST.error("a fee that another account than the first signer pays")
        if mode is Mode.CHECK:
            least = ceil(self.fees.price * transaction.gas_wanted)
            if coins.get(self.fees.denom, 0) < least:
                got = written(coins)
                raise INSUFFICIENT_FEE.error(f"insufficient fees; got: {got} required: {least}{self.fees.denom}")
        if self.accounts.get(context, payer) is None:
            raise UNKNOWN_ADDRESS.error(f"fee payer address: {self.accounts.address(payer)} does not exist")
        if coins:
            self.bank.send_coins(context, payer, FEE_COLLECTOR, coins)
        context.emit(event("tx", fee=written(coins), fee_payer=self.accounts.address(payer)))

    def _advance(
        self, context: Context, transaction: Transaction, account: bytes, signer: Signer, meter: GasMeter, mode: Mode
    ) -> None:
        """Verify one signature, and give its account the next sequence."""
        address = self.accounts.address(account)
        held = self.accounts.get(context, account)
        if held is None:
            raise UNKNOWN_ADDRESS.error(f"account {address} does not exist")
        public_key = self._public_key(account, held, signer)
        meter.spend(SIGNATURE_GAS)
        if signer.sequence != held.sequence:
            raise WRONG_SEQUENCE.error(f"account sequence mismatch, expected {held.sequence}, got {signer.sequence}")
        if mode in (Mode.CHECK, Mode.DELIVER):
            if signer.mode != SignMode.DIRECT:
                raise UNAUTHORIZED.error(f"sign mode {int(signer.mode)}; expected {int(SignMode.DIRECT)} (direct)")
            if not verified(public_key, signer.signature, sign_bytes(transaction, self.chain_id, held.account_number)):
                raise UNAUTHORIZED.error(
                    f"signature verification failed; please verify account number ({held.account_number}), "
                    f"sequence ({held.sequence}) and chain-id ({self.chain_id})"
                )
        self.accounts.advance(context, account, held, public_key)
        context.emit(event("tx", acc_seq=f"{address}/{held.sequence}"))

    def _public_key(self, account: bytes, held: BaseAccount, signer: Signer) -> bytes:
        public_key = signer.public_key or (public_key_of(held.pub_key) if held.pub_key else b"")
        if not public_key:
            raise INVALID_PUBKEY.error("PubKey not found")
        if account_address(public_key) != account:
            raise INVALID_PUBKEY.error(f"pubKey does not match signer address {self.accounts.address(account)}")
        return public_key
