"""Transactions of the Cosmos SDK: what is in the bytes, who must sign, and what they sign.

Invariant: a transaction that `read` has returned is whole (at least one message, one signer info and one signature for
each signer), but nothing has been verified of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nodes.ibc.chain.errors import (
    INVALID_PUBKEY,
    INVALID_REQUEST,
    NO_SIGNATURES,
    TX_PARSE_ERROR,
    UNAUTHORIZED,
    UNKNOWN_REQUEST,
)
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.proto.cosmos import (
    AuthInfo,
    Fee,
    ModeInfo,
    ModeInfoSingle,
    Secp256k1PubKey,
    SignDoc,
    SignerInfo,
    SignMode,
    TxBody,
    TxRaw,
)
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message

__all__ = ["Signer", "Transaction", "public_key_of", "read", "sign_bytes", "signed_transaction", "tx_hash"]

MOST_MESSAGES = 1000
MOST_GAS = (1 << 63) - 1  # results have signed numbers
MOST_SIGNERS = 7  # TxSigLimit of the SDK


@dataclass(frozen=True, slots=True)
class Signer:
    """One signature of a transaction; `public_key` is empty where the account has shown it before."""

    public_key: bytes
    sequence: int
    mode: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that was read."""

    raw: TxRaw
    size: int
    body: TxBody
    auth: AuthInfo
    messages: tuple[Message, ...]
    signers: tuple[Signer, ...]

    @property
    def gas_wanted(self) -> int:
        return self.auth.fee.gas_limit if self.auth.fee else 0


def tx_hash(data: bytes) -> bytes:
    """The name of a transaction: SHA-256 of its bytes."""
    return hashlib.sha256(data).digest()


def read(data: bytes) -> Transaction:
    """The transaction in these bytes. AbciError where they are none, or one that no chain could take."""
    try:
        raw = TxRaw.decode(data)
        body, auth = TxBody.decode(raw.body_bytes), AuthInfo.decode(raw.auth_info_bytes)
    except WireError as error:
        raise TX_PARSE_ERROR.error(str(error)) from None
    if not 0 < len(body.messages) <= MOST_MESSAGES:
        raise INVALID_REQUEST.error(f"{len(body.messages)} messages, expected 1 to {MOST_MESSAGES}")
    if body.extension_options or body.unordered:
        raise UNKNOWN_REQUEST.error("extension options, or a transaction without a sequence")
    if auth.fee and auth.fee.gas_limit > MOST_GAS:
        raise INVALID_REQUEST.error(f"gas limit {auth.fee.gas_limit}, expected at most {MOST_GAS}")
    if not raw.signatures:
        raise NO_SIGNATURES.error()
    if len(raw.signatures) != len(auth.signer_infos) or len(raw.signatures) > MOST_SIGNERS:
        counts = f"{len(raw.signatures)} signatures for {len(auth.signer_infos)} signers, at most {MOST_SIGNERS}"
        raise UNAUTHORIZED.error(counts)
    signers = tuple(map(_signer, auth.signer_infos, raw.signatures))
    return Transaction(raw, len(data), body, auth, tuple(map(_opened, body.messages)), signers)


def sign_bytes(transaction: Transaction, chain_id: str, account_number: int) -> bytes:
    """What a signer signs in SIGN_MODE_DIRECT."""
    raw = transaction.raw
    return SignDoc(raw.body_bytes, raw.auth_info_bytes, chain_id, account_number).encode()


def signed_transaction(
    key: AccountKey, messages: Iterable[Message], chain_id: str, account_number: int, sequence: int, fee: Fee
) -> bytes:
    """A transaction of one account, as its bytes."""
    body = TxBody(tuple(map(Any.of, messages))).encode()
    info = SignerInfo(Any.of(Secp256k1PubKey(key.public)), ModeInfo(ModeInfoSingle(SignMode.DIRECT)), sequence)
    auth = AuthInfo((info,), fee).encode()
    document = SignDoc(body, auth, chain_id, account_number).encode()
    return TxRaw(body, auth, (key.sign(document),)).encode()


def public_key_of(key: Any) -> bytes:
    """The bytes of a secp256k1 key. AbciError where it is of another kind."""
    try:
        return key.opened_as(Secp256k1PubKey).key
    except WireError as error:
        raise INVALID_PUBKEY.error(str(error)) from None


def _signer(info: SignerInfo, signature: bytes) -> Signer:
    mode = info.mode_info.single.mode if info.mode_info and info.mode_info.single else SignMode.UNSPECIFIED
    return Signer(public_key_of(info.public_key) if info.public_key else b"", info.sequence, mode, signature)


def _opened(content: Any) -> Message:
    try:
        return content.open(strict=False)
    except WireError as error:
        raise TX_PARSE_ERROR.error(f"{content.type_url}: {error}") from None
