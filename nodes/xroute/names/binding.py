"""Which chain a light client tracks: a client id means something on its own chain alone, a chain identity everywhere.

Invariant: a client is bound to an identity only after it has shown to have the identity's anchor in its past: as a
consensus state of its own, or by the hashes of the headers from one that it has verified back to the anchor.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.client.tendermint import consensus_state_of, header_height
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core import paths
from nodes.ibc.core.identifiers import check_client
from nodes.ibc.core.keepers import ClientKeeper, require_active
from nodes.ibc.core.state import Context, Store
from nodes.ibc.proto.comet import Header
from nodes.ibc.proto.ibc import Header as ClientHeader
from nodes.ibc.proto.well_known import Any
from nodes.xroute.identity import ChainIdentity, checked, identity
from nodes.xroute.names.errors import INVALID_BINDING, NOT_CREATOR
from nodes.xroute.names.labels import PREFIX, STORE
from nodes.xroute.names.messages import MsgBindClient

__all__ = ["bind", "bindings", "bound", "key_of_binding"]

MOST_HEADERS = 512  # between a verified header and the anchor
_BINDINGS = f"{PREFIX}bind/".encode()


def key_of_binding(client: str) -> bytes:
    """Where the identity of the chain lies that a client tracks."""
    return _BINDINGS + client.encode()


def bound(store: Store, client: str) -> ChainIdentity | None:
    """The identity of the chain that a client is known to track; None where nobody has shown it."""
    raw = store.get(key_of_binding(client))
    return None if raw is None else checked(raw)


def bindings(store: Store) -> Iterator[tuple[str, ChainIdentity]]:
    """All clients that are bound, in order, with what they are bound to."""
    for key, raw in store.iterate(_BINDINGS):
        yield key.removeprefix(_BINDINGS).decode(), checked(raw)


def bind(context: Context, clients: ClientKeeper, message: MsgBindClient) -> ChainIdentity:
    """Bind a client. Only its creator may, as with the counterparty: no other can bind it to an anchor of his own."""
    client, anchor = check_client(message.client_id), message.anchor
    require_active(clients, context, client)
    if context.ibc.get(paths.client_creator(client)) != message.signer.encode():
        raise NOT_CREATOR.error(f"{message.signer} of {client}")
    if anchor is None:
        raise INVALID_BINDING.error("no anchor; expected the header of a chain's anchor")
    state = ClientStates(context.ibc, client).client_state
    assert state is not None  # it is active
    if anchor.chain_id != state.chain_id:
        raise INVALID_BINDING.error(f"an anchor of chain {anchor.chain_id!r}; expected {state.chain_id!r}")
    if not _knows(context, client, anchor):
        _walk(context, clients, client, message, anchor)
    found = identity(anchor.chain_id, anchor.height, header_hash(anchor))
    context.stores[STORE].set(key_of_binding(client), found)
    return found


def _knows(context: Context, client: str, header: Header) -> bool:
    """Whether the client has a consensus state of a header's height. AbciError where it is of another block."""
    height = header_height(header)
    known = ClientStates(context.ibc, client).consensus_state(height)
    if known is not None and known != consensus_state_of(header):
        raise INVALID_BINDING.error(f"{client} knows another block of height {written(height)}")
    return known is not None


def _walk(context: Context, clients: ClientKeeper, client: str, message: MsgBindClient, anchor: Header) -> None:
    """AbciError unless headers lead from one that the client verifies now back to the anchor."""
    newest = _verified(context, clients, client, message.newest)
    if len(message.between) > MOST_HEADERS:
        raise INVALID_BINDING.error(f"{len(message.between)} headers; expected at most {MOST_HEADERS}")
    for above, below in pairwise((newest, *message.between, anchor)):
        if below.height != above.height - 1 or header_hash(below) != above.last_block_id.hash:
            raise INVALID_BINDING.error(f"header {below.height} is not the one that header {above.height} follows")
        _knows(context, client, below)


def _verified(context: Context, clients: ClientKeeper, client: str, message: ClientHeader | None) -> Header:
    """The header of an update, once the client has taken it. Of what it holds already it keeps too little to compare
    a header with: a consensus state has no hash of the block before."""
    if message is None or message.signed_header is None or message.signed_header.header is None:
        raise INVALID_BINDING.error("no consensus state of the anchor's height, and no header; expected either")
    clients.update(context, client, Any.of(message))
    require_active(clients, context, client)
    return message.signed_header.header
