"""The first header of a chain, as the chain itself tells it: what its identity is made of.

Invariant: who asks trusts the node that answers, as one does that puts an anchor into a genesis or a configuration.
"""

from __future__ import annotations

from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto.comet import Header
from nodes.ibc.relayer.calls import SignedHeaderAt, header_of
from nodes.ibc.relayer.rpc import Connection, chain_id_of
from nodes.xroute.identity import ANCHOR_HEIGHT, ChainIdentity, identity

__all__ = ["anchor_of", "identity_at"]


async def anchor_of(connection: Connection) -> Header:
    """The header, once the chain can be reached."""
    await chain_id_of(connection)
    (signed,) = await connection.call([SignedHeaderAt(connection.chain, ANCHOR_HEIGHT)])
    found: Header = header_of(signed)
    return found


async def identity_at(connection: Connection) -> ChainIdentity:
    """What the chain is called by that header."""
    anchor = await anchor_of(connection)
    return identity(anchor.chain_id, ANCHOR_HEIGHT, header_hash(anchor))
