"""ICS-24 identifiers: what a valid name is, names that a chain generates, and the revision in a chain's name.

Source: ICS-24, ibc-go `modules/core/24-host/validate.go` and `02-client/types/{keys,height}.go`.
"""

from __future__ import annotations

import re

from nodes.ibc.core.errors import INVALID_IDENTIFIER

CLIENT_LENGTH = (4, 64)
CONNECTION_LENGTH = (10, 64)
CHANNEL_LENGTH = (8, 64)
PORT_LENGTH = (2, 128)

_CHARACTERS = re.compile(r"[a-zA-Z0-9._+\-#\[\]<>]+")
_REVISION_FORMAT = re.compile(r".*[^\n-]-([1-9][0-9]*)")
_GENERATED_CHANNEL = re.compile(r"channel-[0-9]{1,20}")
_GENERATED_CLIENT = re.compile(r"\w+([\w-]+\w)?-[0-9]{1,20}", re.ASCII)
_LARGEST_UINT64 = 2**64 - 1


def _check(what: str, name: str, length: tuple[int, int]) -> str:
    shortest, longest = length
    if not shortest <= len(name) <= longest:
        raise INVALID_IDENTIFIER.error(
            f"{what} {name!r} has length {len(name)}; expected {shortest} to {longest} characters"
        )
    if not _CHARACTERS.fullmatch(name):
        raise INVALID_IDENTIFIER.error(f"{what} {name!r}; expected letters, digits and . _ + - # [ ] < > only")
    return name


def check_client(name: str) -> str:
    """The name itself. Raises INVALID_IDENTIFIER, as do the three below."""
    return _check("client", name, CLIENT_LENGTH)


def check_connection(name: str) -> str:
    return _check("connection", name, CONNECTION_LENGTH)


def check_channel(name: str) -> str:
    return _check("channel", name, CHANNEL_LENGTH)


def check_port(name: str) -> str:
    return _check("port", name, PORT_LENGTH)


def _counter_fits(name: str) -> bool:
    return int(name.rpartition("-")[2]) <= _LARGEST_UINT64


def is_generated_channel(name: str) -> bool:
    """Whether a chain's counter of channels can have made the name: `channel-N`."""
    return bool(_GENERATED_CHANNEL.fullmatch(name)) and _counter_fits(name)


def is_generated_client(name: str) -> bool:
    """Whether a chain's counter of clients can have made the name: `TYPE-N`, such as `07-tendermint-0`."""
    return bool(_GENERATED_CLIENT.fullmatch(name)) and _counter_fits(name)


def revision(chain_id: str) -> int:
    """The revision number of a chain: N of a name `NAME-N` without leading zero, else 0."""
    match = _REVISION_FORMAT.fullmatch(chain_id)
    return int(match[1]) if match else 0
