"""Errors of IBC as a transaction reports them: a codespace, a code, and words.

Codespaces, codes and phrases are those of ibc-go 10 (`modules/**/types/errors.go`), so that a client that was written
for ibc-go reads ours. Nothing else is raised on purpose by this package.
"""

from __future__ import annotations

from dataclasses import dataclass


class AbciError(Exception):
    """A message that a chain refuses. Its transaction fails with `codespace` and `code`, and changes nothing."""

    def __init__(self, codespace: str, code: int, message: str) -> None:
        super().__init__(codespace, code, message)
        self.codespace = codespace
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message

    def wrap(self, context: str) -> AbciError:
        """The same error with words before its own."""
        return AbciError(self.codespace, self.code, f"{context}: {self.message}")


@dataclass(frozen=True)
class ErrorKind:
    """One registered error of a module."""

    codespace: str
    code: int
    phrase: str

    def error(self, detail: str = "") -> AbciError:
        return AbciError(self.codespace, self.code, f"{detail}: {self.phrase}" if detail else self.phrase)


INVALID_IDENTIFIER = ErrorKind("host", 2, "invalid identifier")

UNAUTHORIZED = ErrorKind("ibc", 2, "unauthorized")
INSUFFICIENT_FUNDS = ErrorKind("ibc", 3, "insufficient funds")
UNKNOWN_REQUEST = ErrorKind("ibc", 4, "unknown request")
INVALID_ADDRESS = ErrorKind("ibc", 5, "invalid address")
INVALID_COINS = ErrorKind("ibc", 6, "invalid coins")
INVALID_REQUEST = ErrorKind("ibc", 8, "invalid request")
INVALID_TYPE = ErrorKind("ibc", 12, "invalid type")

CLIENT_NOT_FOUND = ErrorKind("client", 4, "light client not found")
CONSENSUS_STATE_NOT_FOUND = ErrorKind("client", 7, "consensus state not found")
INVALID_CLIENT_HEIGHT = ErrorKind("client", 26, "invalid height")
CLIENT_NOT_ACTIVE = ErrorKind("client", 29, "client state is not active")
MEMBERSHIP_FAILED = ErrorKind("client", 30, "membership verification failed")
NON_MEMBERSHIP_FAILED = ErrorKind("client", 31, "non-membership verification failed")
INVALID_CLIENT_COUNTERPARTY = ErrorKind("clientv2", 1, "invalid counterparty")
CLIENT_COUNTERPARTY_NOT_FOUND = ErrorKind("clientv2", 2, "counterparty not found")

CONNECTION_NOT_FOUND = ErrorKind("connection", 3, "connection not found")
INVALID_CONNECTION_STATE = ErrorKind("connection", 6, "invalid connection state")
INVALID_CONNECTION_COUNTERPARTY = ErrorKind("connection", 7, "invalid counterparty connection")
INVALID_CONNECTION_VERSION = ErrorKind("connection", 9, "invalid connection version")
VERSION_NEGOTIATION_FAILED = ErrorKind("connection", 10, "connection version negotiation failed")
INVALID_CONNECTION_IDENTIFIER = ErrorKind("connection", 11, "invalid connection identifier")

CHANNEL_NOT_FOUND = ErrorKind("channel", 3, "channel not found")
INVALID_CHANNEL = ErrorKind("channel", 4, "invalid channel")
INVALID_CHANNEL_STATE = ErrorKind("channel", 5, "invalid channel state")
INVALID_CHANNEL_ORDERING = ErrorKind("channel", 6, "invalid channel ordering")
INVALID_CHANNEL_COUNTERPARTY = ErrorKind("channel", 7, "invalid counterparty channel")
SEQUENCE_SEND_NOT_FOUND = ErrorKind("channel", 10, "sequence send not found")
INVALID_PACKET = ErrorKind("channel", 13, "invalid packet")
TOO_MANY_CONNECTION_HOPS = ErrorKind("channel", 15, "too many connection hops")
INVALID_ACKNOWLEDGEMENT = ErrorKind("channel", 16, "invalid acknowledgement")
ACKNOWLEDGEMENT_EXISTS = ErrorKind("channel", 17, "acknowledgement for packet already exists")
INVALID_CHANNEL_IDENTIFIER = ErrorKind("channel", 18, "invalid channel identifier")
PACKET_RECEIVED = ErrorKind("channel", 19, "packet already received")
PACKET_OUT_OF_ORDER = ErrorKind("channel", 21, "packet sequence is out of order")
REDUNDANT_TRANSACTION = ErrorKind("channel", 22, "packet messages are redundant")
TIMEOUT_NOT_REACHED = ErrorKind("channel", 39, "timeout not reached")
TIMEOUT_ELAPSED = ErrorKind("channel", 40, "timeout elapsed")

INVALID_PACKET_V2 = ErrorKind("channelv2", 4, "invalid packet")
INVALID_PAYLOAD_V2 = ErrorKind("channelv2", 5, "invalid payload")
SEQUENCE_SEND_NOT_FOUND_V2 = ErrorKind("channelv2", 6, "sequence send not found")
INVALID_ACKNOWLEDGEMENT_V2 = ErrorKind("channelv2", 7, "invalid acknowledgement")
TIMEOUT_ELAPSED_V2 = ErrorKind("channelv2", 10, "timeout elapsed")
ACKNOWLEDGEMENT_EXISTS_V2 = ErrorKind("channelv2", 12, "acknowledgement for packet already exists")
TIMEOUT_NOT_REACHED_V2 = ErrorKind("channelv2", 13, "timeout not reached")
INVALID_TIMEOUT_V2 = ErrorKind("channelv2", 15, "invalid packet timeout")

INVALID_PORT = ErrorKind("port", 3, "invalid port")
NO_ROUTE = ErrorKind("port", 4, "route not found")

INVALID_DENOMINATION = ErrorKind("transfer", 3, "invalid denomination for cross-chain transfer")
INVALID_TRANSFER_VERSION = ErrorKind("transfer", 4, "invalid ICS20 version")
INVALID_AMOUNT = ErrorKind("transfer", 5, "invalid token amount")
DENOMINATION_NOT_FOUND = ErrorKind("transfer", 6, "denomination not found")
INVALID_MEMO = ErrorKind("transfer", 11, "invalid memo")
ABI_DECODING = ErrorKind("transfer", 15, "decoding abi failed")
RECEIVE_FAILED = ErrorKind("transfer", 16, "receive packet failed")
