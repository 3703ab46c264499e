"""What a chain is called where chain ids are not enough: anybody may start a second chain of the same id.

Invariant: a chain has one identity, as its anchor is its first header; were any header one, a chain could pass for
several, on routes that must not share a chain, or where it is to be avoided. The inputs of the hash have one reading
only, as all but the chain id have fixed lengths.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NewType

from emulator.model.errors import Unfit

__all__ = [
    "ANCHOR_HEIGHT",
    "IDENTITY_BYTES",
    "SOURCE_CLIENT",
    "ChainIdentity",
    "application_client",
    "checked",
    "destination_client",
    "identity",
]

ChainIdentity = NewType("ChainIdentity", bytes)

IDENTITY_BYTES = 32
ANCHOR_HEIGHT = 1
SOURCE_CLIENT = "xroute-0"  # the source client of every message: it stands for no light client
_TAG = b"xroute-chain-1"
_HASH_BYTES = 32


def identity(chain_id: str, anchor_height: int, anchor_hash: bytes) -> ChainIdentity:
    """The identity of the chain of that id that begins with the anchor, a header by its height and hash."""
    if anchor_height != ANCHOR_HEIGHT:
        raise Unfit(f"anchor height {anchor_height}", f"{ANCHOR_HEIGHT}, the first")
    if len(anchor_hash) != _HASH_BYTES:
        raise Unfit(f"anchor hash of {len(anchor_hash)} bytes", f"{_HASH_BYTES}")
    return ChainIdentity(sha256(_TAG + chain_id.encode() + anchor_height.to_bytes(8) + anchor_hash).digest())


def checked(raw: bytes) -> ChainIdentity:
    """Bytes as an identity. Unfit where their number is wrong."""
    if len(raw) != IDENTITY_BYTES:
        raise Unfit(f"chain identity of {len(raw)} bytes", f"{IDENTITY_BYTES}")
    return ChainIdentity(raw)


def destination_client(of: ChainIdentity) -> str:
    """The destination client of a message to a chain: a name that fits where names of clients stand."""
    return f"xr-{of.hex()[:40]}"


def application_client(of: ChainIdentity) -> str:
    """What applications know a chain by, in place of a client: it ends as generated names of clients do.

    ICS-20 looks for such names where it reads the way that a coin has come.
    """
    return f"{destination_client(of)}-0"
