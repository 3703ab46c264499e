"""Refusals of the module `xroute`. Those of route proofs have the code 100 and the number of the check."""

from __future__ import annotations

from nodes.ibc.core.errors import AbciError, ErrorKind
from nodes.xroute.proofs.rejection import Check, RouteRejected

SPACE = "xroute"

INVALID_MESSAGE = ErrorKind(SPACE, 2, "invalid message")
INVALID_POLICY = ErrorKind(SPACE, 3, "invalid policy")
UNKNOWN_PORT = ErrorKind(SPACE, 4, "no application")
NOT_SENT = ErrorKind(SPACE, 5, "not a message of this chain")
WRONG_ANSWER = ErrorKind(SPACE, 6, "answer of another form")
TIMEOUT_NOT_REACHED = ErrorKind(SPACE, 7, "timeout not reached")
NOT_ENOUGH_VOTES = ErrorKind(SPACE, 8, "not enough votes")
NOT_ANNOUNCED = ErrorKind(SPACE, 9, "no such announcement")
TOO_EARLY = ErrorKind(SPACE, 10, "too early")
NO_CONTRADICTION = ErrorKind(SPACE, 11, "no contradiction")
NO_STAKE = ErrorKind(SPACE, 12, "no stake")
INVALID_STAKE = ErrorKind(SPACE, 13, "invalid stake")
INVALID_EVIDENCE = ErrorKind(SPACE, 14, "invalid evidence")
UNAUTHORIZED = ErrorKind(SPACE, 15, "unauthorized")
INVALID_MODEL = ErrorKind(SPACE, 16, "invalid model object")

_OF_CHECK = {check: ErrorKind(SPACE, 100 + check, f"route rejected by {check.name.lower()}") for check in Check}
NAME_REJECTED = _OF_CHECK[Check.NAME]


def rejection(error: RouteRejected) -> AbciError:
    """A refused route as a transaction reports it; the words begin with the check and the hop or clause."""
    return _OF_CHECK[error.check].error(str(error))
