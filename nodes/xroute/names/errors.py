"""Refusals of the module `xname`."""

from __future__ import annotations

from nodes.ibc.core.errors import ErrorKind

_SPACE = "xname"

INVALID_RECORD = ErrorKind(_SPACE, 2, "invalid record")
INVALID_SIGNATURE = ErrorKind(_SPACE, 3, "invalid signature")
INVALID_COMMITMENT = ErrorKind(_SPACE, 4, "invalid commitment")
COMMITMENT_NOT_FOUND = ErrorKind(_SPACE, 5, "commitment not found")
REVEAL_TOO_EARLY = ErrorKind(_SPACE, 6, "reveal too early")
NAME_TAKEN = ErrorKind(_SPACE, 7, "name taken")
NAME_NOT_FOUND = ErrorKind(_SPACE, 8, "name not found")
PARENT_REFUSES = ErrorKind(_SPACE, 9, "the name above does not allow it")
WRONG_SEQ = ErrorKind(_SPACE, 10, "wrong seq")
INVALID_TERM = ErrorKind(_SPACE, 11, "invalid end of the term")
NAME_REVOKED = ErrorKind(_SPACE, 12, "name revoked")
NOT_CREATOR = ErrorKind(_SPACE, 13, "not the creator of the client")
INVALID_BINDING = ErrorKind(_SPACE, 14, "the client does not track this chain")
