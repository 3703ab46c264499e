"""Refusals of the chain itself: codespace, code and words as the Cosmos SDK has them (types/errors/errors.go).

Invariant: code 0 is success and nothing else. Relayers and wallets read these codes and words.
"""

from __future__ import annotations

from nodes.ibc.core.errors import AbciError, ErrorKind

TX_PARSE_ERROR = ErrorKind("sdk", 2, "tx parse error")
UNAUTHORIZED = ErrorKind("sdk", 4, "unauthorized")
INSUFFICIENT_FUNDS = ErrorKind("sdk", 5, "insufficient funds")
UNKNOWN_REQUEST = ErrorKind("sdk", 6, "unknown request")
INVALID_ADDRESS = ErrorKind("sdk", 7, "invalid address")
INVALID_PUBKEY = ErrorKind("sdk", 8, "invalid pubkey")
UNKNOWN_ADDRESS = ErrorKind("sdk", 9, "unknown address")
INVALID_COINS = ErrorKind("sdk", 10, "invalid coins")
OUT_OF_GAS = ErrorKind("sdk", 11, "out of gas")
MEMO_TOO_LARGE = ErrorKind("sdk", 12, "memo too large")
INSUFFICIENT_FEE = ErrorKind("sdk", 13, "insufficient fee")
NO_SIGNATURES = ErrorKind("sdk", 15, "no signatures supplied")
INVALID_REQUEST = ErrorKind("sdk", 18, "invalid request")
IN_MEMPOOL_CACHE = ErrorKind("sdk", 19, "tx already in mempool")
MEMPOOL_IS_FULL = ErrorKind("sdk", 20, "mempool is full")
TX_TOO_LARGE = ErrorKind("sdk", 21, "tx too large")
KEY_NOT_FOUND = ErrorKind("sdk", 22, "key not found")
INVALID_HEIGHT = ErrorKind("sdk", 26, "invalid height")
TX_TIMEOUT_HEIGHT = ErrorKind("sdk", 30, "tx timeout height")
WRONG_SEQUENCE = ErrorKind("sdk", 32, "incorrect account sequence")
PANIC = ErrorKind("undefined", 111222, "panic")  # a fault of this program (errors.ErrPanic)


def not_found(what: str) -> AbciError:
    """The error of a query for what is not there, in the words of gRPC that clients look for."""
    return KEY_NOT_FOUND.error(f"rpc error: code = NotFound desc = {what} not found")
