"""Keys of the module `xroute`: what others have proved to them lies in the store of IBC, all else in one of its own.

Invariant: what concerns a message is keyed by its source chain's identity, client and sequence, and never by a route:
a second route finds the traces of the first one.
"""

from __future__ import annotations

from nodes.ibc.proto.ibc import Height
from nodes.xroute.identity import ChainIdentity

STORE = "xroute"  # the module's own

# In the store of IBC.

TRANSIT = b"xroute/transit"  # the chain's transit policy


def _message(kind: str, source: ChainIdentity, client: str, sequence: int) -> bytes:
    return f"xroute/{kind}/{source.hex()}/{client}/{sequence}".encode()


def receipt(source: ChainIdentity, client: str, sequence: int) -> bytes:
    """The id of the message that was delivered here, or passed through. Its absence proves a timeout."""
    return _message("recv", source, client, sequence)


def acknowledgement(source: ChainIdentity, client: str, sequence: int) -> bytes:
    """The commitment to a message's answer."""
    return _message("ack", source, client, sequence)


def forwarded(source: ChainIdentity, client: str, sequence: int) -> bytes:
    """The commitment of a transit, in mode HOP."""
    return _message("forward", source, client, sequence)


def updater(client: str, height: Height) -> bytes:
    """The account that first brought a height to a client here. A client's keys are in the order of heights."""
    return updaters(client) + height.revision_number.to_bytes(8) + height.revision_height.to_bytes(8)


def updaters(client: str) -> bytes:
    """How the keys of a client's updaters begin."""
    return f"xroute/updater/{client}/".encode()


def updated_height(key: bytes) -> Height:
    """The height that an updater's key is about."""
    return Height(int.from_bytes(key[-16:-8]), int.from_bytes(key[-8:]))


# In the module's own store.

SELF = b"self"  # the chain's own identity


def misbehaviour(tracked: ChainIdentity, client: str = "") -> bytes:
    """That a client here is frozen which tracks the chain; without one, how the keys of all of them begin."""
    return f"misbehaviour/{tracked.hex()}/{client}".encode()


def power(validators_hash: bytes) -> bytes:
    """What follows from a validator set, which was once supplied."""
    return b"attr/" + validators_hash.hex().encode()


def policy(policy_id: bytes) -> bytes:
    """A policy that was once supplied."""
    return b"policy/" + policy_id.hex().encode()
